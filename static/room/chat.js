/**
 * The chat panel: messages and files from the time that this page was in the room, kept over
 * reconnections.
 */
import { byId, h } from '../common/dom.js';
import { locale, onLanguageChange, say } from '../common/i18n.js';
import { fileBody, textBody } from './chat-entry.js';

/** Messages of one person within this time are shown under one name. */
const GROUP_MS = 3 * 60_000;
/** Older ones are removed: a page may stay in a room for days. */
const MAX_ENTRIES = 1000;
const NEAR_BOTTOM_PX = 60;

export class Chat {
  unread = 0;
  #list = byId('chat-list');
  #text = byId('chat-text');
  #last = null;
  #isOpen = false;
  #onUnread;
  #emptyKey;

  /**
   * @param {object} handlers
   * @param {(text: string) => boolean} handlers.onSend false when it could not be sent
   * @param {(count: number) => void} handlers.onUnread
   * @param {string} [handlers.emptyKey] the sentence that stands there before the first message
   */
  constructor({ onSend, onUnread, emptyKey = 'chat.empty' }) {
    this.#onUnread = onUnread;
    this.#emptyKey = emptyKey;
    const form = byId('chat-form');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (!text || !onSend(text)) return;
      this.#text.value = '';
      this.#fitText();
    });
    this.#text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#text.addEventListener('input', () => this.#fitText());
    this.#list.addEventListener('scroll', () => {
      if (this.#isAtEnd()) byId('chat-latest').hidden = true;
    });
    byId('chat-latest').addEventListener('click', () => this.#toEnd());
    onLanguageChange(() => this.#showTimes());
    this.#showEmpty();
  }

  setOpen(open) {
    this.#isOpen = open;
    if (!open) return;
    this.unread = 0;
    this.#onUnread(0);
    this.#toEnd();
  }

  addText({ id, name, mine, at, text }) {
    this.#add({ id, name, mine, at }, textBody(text));
  }

  addFile({ id, name, mine, at, fileName, url, fileType }) {
    this.#add({ id, name, mine, at }, fileBody({ fileName, url, fileType, onResize: () => this.#isAtEnd() && this.#toEnd() }));
  }

  /** Begins with an empty list. */
  clear() {
    this.#list.replaceChildren();
    this.#last = null;
    this.unread = 0;
    this.#onUnread(0);
    this.#showEmpty();
  }

  /** A line of its own, such as an upload under way. */
  addNode(node) {
    this.#append(h('li.chat-note', {}, node));
    this.#last = null;
    this.#toEnd();
  }

  #add(author, body) {
    const wasAtEnd = this.#isAtEnd();
    const follows = this.#last?.id === author.id && author.at - this.#last.at < GROUP_MS;
    this.#last = author;
    const entry = h('li.chat-entry', {}, follows ? null : this.#heading(author), body);
    if (author.mine) entry.classList.add('mine');
    this.#append(entry);
    if (wasAtEnd || author.mine) this.#toEnd();
    else byId('chat-latest').hidden = false;
    if (!this.#isOpen && !author.mine) this.#onUnread((this.unread += 1));
  }

  #heading({ name, mine, at }) {
    const time = h('time', { dateTime: at.toISOString() }, timeOf(at));
    return h('p.chat-author', {}, mine ? say(h('strong'), 'chat.you') : h('strong', {}, name), time);
  }

  #append(item) {
    this.#list.querySelector('.chat-empty')?.remove();
    this.#list.append(item);
    while (this.#list.childElementCount > MAX_ENTRIES) this.#list.firstElementChild.remove();
  }

  #showEmpty() {
    this.#list.append(say(h('li.chat-empty'), this.#emptyKey));
  }

  #showTimes() {
    for (const time of this.#list.querySelectorAll('time')) time.textContent = timeOf(new Date(time.dateTime));
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    return scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
  }

  #toEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
    byId('chat-latest').hidden = true;
  }

  #fitText() {
    this.#text.style.height = 'auto';
    this.#text.style.height = `${Math.min(this.#text.scrollHeight + 2, 140)}px`;
  }
}

function timeOf(date) {
  return new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit' }).format(date);
}
