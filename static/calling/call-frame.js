/**
 * A call in place: another page of this server over this one, with a bar that ends it. When the page there says that the
 * call is over, the frame closes; if it ended for another reason, the page stays to be read.
 */
import { h } from '../common/dom.js';
import { label, say } from '../common/i18n.js';
import { icon } from '../common/icons.js';

/** How long a page may take to show its client. */
const CLIENT_PATIENCE_MS = 5000;
const POLL_MS = 50;

export class CallFrame {
  #onEnd;
  #shown = null;

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
    const frame = h('iframe', { allow: 'camera; microphone; display-capture; autoplay; fullscreen; speaker-selection', src: address });
    label(frame, 'calling.frame');
    this.#shown = h('section.in-call', { id: 'in-call' }, h('div.in-call-bar', {}, h('h2', { textContent: title }), end), frame);
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
    shown?.remove();
  }
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
