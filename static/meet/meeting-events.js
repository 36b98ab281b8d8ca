/**
 * Shows the events of a conference: people, what they send, messages, and the state of the connection.
 */
import { SCREEN } from '../client/conference-wants.js';
import { t } from '../common/i18n.js';

const TOAST_TEXT = 120;

export class MeetingEvents {
  #meeting;
  #client;

  /** @param {import('./meeting.js').Meeting} meeting with its client */
  constructor(meeting) {
    this.#meeting = meeting;
    this.#client = meeting.client;
    const on = (type, handler) => {
      this.#client.addEventListener(type, ({ detail }) => meeting.client === this.#client && handler(detail));
    };
    on('state', (detail) => this.#state(detail));
    on('joined', (detail) => this.#joined(detail));
    on('changed', (detail) => this.#changed(detail));
    on('left', ({ person }) => this.#left(person));
    on('service', () => meeting.stateChanged());
    on('sound', () => meeting.play());
    on('layout', () => meeting.picturesChanged());
    on('screen', () => this.#screen());
    on('speakers', ({ ids }) => this.#speakers(ids));
    on('message', (message) => this.#message(message));
    on('problem', ({ problem }) => this.#problem(problem));
  }

  #state({ state, reason, sentence }) {
    const { notices } = this.#meeting;
    if (state === 'ended') {
      this.#meeting.ended(reason, sentence);
      return;
    }
    if (state === 'reconnecting') notices.set('connection', { key: 'connection.lost', busy: true });
    else notices.clear('connection');
    this.#meeting.stateChanged();
  }

  #joined({ person, isInitial }) {
    const { notices } = this.#meeting;
    if (person.id !== this.#client.id) {
      if (!person.isWaiting) this.#addTile(person);
      if (person.isWaiting) this.#knocks(person);
      else if (!isInitial && !this.#client.isCall) notices.toast('toast.joined', { name: person.name });
    }
    this.#meeting.stateChanged();
  }

  #changed({ person, before }) {
    const { stage, notices } = this.#meeting;
    const tile = stage.tiles.get(person.id);
    if (person.id === this.#client.id) {
      this.#selfChanged(person, before);
    } else if (tile) {
      tile.setName(person.name);
      tile.setMuted(person.isMuted || person.isQuiet);
    } else if (!person.isWaiting) {
      this.#addTile(person);
      notices.toast('toast.joined', { name: person.name });
    }
    this.#spotlight();
    this.#meeting.stateChanged();
  }

  #left(person) {
    const { stage, notices } = this.#meeting;
    if (person.id !== this.#client.id) {
      stage.remove(person.id);
      this.#meeting.wants.unwatch(person.id);
      if (!person.isWaiting && !this.#client.isCall) notices.toast('toast.left', { name: person.name });
    }
    this.#meeting.stateChanged();
  }

  #addTile(person) {
    const tile = this.#meeting.stage.add({ id: person.id, name: person.name });
    tile.setMuted(person.isMuted || person.isQuiet);
    this.#meeting.wants.watch(person.id, tile.video);
    this.#spotlight();
    this.#meeting.picturesChanged();
  }

  /** Somebody waits to be let in; only hosts can do that. */
  #knocks({ name }) {
    const { notices, panels } = this.#meeting;
    if (this.#client.isHost) notices.toast('meet.knocks', { name }, { onClick: () => panels.show('people') });
  }

  /** What hosts have done to this person. */
  #selfChanged(person, before) {
    const { media, notices } = this.#meeting;
    if (person.isMuted && !before.isMuted && media.sendingAudio) {
      media.setWanted('audio', false);
      notices.toast('meet.youAreMuted');
    }
    if (!person.isMuted && before.isMuted && !media.wanted.audio) notices.toast('meet.mayTalk');
    if (person.isHost && !before.isHost) notices.toast('meet.youAreHost');
  }

  #spotlight() {
    const lit = [...this.#client.people.values()].find(({ isSpotlit }) => isSpotlit);
    const { stage } = this.#meeting;
    stage.setSharer(stage.tiles.has(SCREEN) ? SCREEN : (lit?.id ?? null));
  }

  #screen() {
    const { stage } = this.#meeting;
    const { screen, presenter, people } = this.#client;
    const isShown = screen !== null;
    if (isShown) {
      const name = t('meet.screenOf', { name: people.get(presenter)?.name ?? '' });
      const tile = stage.tiles.get(SCREEN) ?? stage.add({ id: SCREEN, name });
      tile.setStream(screen);
      tile.setContained(true);
      tile.video.play().catch(() => {});
      this.#meeting.wants.watch(SCREEN, tile.video);
    } else if (stage.tiles.has(SCREEN)) {
      stage.remove(SCREEN);
      this.#meeting.wants.unwatch(SCREEN);
    }
    this.#spotlight();
  }

  #speakers(ids) {
    for (const [id, tile] of this.#meeting.stage.tiles) tile.setSpeaking(ids.includes(id));
    this.#meeting.picturesChanged();
  }

  #message({ id, name, text }) {
    const { chat, panels, notices } = this.#meeting;
    chat.addText({ id, name, mine: false, at: new Date(), text });
    if (panels.open === 'chat') return;
    const shown = text.length > TOAST_TEXT ? `${text.slice(0, TOAST_TEXT)}…` : text;
    notices.toast('chat.toast', { name, text: shown }, { onClick: () => panels.show('chat') });
  }

  #problem(problem) {
    const { notices } = this.#meeting;
    if (problem) notices.set('connection', { key: `reach.${problem}`, closable: true });
    else notices.clear('connection');
  }
}
