/**
 * The client of a patchbay room: joins over `/groupcall`, publishes this page's media, receives everybody else's, and comes back by
 * itself after a lost connection. It has no user interface, and any page of the same origin can import it:
 *
 * ```js
 * import { RoomClient } from '/static/client/room-client.js';
 *
 * const client = new RoomClient({ room: 'demo', userId: '1', name: 'Ada' });
 * client.addEventListener('participantjoined', ({ detail }) => addTile(detail.participant));
 * client.addEventListener('stream', ({ detail }) => { video(detail.participant).srcObject = detail.participant.stream; });
 * client.join();
 *
 * const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
 * client.setAudio(media.getAudioTracks()[0]);
 * client.setVideo(media.getVideoTracks()[0]);
 * ```
 *
 * Events (`detail` in braces):
 * - `state` {state, retryInMs?, attempt?, code?}: see RoomState
 * - `cut` {isCut}: there is no connection to the server at the moment, while the stay in the room and media go on; or there is one
 *   again. What is sent meanwhile waits, and nothing is missed
 * - `refused` {reason}: `userNotFound`, `permissionDenied` (wrong or missing password), `roomNotFound`,
 *   `roomFull`, `tokenMissing`, `tokenRefused`, `nameTaken` (by somebody with a token), `stayOver` (the access token has expired), `removed` (by a host), `locked` (by a host), `hostAbsent` (the room waits for its host), `tooManyGuesses` (wait a minute), or `replaced` (the same user joined from elsewhere); the client has stopped, `join` may be called again
 * - `participantjoined`, `participantleft` {participant, initial}: initial is true for those already there
 * - `stream` {participant}: its `stream` has a new track (after a reconnection, a new stream)
 * - `connection` {participant | null}: a media connection changed state; null is one's own. Also when the server hears
 *   nothing any more of what a participant sends (their `isLost`), or hears it again
 * - `speakers` {ids}: the people who speak now, as the server hears them, in the order in which they began; perhaps oneself too
 * - `own` {before}: what hosts have decided about oneself (`own`) has changed
 * - `decoding` {participant}: the formats of its media that this browser cannot decode have changed, see Participant.undecodable
 * - `videoquality` {participant}: the server sends another height of their video, or for another reason, see Participant.videoQuality
 * - `text` {id, name, mine, text, at}
 * - `file` {id, name, mine, fileName, url, fileType, at}
 * - `unrecognized` {message}: the server did not accept a message
 */
import { noteIceServers } from './ice-servers.js';
import { Participant } from './participant.js';
import { Publisher } from './publisher.js';
import { ALL_LAYERS } from './send-layers.js';
import { SignalingSocket } from './signaling-socket.js';
import { outgoing, readMessage } from './wire.js';

/** @typedef {{isHost: boolean, muted: {audio: boolean, video: boolean}}} OwnState of what is muted, the others get nothing */
/** @typedef {'idle' | 'connecting' | 'joined' | 'reconnecting' | 'refused' | 'left'} RoomState */

/** The close code with which the server ends a session whose user joined again elsewhere. */
const CLOSE_REPLACED = 4001;
/** … and the one for a room, or a server, that has no place left. */
const CLOSE_FULL = 1013;
/** … the one after too many wrong passwords from this network: the next password is not even checked … */
const CLOSE_TOO_MANY_GUESSES = 4029;
/** … and those about tokens, and about what hosts decide. */
const CLOSE_REASONS = {
  [CLOSE_REPLACED]: 'replaced',
  [CLOSE_TOO_MANY_GUESSES]: 'tooManyGuesses',
  4401: 'tokenMissing',
  4403: 'tokenRefused',
  4409: 'nameTaken',
  4410: 'stayOver',
  4411: 'removed',
  4423: 'locked',
  4425: 'hostAbsent',
};
/** After a refusal the server closes the socket; the client waits this long for it. */
const REFUSAL_CLOSE_MS = 1000;
/** A server that says nothing for so long is asked whether it is there. */
const SILENCE_MS = 10_000;
/** Somebody about whom hosts have decided nothing. @type {OwnState} */
const GUEST = { isHost: false, muted: { audio: false, video: false } };
/** A longer message would be refused as a whole; longer text is for a file. */
export const MAX_TEXT_LENGTH = 4000;

