/**
 * The people in the room, as a list.
 */
import { isPausedByPath } from '../client/video-quality.js';
import { byId, h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { label, onLanguageChange, say, t } from '../common/i18n.js';
import { hueOf, initials } from './tile.js';

export class PeoplePanel {
  #root = byId('panel-people');
  #client;
  #onPin;
  #isPinned;
  /** The note of each person whose picture is paused, by their id. */
  #notes = new Map();

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
    this.#notes.clear();
    const rows = [this.#row(userId, name, t(own.isHost ? 'host.you' : 'tile.you', { name }))];
    for (const participant of participants.values()) rows.push(this.#row(participant.id, participant.name, participant.name));
    const invite = h('button.button', { type: 'button', data: { action: 'invite' } }, icon('link'), say(h('span'), 'invite.copy'));
    this.#root.replaceChildren(h('ul.people', {}, ...rows), invite);
    this.showPaused();
  }

  /** Says at whose name the picture is paused because there is too little bandwidth. */
  showPaused() {
    for (const [id, note] of this.#notes) {
      note.hidden = !isPausedByPath(this.#client.participants.get(id)?.videoQuality);
    }
  }

  #row(id, name, shown) {
    const avatar = h('span.avatar', { 'aria-hidden': 'true' }, initials(name));
    avatar.style.setProperty('--hue', hueOf(id));
    const pinned = this.#isPinned(id);
    const pin = h('button.icon-button', { type: 'button', 'aria-pressed': String(pinned), onclick: () => this.#onPin(id) }, icon('pin'));
    label(pin, pinned ? 'tile.unpin' : 'tile.pin', { name });
    const note = say(h('span.people-note', { hidden: true }), 'people.paused');
    this.#notes.set(id, note);
    return h('li', {}, avatar, h('span.people-name', { title: shown }, shown, note), pin);
  }
}
