/**
 * Every button with `data-action`, wherever it is: shows its state, and reports when it is pressed.
 */
import { h } from '../common/dom.js';
import { icon, setIcon } from '../common/icons.js';
import { label } from '../common/i18n.js';

const FIRST_LOOK = {
  mic: ['mic', 'mic.mute'],
  camera: ['camera', 'camera.stop'],
  share: ['screen', 'share.start'],
  view: ['spotlight', 'view.speaker'],
  people: ['people', 'people.title'],
  chat: ['chat', 'chat.title'],
  stats: ['chart', 'stats.title'],
  settings: ['gear', 'settings.title'],
  more: ['more', 'more.title'],
  leave: ['leave', 'leave'],
};
const SHORTCUTS = { mic: 'M', camera: 'V', share: 'S', chat: 'C' };
/** More unread messages than this are just many. */
const MANY = 99;

export class Toolbar {
  #root;

  /** @param {HTMLElement} root @param {(action: string, button: HTMLElement) => void} onAction */
  constructor(root, onAction) {
    this.#root = root;
    for (const [action, [iconName, key]] of Object.entries(FIRST_LOOK)) {
      for (const button of this.#buttons(action)) {
        if (button.childElementCount === 0) button.append(icon(iconName));
        if (SHORTCUTS[action]) {
          button.dataset.shortcut = SHORTCUTS[action];
          button.setAttribute('aria-keyshortcuts', SHORTCUTS[action]);
        }
        label(button, key);
      }
    }
    root.addEventListener('click', (event) => {
      const button = event.target.closest('[data-action]');
      if (button) onAction(button.dataset.action, button);
    });
  }

  /** @param {{on: boolean, problem: string | null, isForbidden?: boolean}} state isForbidden: a host has muted them */
  setMic({ on, problem, isForbidden = false }) {
    const key = isForbidden ? 'meet.isMuted' : problem ? 'mic.problem' : on ? 'mic.mute' : 'mic.unmute';
    this.#set('mic', { iconName: on ? 'mic' : 'micOff', key, off: !on, problem });
  }

  setCamera({ on, problem, isForbidden = false }) {
    this.#set('camera', {
      iconName: on ? 'camera' : 'cameraOff',
      key: isForbidden ? 'host.cameraIsOff' : problem ? 'camera.problem' : on ? 'camera.stop' : 'camera.start',
      off: !on,
      problem,
    });
  }

  setShare({ on, possible }) {
    for (const button of this.#buttons('share')) button.hidden = !possible;
    this.#set('share', { iconName: 'screen', key: on ? 'share.stop' : 'share.start' });
    for (const button of this.#buttons('share')) button.classList.toggle('active', on);
  }

  setView(view) {
    this.#set('view', view === 'grid' ? { iconName: 'spotlight', key: 'view.speaker' } : { iconName: 'grid', key: 'view.grid' });
  }

  /** @param {string | null} open the panel that is open */
  setPanel(open) {
    for (const name of ['people', 'chat', 'stats', 'settings']) {
      for (const button of this.#buttons(name)) button.setAttribute('aria-expanded', String(name === open));
    }
  }

  setUnread(count) {
    for (const button of this.#buttons('chat')) {
      button.querySelector('.unread')?.remove();
      if (count > 0) button.append(h('span.unread', { 'aria-hidden': 'true' }, count > MANY ? `${MANY}+` : String(count)));
      if (count > 0) label(button, 'chat.unread', { count });
      else label(button, 'chat.title');
    }
  }

  #set(action, { iconName, key, off = false, problem = null }) {
    for (const button of this.#buttons(action)) {
      const svg = button.querySelector('.icon');
      if (svg) setIcon(svg, iconName);
      button.classList.toggle('off', off);
      button.classList.toggle('problem', Boolean(problem));
      label(button, key);
    }
  }

  #buttons(action) {
    return this.#root.querySelectorAll(`[data-action="${action}"]`);
  }
}