export class RoomClient extends EventTarget {
  /** @type {RoomState} */
  state = 'idle';
  /** @type {Map<string, Participant>} everybody else, by id, in order of arrival */
  participants = new Map();
  /** @type {Publisher | null} */
  publisher = null;
  /** The time, by `performance.now()`, when the last `join` was sent. */
  joinSentAt = 0;
  /** @type {string[]} the people who speak now, as the server hears them, in the order in which they began */
  speakers = [];
  /** What hosts have decided about oneself. */
  own = GUEST;

  #options;
  #socket;
  #media = { audio: null, video: null, screen: false, layersMax: ALL_LAYERS };
  /** What the server has of the features that this client named. */
  #features = [];
  #wants = null;
  #sentWants = '';
  /** Texts and files that could not be sent before the stay ended; they are sent after the next entry. */
  #unsent = [];
  #textSpelling = null;
  #refusal = null;
  #handlers = {
    relays: ({ servers }) => noteIceServers(servers),
    roster: (message) => this.#onRoster(message),
    arrived: (message) => this.#onArrived(message),
    left: (message) => this.#onLeft(message),
    media: (message) => this.#onMedia(message),
    speakers: ({ ids }) => this.#setSpeakers(ids),
    own: ({ isHost, muted }) => this.#setOwn({ isHost, muted }, this.own),
    answer: (message) => this.#onAnswer(message),
    candidate: (message) => this.#onCandidate(message),
    decoding: (message) => this.#onDecoding(message),
    videoQuality: (message) => this.#onVideoQuality(message),
    sendLayers: ({ order }) => this.publisher?.obey(order),
    text: (message) => this.#onText(message),
    file: (message) => this.#onFile(message),
    unrecognized: (message) => this.#onUnrecognized(message),
    refused: (message) => this.#onRefused(message),
  };

  /**
   * @param {object} options
   * @param {string} options.room
   * @param {string} options.userId one's own id; a client that joins later with the same id replaces this one
   * @param {string} [options.name] shown to others where the server has no name for the id
   * @param {string} [options.password]
   * @param {string} [options.token] proves that `userId` is one's own, or lets that user into this room
   * @param {string} [options.url] default: `/groupcall` of the page's own server
   */
  constructor(options) {
    super();
    this.#options = { ...options, room: String(options.room), userId: String(options.userId) };
    this.#socket = new SignalingSocket(options.url ?? defaultUrl(), {
      onOpen: () => this.#enter(),
      onMessage: (frame) => this.#receive(frame),
      onLost: (why) => this.#lost(why),
      onCut: (isCut) => this.#cut(isCut),
      onUnsent: (messages) => this.#unsent.push(...messages.filter(isForPeople)),
      probe: outgoing.heart,
    }, { mayResume: true, silenceMs: SILENCE_MS });
  }

  get userId() {
    return this.#options.userId;
  }

  get room() {
    return this.#options.room;
  }

  get name() {
    return this.#options.name || this.#options.userId;
  }

  /** Enters the room, and stays in it until `leave` or a refusal. */
  join({ password = this.#options.password, userId = this.#options.userId, token = this.#options.token } = {}) {
    if (this.state === 'connecting' || this.state === 'joined' || this.state === 'reconnecting') return;
    Object.assign(this.#options, { password, userId, token });
    this.#setState('connecting');
    this.#socket.open();
  }

  leave() {
    if (this.state === 'left' || this.state === 'idle') return;
    this.#socket.send(outgoing.leave());
    this.#stop();
    this.#setState('left');
  }

  /** While reconnecting: tries at once. */
  retryNow() {
    this.#socket.retryNow();
  }

  /** @param {MediaStreamTrack | null} track null to be muted */
  async setAudio(track) {
    this.#media.audio = track;
    await this.publisher?.setAudio(track);
  }

  /** @param {MediaStreamTrack | null} track @param {{screen?: boolean}} [options] */
  async setVideo(track, { screen = false } = {}) {
    Object.assign(this.#media, { video: track, screen });
    await this.publisher?.setVideo(track, { screen });
  }

  /** Sends at most so many layers of the camera, from the smallest on; a shared screen is sent as ever. */
  async limitLayers(layersMax) {
    this.#media.layersMax = layersMax;
    await this.publisher?.limitLayers(layersMax);
  }

  /** Whether the server sends only as much of each video as the page wants; known once joined. */
  get canWantVideos() {
    return this.#features.includes('videoWants');
  }

  /**
   * Tells the server what the page wants of others' videos; it holds until something else is wanted, also after a reconnection.
   * VideoWants (video-wants.js) finds it out from the page.
   * @param {import('./video-wants.js').Wants} wants
   */
  wantVideos(wants) {
    this.#wants = wants;
    this.#sendWants();
  }

  /** The height of somebody's video that the page wants, in pixels; null where it has said nothing. */
  wantedHeight(id) {
    if (!this.canWantVideos || !this.#wants) return null;
    return this.#wants.heights[id] ?? this.#wants.heights['*'] ?? null;
  }

  /** The text comes back as a `text` event when the server has sent it to all. @returns {boolean} */
  sendText(text) {
    return this.state === 'joined' && this.#socket.send(outgoing.text(text.slice(0, MAX_TEXT_LENGTH)));
  }

  /** Announces an uploaded file to the room. @param {{name: string, url: string, type?: string}} file */
  announceFile(file) {
    return this.state === 'joined' && this.#socket.send(outgoing.file(file));
  }

  nameOf(id) {
    return id === this.userId ? this.name : this.participants.get(id)?.name ?? id;
  }

  #enter() {
    this.joinSentAt = performance.now();
    this.#socket.send(outgoing.join(this.#options));
  }

  #receive(frame) {
    const message = readMessage(frame);
    if (message) this.#handlers[message.kind](message);
  }

  #onRoster({ participants, features }) {
    this.#socket.markHealthy();
    this.#features = features;
    this.#sentWants = '';
    const present = new Set(participants.map(({ id }) => id));
    for (const id of [...this.participants.keys()]) if (!present.has(id)) this.#remove(id);
    this.#setState('joined');
    // If somebody speaks, the next message says so.
    this.#setSpeakers([]);
    this.#sendWants();
    // A joiner waits for others' media, so these come first; starting the encoders takes more time.
    for (const person of participants) if (person.id !== this.userId) this.#subscribe(person, true);
    this.#publish();
    // If hosts have decided something, the next message says so. Nothing has changed by coming back.
    this.#setOwn(GUEST, GUEST);
    for (const message of this.#unsent.splice(0)) this.#socket.send(message);
  }

  #onArrived({ participant }) {
    if (participant.id !== this.userId) this.#subscribe(participant, false);
  }

  #onLeft({ id }) {
    this.#remove(id);
  }

  #onMedia({ id, isLost }) {
    const participant = this.participants.get(id);
    if (!participant) return;
    participant.isLost = isLost;
    this.#emit('connection', { participant });
  }

  #setSpeakers(ids) {
    this.speakers = ids;
    this.#emit('speakers', { ids });
  }

  #setOwn(own, before) {
    this.own = own;
    this.#emit('own', { before });
  }

  #onAnswer({ id, sdp }) {
    this.#peer(id)?.acceptAnswer(sdp);
  }

  #onCandidate({ id, candidate }) {
    this.#peer(id)?.acceptCandidate(candidate);
  }

  /** About one's own video: another format is sent from now on, if there is one. About another's: it cannot be shown here. */
  #onDecoding({ id, watcher, media, undecodable }) {
    if (id === this.userId && media === 'video' && undecodable !== null) this.publisher?.changeFormat();
    const participant = this.participants.get(id);
    if (watcher !== this.userId || !participant) return;
    participant.undecodable[media] = undecodable;
    this.#emit('decoding', { participant });
  }

  #onVideoQuality({ id, quality }) {
    const participant = this.participants.get(id);
    if (!participant) return;
    participant.setVideoQuality(quality);
    this.#emit('videoquality', { participant });
  }

  #sendWants() {
    if (this.state !== 'joined' || !this.canWantVideos || !this.#wants) return;
    const message = outgoing.videoWants(this.#wants);
    const text = JSON.stringify(message);
    if (text !== this.#sentWants && this.#socket.send(message)) this.#sentWants = text;
  }

  #onText({ id, text, spelling }) {
    // A server may send each text twice, under both spellings of the type: the first one seen counts.
    this.#textSpelling ??= spelling;
    if (spelling === this.#textSpelling) this.#emit('text', { ...this.#author(id), text });
  }

  #onFile({ id, name, url, fileType }) {
    this.#emit('file', { ...this.#author(id), fileName: name, url, fileType });
  }

  #onUnrecognized({ message }) {
    if (message?.type === 'receiveVideoFrom') this.#peer(String(message.userId))?.offerRefused();
    if (message?.type !== 'heart') this.#emit('unrecognized', { message });
  }

  /** The server refuses and closes the socket; the close code distinguishes a full room from a wrong password. */
  #onRefused({ reason }) {
    this.#refusal = reason;
    setTimeout(() => this.#refusal && this.#refused(this.#refusal), REFUSAL_CLOSE_MS);
  }

  #refused(reason) {
    this.#refusal = null;
    this.#stop();
    this.#setState('refused', { reason });
    this.#emit('refused', { reason });
  }

  #author(id) {
    return { id, name: this.nameOf(id), mine: id === this.userId, at: new Date() };
  }

  #peer(id) {
    return id === this.userId ? this.publisher : this.participants.get(id);
  }

  #publish() {
    this.publisher?.close();
    this.publisher = new Publisher({
      id: this.userId,
      send: (message) => this.#socket.send(message),
      onState: () => this.#connectionChanged(null),
    });
    this.publisher.limitLayers(this.#media.layersMax);
    this.publisher.setAudio(this.#media.audio);
    this.publisher.setVideo(this.#media.video, { screen: this.#media.screen });
    this.publisher.start();
  }

  #subscribe({ id, name }, initial) {
    const known = this.participants.get(id);
    if (known) {
      known.name = name;
      known.isLost = false;
      known.videoQuality = null;
      known.startAfresh();
      return;
    }
    const participant = new Participant({
      id,
      name,
      send: (message) => this.#socket.send(message),
      onState: () => this.#connectionChanged(participant),
      onStream: () => this.#emit('stream', { participant }),
    });
    this.participants.set(id, participant);
    this.#emit('participantjoined', { participant, initial });
    participant.start();
  }

  #remove(id) {
    const participant = this.participants.get(id);
    if (!participant) return;
    this.participants.delete(id);
    participant.close();
    // The server does not announce that somebody who leaves is silent.
    if (this.speakers.includes(id)) this.#setSpeakers(this.speakers.filter((one) => one !== id));
    this.#emit('participantleft', { participant });
  }

  #connectionChanged(participant) {
    this.#emit('connection', { participant });
    // Media that stop while the WebSocket looks open: perhaps there is no network, and nothing has noticed it yet.
    const state = (participant ?? this.publisher)?.state;
    if (state === 'disconnected' || state === 'failed') this.#socket.check();
  }

  /** The connection to the server is lost while the stay goes on, or it is there again, perhaps over another network. */
  #cut(isCut) {
    this.#emit('cut', { isCut });
    if (isCut || this.state !== 'joined') return;
    for (const peer of [this.publisher, ...this.participants.values()]) peer?.checkPath();
  }

  #lost({ code, retryInMs, attempt }) {
    const reason = CLOSE_REASONS[code] ?? (this.#refusal && code === CLOSE_FULL ? 'roomFull' : this.#refusal);
    if (reason) {
      this.#refused(reason);
      return false;
    }
    this.#setSpeakers([]);
    this.#setState(this.state === 'connecting' ? 'connecting' : 'reconnecting', { code, retryInMs, attempt });
    return true;
  }

  #stop() {
    this.#unsent = [];
    this.#socket.close();
    this.publisher?.close();
    this.publisher = null;
    for (const id of [...this.participants.keys()]) this.#remove(id);
  }

  #setState(state, detail = {}) {
    this.state = state;
    this.#emit('state', { state, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Whether a message is for people, who would miss it. */
function isForPeople(message) {
  return [outgoing.text('').type, outgoing.file({}).type].includes(message.type);
}

function defaultUrl() {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/groupcall`;
}
