/**
 * A room of two as a call: the other side is the other person in the room.
 */
import { ownToken, tokenOwner } from '../client/own-token.js';
import { RoomClient } from '../client/room-client.js';
import { summarize } from '../client/stats.js';
import { guestId } from '../room/entry.js';

const ENDINGS = {
  roomFull: 'full',
  replaced: 'replaced',
  tokenMissing: 'tokenMissing',
  tokenRefused: 'tokenRefused',
  nameTaken: 'nameTaken',
};

export class DirectCall extends EventTarget {
  state = 'idle';
  audioOnly = false;
  /** The media that arrive from the other side. */
  media = null;
  /** Why nothing has arrived so far, see client/reach.js. */
  problem = null;
  room;

  #client;

  /** @param {{room: string}} options */
  constructor({ room }) {
    super();
    this.room = room;
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const userId = tokenOwner() || guestId();
    this.#client = new RoomClient({ room, userId, token: ownToken(userId), url: `${scheme}//${location.host}/direct` });
    const on = (type, handler) => this.#client.addEventListener(type, ({ detail }) => handler(detail));
    on('state', (detail) => this.#stateChanged(detail));
    on('refused', ({ reason }) => this.#setState('ended', { reason: ENDINGS[reason] ?? 'failed' }));
    on('participantjoined', () => this.#update());
    on('participantleft', () => this.#update());
    on('connection', () => this.#update());
    on('decoding', () => this.#emit('decoding', {}));
    on('stream', ({ participant }) => this.#emit('stream', { stream: participant.stream }));
  }

  /** The two know each other by the number alone. */
  get peerName() {
    return '';
  }

  get undecodable() {
    const [other] = this.#client.participants.values();
    return other?.undecodable ?? { audio: null, video: null };
  }

  start() {
    this.#client.join();
  }

  hangUp() {
    this.#client.leave();
  }

  setAudio(track) {
    return this.#client.setAudio(track);
  }

  setVideo(track) {
    return this.#client.setVideo(track);
  }

  #stateChanged({ state }) {
    if (state === 'left') this.#setState('ended', { reason: 'hungUp' });
    else if (state !== 'refused') this.#update();
  }

  #update() {
    const { state, participants } = this.#client;
    const [other] = participants.values();
    this.media = other ? incoming(other) : null;
    this.#setProblem(other?.problem ?? this.#client.publisher?.problem ?? null);
    this.#emit('away', { who: away(this.#client, other) });
    if (state === 'connecting' || state === 'reconnecting') this.#setState('connecting');
    else if (state !== 'joined') return;
    else if (!other) this.#setState('waiting');
    else this.#setState(other.state === 'connected' ? 'talking' : 'starting');
  }

  #setProblem(problem) {
    if (problem === this.problem) return;
    this.problem = problem;
    this.#emit('problem', { problem });
  }

  #setState(state, detail = {}) {
    if (state === this.state && state !== 'ended') return;
    this.state = state;
    this.#emit('state', { state, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Which side of a call of two has lost its connection. */
function away({ publisher }, other) {
  if (other?.state !== 'connected') return null;
  if (publisher?.state === 'disconnected' || publisher?.state === 'failed') return 'self';
  return other.isLost ? 'other' : null;
}

/** @param {import('../client/participant.js').Participant} participant */
function incoming(participant) {
  return {
    get pc() {
      return participant.pc;
    },
    get state() {
      return participant.state;
    },
    async sample() {
      const report = await participant.pc?.getStats().catch(() => null);
      if (report) participant.stats = summarize(report, participant.stats);
      return participant.stats;
    },
  };
}
