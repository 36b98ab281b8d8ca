/**
 * A call in place: another page of this server over this one, with a bar that ends it.
 */
import { h } from '../common/dom.js';
import { label, say } from '../common/i18n.js';
import { icon } from '../common/icons.js';

export class CallFrame {
  #onEnd;
  #shown = null;

  /** @param {() => void} onEnd the person wants it to end */
  constructor(onEnd) {
    this.#onEnd = onEnd;
  }

  get isOpen() {
    return this.#shown !== null;
  }

  /** @returns {Promise<Window>} the page, once it has loaded */
  open(address, title) {
    this.close();
    const end = h('button.button.danger.small', { type: 'button', data: { action: 'hang-up' }, onclick: () => this.#onEnd() });
    end.append(icon('leave'), say(h('span'), 'calling.hangUp'));
    const frame = h('iframe', { allow: 'camera; microphone; display-capture; autoplay; fullscreen; speaker-selection', src: address });
    label(frame, 'calling.frame');
    this.#shown = h('section.in-call', { id: 'in-call' }, h('div.in-call-bar', {}, h('h2', { textContent: title }), end), frame);
    document.body.append(this.#shown);
    end.focus();
    return new Promise((resolve) => {
      frame.addEventListener('load', () => resolve(frame.contentWindow), { once: true });
    });
  }

  close() {
    this.#shown?.remove();
    this.#shown = null;
  }
}
