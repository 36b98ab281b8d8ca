/**
 * The menu on narrow screens, for the buttons for which the bar has no room.
 */
import { h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { say } from '../common/i18n.js';

const ITEMS = [
  ['share', 'screen', 'share.start'],
  ['view', 'spotlight', 'view.speaker'],
  ['people', 'people', 'people.title'],
  ['stats', 'chart', 'stats.title'],
  ['settings', 'gear', 'settings.title'],
  ['invite', 'link', 'invite.copy'],
];

export class MoreMenu {
  #menu;
  #opener = null;

  /** @param {HTMLElement} menu @param {(action: string) => void} onAction */
  constructor(menu, onAction) {
    this.#menu = menu;
    menu.addEventListener('keydown', (event) => this.#onKey(event));
    menu.addEventListener('focusout', (event) => {
      const to = event.relatedTarget;
      if (to && to !== this.#opener && !menu.contains(to)) this.close();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!menu.contains(target) && !this.#opener?.contains(target)) this.close();
    });
    menu.addEventListener('click', (event) => {
      const item = event.target.closest('[role="menuitem"]');
      if (!item) return;
      this.close();
      onAction(item.dataset.item);
    });
  }

  /**
   * @param {HTMLElement} opener
   * @param {{sharing: boolean, canShare: boolean, canInvite: boolean, view: string, hasStats?: boolean}} state
   */
  toggle(opener, { sharing, canShare, canInvite, view, hasStats = true }) {
    if (!this.#menu.hidden) {
      this.close();
      return;
    }
    this.#opener = opener;
    const keys = { share: sharing ? 'share.stop' : 'share.start', view: view === 'grid' ? 'view.speaker' : 'view.grid' };
    const possible = { share: canShare, invite: canInvite, stats: hasStats };
    const items = ITEMS.filter(([item]) => possible[item] ?? true);
    this.#menu.replaceChildren(
      ...items.map(([item, iconName, key]) =>
        h('button', { type: 'button', role: 'menuitem', tabIndex: -1, data: { item } }, icon(iconName), say(h('span'), keys[item] ?? key)),
      ),
    );
    this.#menu.hidden = false;
    opener.setAttribute('aria-expanded', 'true');
    this.#menu.firstElementChild.focus();
  }

  /** @returns {boolean} whether it was open */
  close() {
    if (this.#menu.hidden) return false;
    const hadFocus = this.#menu.contains(document.activeElement);
    this.#menu.hidden = true;
    this.#opener?.setAttribute('aria-expanded', 'false');
    if (hadFocus) this.#opener?.focus();
    return true;
  }

  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...this.#menu.children];
    const index = items.indexOf(document.activeElement);
    items[(index + step + items.length) % items.length].focus();
  }
}
