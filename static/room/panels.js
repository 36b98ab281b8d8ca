/**
 * The side panel: at most one of chat, people, statistics and settings is open.
 */
import { byId } from '../common/dom.js';
import { say } from '../common/i18n.js';

const NAMES = ['chat', 'people', 'stats', 'settings'];

export class Panels {
  /** @type {string | null} */
  open = null;
  #frame = byId('panel');
  #opener = null;
  #onChange;
  #names;

  /** @param {(open: string | null) => void} onChange @param {string[]} [names] those of the page's panels */
  constructor(onChange, names = NAMES) {
    this.#onChange = onChange;
    this.#names = names;
  }

  toggle(name) {
    if (this.open === name) this.close();
    else this.show(name);
  }

  show(name) {
    if (this.open === null) this.#opener = document.activeElement;
    this.open = name;
    say(byId('panel-title'), `${name}.title`);
    for (const one of this.#names) byId(`panel-${one}`).hidden = one !== name;
    this.#frame.hidden = false;
    this.#frame.dataset.panel = name;
    byId('call').classList.add('with-panel');
    byId(name === 'chat' ? 'chat-text' : 'panel-title').focus({ preventScroll: true });
    this.#onChange(name);
  }

  /** @returns {boolean} whether one was open */
  close() {
    if (this.open === null) return false;
    const hadFocus = this.#frame.contains(document.activeElement);
    this.open = null;
    this.#frame.hidden = true;
    byId('call').classList.remove('with-panel');
    if (hadFocus) {
      // What is hidden would keep the keyboard until the page is drawn anew.
      document.activeElement.blur();
      if (this.#opener?.isConnected) this.#opener.focus();
    }
    this.#onChange(null);
    return true;
  }
}
