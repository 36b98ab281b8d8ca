/**
 * The people in the meeting, those who wait to be let in, and what a host can do about them.
 */
import { isPausedByPath } from '../client/video-quality.js';
import { byId, h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { label, onLanguageChange, say, t } from '../common/i18n.js';
import { redraw } from '../calls/redraw.js';
import { hueOf, initials } from '../room/tile.js';

/** Ending the meeting for all takes two presses within this time. */
const SURE_MS = 4000;

export class PeopleList {
  /** @type {import('../client/conference-client.js').ConferenceClient | null} */
  #client = null;
  #attempt;
  /** Until when the next press ends the meeting. */
  #sureUntil = 0;

  /** @param {(ask: () => Promise<any>) => Promise<boolean>} attempt does something that the server may refuse */
  constructor(attempt) {
    this.#attempt = attempt;
    byId('mute-guests').addEventListener('click', () => this.#do((client) => client.commands.muteGuests(!client.areGuestsMuted)));
    byId('lock').addEventListener('click', () => this.#do((client) => client.commands.lock(!client.isLocked)));
    byId('remove-all').addEventListener('click', () => this.#removeAll());
    byId('invite-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const field = byId('invitee');
      const account = field.value.trim();
      if (account) this.#do((client) => client.commands.invite(account)).then((isDone) => isDone && (field.value = ''));
    });
    onLanguageChange(() => this.render());
  }

  follow(client) {
    this.#client = client;
    this.render();
  }

  render() {
    const client = this.#client;
    if (!client) return;
    const people = [...client.people.values()];
    const waiting = people.filter(({ isWaiting }) => isWaiting);
    const isInCharge = client.isHost && !client.isCall;
    byId('host-tools').hidden = !isInCharge;
    byId('invite-form').hidden = !isInCharge;
    say(byId('mute-guests'), client.areGuestsMuted ? 'meet.unmuteGuests' : 'meet.muteGuests');
    say(byId('lock'), client.isLocked ? 'meet.unlock' : 'meet.lock');
    byId('waiting-title').hidden = waiting.length === 0;
    redraw(byId('waiting-list'), waiting.map((person) => this.#waitingRow(person, isInCharge)));
    const present = people.filter(({ isWaiting }) => !isWaiting).sort((a, b) => this.#isSelf(b) - this.#isSelf(a));
    redraw(byId('people-list'), present.map((person) => this.#row(person, isInCharge)));
  }

  #row(person, isInCharge) {
    const { id, name, isHost, isMuted, isQuiet, isSpotlit, isPresenting } = person;
    const isSelf = this.#isSelf(person);
    const signs = [
      isHost && 'meet.isHost',
      isMuted ? 'meet.isMuted' : isQuiet && 'tile.muted',
      isSpotlit && 'meet.isSpotlit',
      isPresenting && 'meet.isPresenting',
      isPausedByPath(this.#client.qualityOf(id)) && 'people.paused',
    ].filter(Boolean);
    const shown = isSelf ? t('tile.you', { name }) : name;
    const names = h('div.grow', {}, h('span.people-name', { title: shown }, shown), h('small', {}, ...signs.map((key) => say(h('span'), key))));
    const row = h('li', { data: { person: id } }, avatarOf(person), names);
    if (!isInCharge) return row;
    row.append(this.#tool(person, 'spotlight', isSpotlit ? 'meet.spotlightOff' : 'meet.spotlightOn', isSpotlit, (client) => client.commands.spotlight(id, !isSpotlit)));
    if (isSelf) return row;
    row.append(
      this.#tool(person, isMuted ? 'micOff' : 'mic', isMuted ? 'meet.unmute' : 'meet.mute', isMuted, (client) => client.commands.mute(id, !isMuted)),
      this.#tool(person, 'close', 'meet.remove', null, (client) => client.commands.remove(id)),
    );
    return row;
  }

  #waitingRow(person, isInCharge) {
    const { id, name } = person;
    const row = h('li', { data: { person: id } }, avatarOf(person), h('span.people-name.grow', { title: name }, name));
    if (!isInCharge) return row;
    const admit = h('button.button.small.primary', { type: 'button', data: { focus: `admit ${id}`, act: 'admit' } });
    admit.addEventListener('click', () => this.#do((client) => client.commands.admit(id)));
    row.append(say(admit, 'meet.admit'), this.#tool(person, 'close', 'meet.remove', null, (client) => client.commands.remove(id)));
    return row;
  }

  #removeAll() {
    const button = byId('remove-all');
    if (performance.now() < this.#sureUntil) {
      this.#sureUntil = 0;
      this.#do((client) => client.commands.removeAll());
      return;
    }
    this.#sureUntil = performance.now() + SURE_MS;
    say(button, 'meet.removeAllReally');
    setTimeout(() => say(button, 'meet.removeAll'), SURE_MS);
  }

  /** @param {boolean | null} isPressed null for what is no switch */
  #tool({ id, name }, picture, key, isPressed, ask) {
    const act = key.split('.')[1];
    const kind = picture === 'micOff' ? 'mic' : picture;
    const tool = h('button.icon-button', { type: 'button', data: { act, focus: `${kind} ${id}` } }, icon(picture));
    if (isPressed !== null) tool.setAttribute('aria-pressed', String(isPressed));
    tool.addEventListener('click', () => this.#do(ask));
    return label(tool, key, { name });
  }

  #do(ask) {
    const client = this.#client;
    return this.#attempt(() => ask(client));
  }

  #isSelf({ id }) {
    return id === this.#client.id;
  }
}

function avatarOf({ id, name }) {
  const avatar = h('span.avatar', { 'aria-hidden': 'true' }, initials(name));
  avatar.style.setProperty('--hue', hueOf(id));
  return avatar;
}
