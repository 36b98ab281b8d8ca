/**
 * The dialog of an incoming call: who calls, and two answers. One call at a time.
 */
import { h } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { icon, setIcon } from '../common/icons.js';
import { Ring } from './ring.js';

export class RingingDialog {
  #ring = new Ring();
  #dialog;
  #title = h('h2', { id: 'ringing-title' });
  #text = h('p', { id: 'ringing-text' });
  #icon = icon('camera');
  #agree;
  #words;
  #answered = null;

  /**
   * @param {object} [options]
   * @param {string} [options.refuseKey] @param {string} [options.agreeKey] the words of the two buttons
   * @param {boolean} [options.isOverCall] whether it opens over another call, unless `ask` says otherwise
   */
  constructor({ refuseKey = 'calling.refuse', agreeKey = 'calling.answer', isOverCall = false } = {}) {
    this.#words = { agreeKey, isOverCall };
    const refuse = h('button.button.danger', { type: 'button', data: { action: 'refuse' }, onclick: () => this.#answer('refuse') });
    this.#agree = h('button.button.primary', { type: 'button', data: { action: 'agree' }, onclick: () => this.#answer('agree') });
    this.#dialog = h(
      'dialog.card.ringing',
      { id: 'ringing', tabIndex: -1, 'aria-live': 'assertive', 'aria-labelledby': 'ringing-title ringing-text' },
      h('div.bell', {}, this.#icon),
      this.#title,
      this.#text,
      h('div.row', {}, say(refuse, refuseKey), say(this.#agree, agreeKey)),
    );
    this.#dialog.addEventListener('cancel', (event) => {
      event.preventDefault();
      this.#answer('refuse');
    });
    document.body.append(this.#dialog);
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /**
   * @param {{agreeKey?: string, isOverCall?: boolean}} [words] where they are others than the usual
   * @returns {Promise<'agree' | 'refuse' | null>} null if it stopped ringing
   */
  ask(name, sentence, picture = 'camera', words = {}) {
    this.stop();
    const { agreeKey, isOverCall } = { ...this.#words, ...words };
    say(this.#agree, agreeKey);
    setIcon(this.#icon, picture);
    this.#title.textContent = name;
    say(this.#text, sentence);
    this.#dialog.showModal();
    // A key that is meant for the call below, as for its chat, is not to answer.
    const focused = isOverCall ? this.#dialog : this.#agree;
    focused.focus();
    this.#ring.start();
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }

  stop() {
    this.#answer(null);
  }

  #answer(what) {
    this.#ring.stop();
    this.#dialog.close();
    const answered = this.#answered;
    this.#answered = null;
    answered?.(what);
  }
}
