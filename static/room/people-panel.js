/**
 * The people in the room, as a list.
 */
import { byId, h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { label, onLanguageChange, say, t } from '../common/i18n.js';
import { hueOf, initials } from './tile.js';

export class PeoplePanel {
  #root = byId('panel-people');
  #client;
  #onPin;
  #isPinned;

  /** @param {{client: object, onPin: (id: string) => void, isPinned: (id: string) => boolean}} options */
  constructor({ client, onPin, isPinned }) {
    this.#client = client;
    this.#onPin = onPin;
    this.#isPinned = isPinned;
    onLanguageChange(() => this.render());
  }

  render() {
    const { participants, userId, name, own } = this.#client;
    byId('people-count').textContent = participants.size + 1;
    const rows = [this.#row(userId, name, t(own.isHost ? 'host.you' : 'tile.you', { name }))];
    for (const participant of participants.values()) rows.push(this.#row(participant.id, participant.name, participant.name));
    const invite = h('button.button', { type: 'button', data: { action: 'invite' } }, icon('link'), say(h('span'), 'invite.copy'));
    this.#root.replaceChildren(h('ul.people', {}, ...rows), invite);
  }

  #row(id, name, shown) {
    const avatar = h('span.avatar', { 'aria-hidden': 'true' }, initials(name));
    avatar.style.setProperty('--hue', hueOf(id));
    const pinned = this.#isPinned(id);
    const pin = h('button.icon-button', { type: 'button', 'aria-pressed': String(pinned), onclick: () => this.#onPin(id) }, icon('pin'));
    label(pin, pinned ? 'tile.unpin' : 'tile.pin', { name });
    return h('li', {}, avatar, h('span.people-name', { title: shown }, shown), pin);
  }
}
