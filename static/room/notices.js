/**
 * Messages to people during the call that do not stop them: one banner for a lasting state, toasts for
 * moments.
 */
import { byId, h } from '../common/dom.js';
import { say } from '../common/i18n.js';

/** From most to least urgent: the banner shows the first one that is set. */
const SLOTS = ['connection', 'interruption', 'playback', 'host', 'devices', 'network', 'sharing'];
const TOAST_MS = 5000;
/** More at once would cover the picture. */
const MAX_TOASTS = 3;

export class Notices {
  #slots = new Map();

  constructor() {
    byId('banner-action').addEventListener('click', () => this.#shown()?.onAction());
    byId('banner-close').addEventListener('click', () => {
      const slot = SLOTS.find((name) => this.#slots.has(name));
      const { onClose } = this.#slots.get(slot);
      this.clear(slot);
      onClose?.();
    });
  }

  /**
   * @param {string} slot one of SLOTS
   * @param {object} notice
   * @param {string} notice.key @param {Record<string, any>} [notice.values]
   * @param {string} [notice.actionKey] @param {() => void} [notice.onAction]
   * @param {boolean} [notice.busy] whether something is going on
   * @param {boolean} [notice.closable] @param {() => void} [notice.onClose] called when the person has closed it
   */
  set(slot, notice) {
    this.#slots.set(slot, notice);
    this.#render();
  }

  clear(slot) {
    if (this.#slots.delete(slot)) this.#render();
  }

  clearAll() {
    this.#slots.clear();
    this.#render();
  }

  /** @param {string} key @param {Record<string, any>} [values] @param {{onClick?: () => void}} [options] */
  toast(key, values, { onClick } = {}) {
    const area = byId('toasts');
    const text = say(h('span'), key, values);
    const toast = onClick ? h('button.toast', { type: 'button', onclick: onClick }, text) : h('div.toast', {}, text);
    while (area.childElementCount >= MAX_TOASTS) area.firstElementChild.remove();
    area.append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }

  #shown() {
    return this.#slots.get(SLOTS.find((name) => this.#slots.has(name)));
  }

  #render() {
    const notice = this.#shown();
    const banner = byId('banner');
    banner.hidden = !notice;
    if (!notice) return;
    say(byId('banner-text'), notice.key, notice.values);
    banner.classList.toggle('busy', Boolean(notice.busy));
    byId('banner-action').hidden = !notice.actionKey;
    if (notice.actionKey) say(byId('banner-action'), notice.actionKey);
    byId('banner-close').hidden = !notice.closable;
  }
}
