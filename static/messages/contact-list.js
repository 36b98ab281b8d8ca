/**
 * People on the page: those who are online, and those whom this person has added; some of them chosen
 * for a call together.
 */
import { byId, h } from '../common/dom.js';
import { label, say } from '../common/i18n.js';
import { icon } from '../common/icons.js';

export class ContactList {
  #list = byId('contacts');
  #people = new Map();
  #chosen = new Set();
  #onCall;
  #onChosen;

  /** @param {(id: string, kind: 'video' | 'audio') => void} onCall @param {(ids: string[]) => void} onChosen */
  constructor(onCall, onChosen) {
    this.#onCall = onCall;
    this.#onChosen = onChosen;
  }

  setOnline(id, isOnline) {
    const known = this.#people.get(id);
    // A person who goes offline, and was never spoken with, is of no more use here.
    if (!isOnline && known && !known.added) this.#people.delete(id);
    else this.#people.set(id, { added: false, name: id, ...known, isOnline });
    this.#show();
  }

  setName(id, name) {
    const known = this.#people.get(id);
    if (!known || known.name === name) return;
    known.name = name;
    this.#show();
  }

  add(id) {
    this.#people.set(id, { isOnline: false, name: id, ...this.#people.get(id), added: true });
    this.#show();
  }

  allOffline() {
    for (const id of [...this.#people.keys()]) this.setOnline(id, false);
  }

  clear() {
    this.#people.clear();
    this.#show();
  }

  nameOf(id) {
    return this.#people.get(id)?.name ?? id;
  }

  #show() {
    for (const id of this.#chosen) if (!this.#people.has(id)) this.#chosen.delete(id);
    const sorted = [...this.#people].sort(([a, one], [b, other]) => other.isOnline - one.isOnline || a.localeCompare(b));
    const focused = document.activeElement?.dataset?.focus;
    this.#list.replaceChildren(...sorted.map(([id, person]) => this.#row(id, person)));
    if (focused) this.#list.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
    byId('empty').hidden = sorted.length > 0;
    this.#chosenChanged();
  }

  #row(id, { name, isOnline }) {
    const box = h('input', { type: 'checkbox', checked: this.#chosen.has(id), data: { focus: `choose ${id}` } });
    box.addEventListener('change', () => {
      if (box.checked) this.#chosen.add(id);
      else this.#chosen.delete(id);
      this.#chosenChanged();
    });
    const dot = h('span.dot');
    if (isOnline) dot.dataset.on = '';
    const state = say(h('small'), isOnline ? 'messages.isOnline' : 'messages.isOffline');
    const names = h('span.grow', {}, h('strong', { textContent: name }), state);
    return h('li.contact', { data: { contact: id } }, h('label', {}, box, dot, names), this.#button(id, name, 'audio'), this.#button(id, name, 'video'));
  }

  #button(id, name, kind) {
    const button = h('button.icon-button.call', { type: 'button', data: { call: kind, focus: `${kind} ${id}` } }, icon(kind === 'audio' ? 'mic' : 'camera'));
    button.addEventListener('click', () => this.#onCall(id, kind));
    return label(button, kind === 'audio' ? 'calling.audio' : 'calling.video', { name });
  }

  #chosenChanged() {
    this.#onChosen([...this.#chosen]);
  }
}
