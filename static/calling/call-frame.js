/**
 * A call in place: another page of this server over this one, with a bar that ends it. When the page there says that the
 * call is over, the frame closes; if it ended for another reason, the page stays to be read. Meanwhile the page below cannot
 * be reached by keyboard or screen reader, except a dialog that opens over the call.
 */
import { h } from '../common/dom.js';
import { label, language, say } from '../common/i18n.js';
import { icon } from '../common/icons.js';

/** How long a page may take to show its client. */
const CLIENT_PATIENCE_MS = 5000;
const POLL_MS = 50;

export class CallFrame {
  #onEnd;
  #shown = null;
  /** The parts of the page below, and the element there that had the focus. */
  #below = [];
  #focused = null;

  /** @param {() => void} onEnd the call is over, or the person wants to end it: the frame is to be closed */
  constructor(onEnd) {
    this.#onEnd = onEnd;
  }

  get isOpen() {
    return this.#shown !== null;
  }

  /** @returns {Promise<EventTarget | null>} the client of the call on that page, once it is there */
  async open(address, title) {
    this.close();
    const end = h('button.button.danger.small', { type: 'button', data: { action: 'hang-up' }, onclick: () => this.#onEnd() });
    end.append(icon('leave'), say(h('span'), 'calling.hangUp'));
    const frame = h('iframe', { allow: 'camera; microphone; display-capture; autoplay; fullscreen; speaker-selection', src: inThisLanguage(address) });
    label(frame, 'calling.frame');
    const bar = h('div.in-call-bar', {}, h('h2', { id: 'in-call-title', textContent: title }), end);
    const role = { id: 'in-call', role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': 'in-call-title' };
    this.#shown = h('section.in-call', role, bar, frame);
    this.#focused = document.activeElement;
    this.#below = [...document.body.children].filter((part) => !part.inert && part.localName !== 'dialog');
    for (const part of this.#below) part.inert = true;
    document.body.append(this.#shown);
    end.focus();
    const shown = this.#shown;
    await new Promise((resolve) => {
      frame.addEventListener('load', resolve, { once: true });
      // A frame that was removed never loads.
      setTimeout(resolve, CLIENT_PATIENCE_MS);
    });
    const client = await clientOf(frame);
    client?.addEventListener('state', ({ detail }) => {
      if (this.#shown === shown && isOver(detail)) this.#onEnd();
    });
    return client;
  }

  close() {
    const shown = this.#shown;
    // First, because the page says while it is unloaded that its call is over.
    this.#shown = null;
    if (!shown) return;
    shown.remove();
    for (const part of this.#below) part.inert = false;
    this.#goBack();
  }

  /** Moves the focus to where it was. If that is no longer there, the page is read from its title. */
  #goBack() {
    const [focused, title] = [this.#focused, document.querySelector('h1')];
    this.#focused = null;
    if (focused?.isConnected && focused !== document.body) focused.focus();
    if (document.activeElement !== document.body || !title) return;
    title.tabIndex = -1;
    title.focus();
  }
}

/** The language may be one that only this page was asked for. */
function inThisLanguage(address) {
  const url = new URL(address, location.href);
  url.searchParams.set('lang', language());
  return url.href;
}

async function clientOf(frame) {
  for (let waited = 0; waited < CLIENT_PATIENCE_MS && frame.isConnected; waited += POLL_MS) {
    const client = frame.contentWindow.patchbay?.client;
    if (client) return client;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return null;
}

/** Somebody hung up on either side, or left the room. */
function isOver({ state, reason }) {
  return state === 'left' || (state === 'ended' && (reason === 'hungUp' || reason === 'over'));
}
