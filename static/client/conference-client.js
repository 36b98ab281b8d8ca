/**
 * The client of one conference: a meeting with a number, or a call to an account. It has no user interface, and any page of
 * the same origin can import it:
 *
 * ```js
 * import { ConferenceClient } from '/static/client/conference-client.js';
 *
 * const client = new ConferenceClient({ alias: '1234', name: 'Anna' });
 * client.addEventListener('layout', () => { video.srcObject = client.pictureOf(client.shown[0]); });
 * client.addEventListener('sound', () => { audio.srcObject = client.sound; });
 * client.setAudio(microphone);
 * await client.enter();
 * ```
 *
 * Events (`detail` in braces):
 * - `state` {state, reason?}: see ConferenceState; `ended` comes with a reason, see EndReason
 * - `joined` {person, isInitial}, `changed` {person, before}, `left` {person}: see conference-people.js; oneself, too
 * - `service` {}: `isLocked` or `areGuestsMuted` has changed
 * - `sound`, `screen` {}: that stream has begun or ended
 * - `layout` {}: `shown` has changed: whose pictures come
 * - `speakers` {ids}
 * - `quality` {id, before}: the server sends more or less of somebody's picture, or for another reason: see `qualityOf`
 * - `message` {id, name, text}
 * - `problem` {problem}: why no connection has been made so far, see reach.js; null when that is over
 * - `referred` {alias, token}: the server asks this client to go on there, after it has left
 */
import { ConferenceCommands } from './conference-commands.js';
import { ConferenceEvents, isRestart } from './conference-events.js';
import { list, readLayout } from './conference-layout.js';
import { ConferencePeer } from './conference-peer.js';
import { People } from './conference-people.js';
import { FEATURES, Qualities } from './conference-qualities.js';
import { Refused, asPinRequired, ask, pathOf } from './conference-requests.js';
import { ConferenceWants, SCREEN } from './conference-wants.js';
import { REACH_PATIENCE_MS, reachProblem } from './reach.js';
import { ALL_LAYERS } from './send-layers.js';
import { readOrder } from './video-quality.js';

/**
 * - `waiting`: for a host
 * - `reconnecting`: the events, or the media, are missing at the moment
 * - `ended`: the client has stopped, for good
 * @typedef {'idle' | 'entering' | 'waiting' | 'inside' | 'reconnecting' | 'ended'} ConferenceState
 */

/**
 * `left` (here), `over` (the server has ended it; `sentence` may say why), `lost` (the server does not know this session any
 * more, or the media failed)
 * @typedef {'left' | 'over' | 'lost'} EndReason
 */

/** What a guest sends instead of a PIN. */
const NO_PIN = 'none';
/** The session is refreshed so many times before it would end. */
const REFRESHES = 5;
const RETRY_MS = 4000;
/** Attempts to come back while the server says no: one that has begun again lets nobody in before they have registered again. */
const RETURNS = 10;
/** Short interruptions heal by themselves; after this time the client looks for another way to the server. */
const DISCONNECTED_MS = 4000;

export class ConferenceClient extends EventTarget {
  /** @type {ConferenceState} */
  state = 'idle';
  alias;
  name;
  /** One's own id in the conference. */
  id = '';
  isHost = false;
  /** Whether it is a call between two. */
  isCall = false;
  isLocked = false;
  areGuestsMuted = false;
  people = new People();
  /** The ids of those who speak. */
  speakers = [];
  /** The ids of those whose pictures come. */
  shown = [];
  /** The id of whoever shares a screen. */
  presenter = null;
  #qualities = new Qualities((id, before) => this.#emit('quality', { id, before }));
  /** What one may ask for in the conference. */
  commands = new ConferenceCommands((request, fields) => this.#ask(request, fields));
  /** Why there is no connection although the server has answered. @type {import('./reach.js').ReachProblem | null} */
  problem = null;

  #fields;
  #pictures;
  /** By which streams pictures come. */
  #layout = readLayout({}, false);
  #registration;
  #token = '';
  /** null: none has been asked for yet. */
  #pin = null;
  #isPinForGuests = true;
  #events;
  #refreshTimer = 0;
  #mediaTimer = 0;
  #reachTimer = 0;
  #tracks = { audio: null, video: null };
  #layersMax = ALL_LAYERS;
  /** @type {Record<'main' | 'send' | 'receive', ConferencePeer | null>} */
  #peers = { main: null, send: null, receive: null };
  #wants = new ConferenceWants((fields) => this.#about(this.id, 'wants', fields), () => this.presenter);
  #handlers = {
    participant_sync_begin: () => this.people.beginSync(),
    participant_sync_end: () => this.people.endSync().forEach((person) => this.#emit('left', { person })),
    participant_create: (data) => this.#person(data),
    participant_update: (data) => this.#person(data),
    participant_delete: ({ uuid }) => this.#gone(uuid),
    service_update: (data) => this.#service(data),
    stage: (data) => this.#stage(data),
    layout: (data) => this.#laidOut(data),
    presentation_start: (data) => this.#presented(String(data.presenter_uuid ?? '')),
    presentation_stop: () => this.#presented(null),
    video_quality: (data) => this.#answered(data.feed === 'screen' && !this.#isMany ? 'receive' : 'main') && this.#qualities.put(data),
    send_layers: ({ feed, ...order }) => this.#answered(feed === 'screen' ? 'send' : 'main')?.obey(readOrder(order)),
    message_received: (data) => this.#message(data),
    call_disconnected: (data) => this.#hungUp(data),
    disconnect: ({ reason }) => (isRestart(reason) ? this.#beginAgain() : this.#end('over', reason)),
    refer: ({ alias, token }) => this.#referred(alias, token),
  };

  /**
   * @param {object} options
   * @param {string} options.alias the meeting's number, an account to call, or the conference of a call that rings
   * @param {string} options.name shown to the others
   * @param {string} [options.account] one's own account, and
   * @param {{token: string} | null} [options.registration] its registration, see registration.js
   * @param {string} [options.token] the one-time token of a call that rings
   * @param {number} [options.pictures] the most pictures that come; with one, it is that of whoever speaks
   */
  constructor({ alias, name, account = '', registration = null, token = '', pictures = 1 }) {
    super();
    Object.assign(this, { alias, name });
    this.#pictures = pictures;
    this.#registration = registration;
    this.#fields = { display_name: name, hideme: '', features: FEATURES, ...(account && { account }), ...(token && { token }) };
    this.#events = new ConferenceEvents(this.#handlers, (isOpen) => this.#eventsChanged(isOpen));
  }

  /** What all others say. */
  get sound() {
    return this.#peers.main?.sound ?? null;
  }

  /** The screen that somebody else shares. */
  get screen() {
    if (!this.#isMany) return this.#peers.receive?.picture() ?? null;
    return this.#layout.screenSsrc === null ? null : (this.#peers.main?.picture(this.#layout.screenSsrc) ?? null);
  }

  /** The picture of somebody who is `shown`. @returns {MediaStream | null} */
  pictureOf(id) {
    return this.#layout.ssrcs.has(id) ? (this.#peers.main?.picture(this.#layout.ssrcs.get(id)) ?? null) : null;
  }

  /** Whether somebody's picture is arriving now. */
  hasPictureOf(id) {
    return this.#layout.ssrcs.has(id) && (this.#peers.main?.hasPicture(this.#layout.ssrcs.get(id)) ?? false);
  }

  /** What the server sends of a picture, and why not more. @returns {object | null} null where it has said nothing, or none comes */
  qualityOf(id) {
    return id === SCREEN || this.shown.includes(id) ? (this.#qualities.get(id) ?? null) : null;
  }

  /** The connection of camera and microphone. @returns {ConferencePeer | null} */
  get publisher() {
    return this.#peers.main;
  }

  get isSharing() {
    return this.#peers.send !== null;
  }

  /** Whether several pictures come, and the screen with them. There are only two people in a call. */
  get #isMany() {
    return this.#pictures > 1 && !this.isCall;
  }

  /**
   * Enters. May be called again after it has thrown, then with a PIN.
   * @param {string | null} [pin] empty for guests who need none
   * @throws {import('./conference-requests.js').PinRequired | Refused | import('./conference-requests.js').Unreachable}
   */
  async enter(pin = null) {
    this.#setState('entering');
    this.#pin = pin;
    try {
      await this.#begin();
    } catch (error) {
      this.#setState('idle');
      const asked = asPinRequired(error, { isWrong: Boolean(pin), isForGuests: this.#isPinForGuests });
      this.#isPinForGuests = asked.isForGuests ?? this.#isPinForGuests;
      throw asked;
    }
  }

  /** Leaves. Works while the page is unloaded, too. */
  leave() {
    if (this.#token) this.#ask('end_session', {}, { keepalive: true }).catch(() => {});
    this.#end('left');
  }

  /** @param {MediaStreamTrack | null} track null to be muted */
  setAudio(track) {
    this.#setTrack('audio', track);
  }

  /** @param {MediaStreamTrack | null} track null shows nothing */
  setVideo(track) {
    this.#setTrack('video', track);
  }

  /** Sends at most so many layers of the camera, from the smallest on; a screen that is shared is sent as ever. */
  limitLayers(layersMax) {
    this.#layersMax = layersMax;
    this.#peers.main?.limitLayers(layersMax);
  }

  /**
   * What the page wants of the pictures that come; the newest replaces the one before. VideoWants (video-wants.js) finds it out from
   * the page. The tile of somebody's screen has the id `screen`.
   * @param {import('./video-wants.js').Wants} wants
   */
  wantVideos(wants) {
    this.#wants.set(wants);
  }

  /** @param {MediaStreamTrack | null} track null ends sharing */
  async setScreen(track) {
    this.#close('send');
    if (track) await this.#open('send', { video: track });
  }

  #ask(request, fields = {}, { keepalive } = {}) {
    return ask(pathOf('services', this.alias, ...request.split('/')), { fields, token: this.#token, keepalive });
  }

  #about(id, request, fields) {
    return this.#ask(`participants/${id}/${request}`, fields);
  }

  /** Opens a session, and all that belongs to it. */
  async #begin() {
    const fields = { ...this.#fields, ...(this.#registration?.token && { registration_token: this.#registration.token }) };
    const headers = this.#pin === null ? {} : { pin: this.#pin || NO_PIN };
    const session = await ask(pathOf('services', this.alias, 'new_session'), { fields, headers });
    if (this.state === 'ended') {
      ask(pathOf('services', this.alias, 'end_session'), { token: session.token }).catch(() => {});
      return;
    }
    this.#token = session.token;
    this.id = String(session.participant_uuid);
    this.name = session.display_name || this.name;
    this.isHost = session.role === 'HOST';
    this.isCall = session.service_type === 'gateway';
    clearInterval(this.#refreshTimer);
    this.#refreshTimer = setInterval(() => this.#refresh(), (Number(session.expires) / REFRESHES) * 1000);
    this.#events.follow(`/api${pathOf('services', this.alias, 'events')}?token=${encodeURIComponent(session.token)}`);
    if (session.current_service_type === 'waiting_room') this.#setState('waiting');
    else this.#goIn();
  }

  /** The server has let this client in. */
  #goIn() {
    this.#setState('inside');
    this.#callAgain();
  }

  async #refresh() {
    try {
      const { token, role } = await this.#ask('refresh_session', { display_name: this.name });
      this.#token = token || this.#token;
      if (role) this.isHost = role === 'HOST';
    } catch (error) {
      if (error instanceof Refused && error.status === 401) this.#beginAgain();
    }
  }

  /** The server has forgotten this session. Whoever has answered a call cannot come back: the token was for once. */
  async #beginAgain(refusals = 0) {
    if (this.state === 'ended' || this.state === 'entering') return;
    this.#events.stop();
    clearInterval(this.#refreshTimer);
    if (this.#fields.token) {
      this.#end('lost');
      return;
    }
    this.#closeAll();
    this.#setState('reconnecting');
    try {
      await this.#begin();
    } catch (error) {
      const isRefused = error instanceof Refused;
      if (isRefused && refusals >= RETURNS) this.#end('lost');
      else setTimeout(() => this.state === 'reconnecting' && this.#beginAgain(refusals + Number(isRefused)), RETRY_MS);
    }
  }

  #eventsChanged(isOpen) {
    if (isOpen === null) this.#beginAgain();
    else if (isOpen && this.state === 'reconnecting') this.#setState('inside');
    else if (!isOpen && this.state === 'inside') this.#setState('reconnecting');
  }

  /** @param {'main' | 'send' | 'receive'} use @param {{audio?: MediaStreamTrack | null, video?: MediaStreamTrack | null}} tracks */
  async #open(use, tracks = {}) {
    this.#close(use);
    const isMany = use === 'main' && this.#isMany;
    const pictures = isMany ? this.#pictures + 1 : 1;
    const peer = new ConferencePeer({ use, pictures, layersMax: this.#layersMax, ...tracks, onState: () => this.#peerChanged(use, peer) });
    this.#peers[use] = peer;
    const many = isMany ? { multistream: true, clayout: `1:${this.#pictures - 1}` } : {};
    const fields = use === 'main' ? many : { present: use };
    const offer = { call_type: 'WEBRTC', sdp: await peer.offer(), ...fields };
    const { call_uuid: call, sdp, audio_ssrcs: voices } = await this.#about(this.id, 'calls', offer);
    peer.call = call;
    if (this.#peers[use] !== peer) {
      this.#hangUp(peer);
      return;
    }
    await peer.accept(sdp, list(voices).map(Number));
    await this.#about(this.id, `calls/${call}/ack`);
    this.#emit(use === 'main' ? 'sound' : 'screen', {});
    if (use !== 'main') return;
    this.#emit('layout', {});
    this.#report();
    this.#wants.beginAnew();
    this.#reachTimer = setTimeout(() => peer === this.#peers.main && this.#setProblem(reachProblem(peer.pc)), REACH_PATIENCE_MS);
  }

  #close(use) {
    const peer = this.#peers[use];
    if (!peer) return;
    this.#peers[use] = null;
    peer.close();
    if (peer.call) this.#hangUp(peer);
    if (use === 'main') this.#qualities.forget(() => true);
    if (use === 'receive') this.#emit('screen', {});
  }

  /** A connection once the server has answered it: what it says of the media before that is about the one before. */
  #answered(use) {
    const peer = this.#peers[use];
    return peer?.call ? peer : null;
  }

  #hangUp({ call }) {
    if (this.state !== 'ended') this.#about(this.id, `calls/${call}/disconnect`).catch(() => {});
  }

  #closeAll() {
    clearTimeout(this.#mediaTimer);
    clearTimeout(this.#reachTimer);
    for (const use of Object.keys(this.#peers)) this.#close(use);
  }

  #peerChanged(use, peer) {
    if (peer !== this.#peers[use]) return;
    const { state } = peer;
    if (use !== 'main') {
      if (state === 'failed') this.#close(use);
      return;
    }
    if (state === 'connected') {
      clearTimeout(this.#mediaTimer);
      this.#mediaTimer = 0;
      this.#setProblem(null);
      if (this.state === 'reconnecting') this.#setState('inside');
    } else if (state === 'disconnected' || state === 'failed') {
      this.#setState('reconnecting');
      this.#mediaTimer ||= setTimeout(() => this.#restart(peer), state === 'failed' ? 0 : DISCONNECTED_MS);
    }
  }

  /** Looks for another way to the server; where that fails, calls anew. */
  async #restart(peer) {
    this.#mediaTimer = 0;
    if (peer !== this.#peers.main) return;
    try {
      const { sdp, audio_ssrcs: voices } = await this.#about(this.id, `calls/${peer.call}/update`, { sdp: await peer.restartOffer() });
      await peer.accept(sdp, list(voices).map(Number));
      this.#mediaTimer = setTimeout(() => peer.state !== 'connected' && this.#callAgain(), 2 * DISCONNECTED_MS);
    } catch (error) {
      console.debug('patchbay: the connection is made anew', error);
      this.#callAgain();
    }
  }

  #callAgain() {
    this.#mediaTimer = 0;
    if (this.state === 'ended') return;
    this.#open('main', this.#tracks).catch((error) => {
      console.warn('patchbay: no connection', error);
      this.#mediaTimer = setTimeout(() => this.#callAgain(), RETRY_MS);
    });
  }

  #setTrack(kind, track) {
    if (this.#tracks[kind] === track) return;
    this.#tracks[kind] = track;
    this.#peers.main?.setTrack(kind, track);
    this.#report();
  }

  /** Tells the others whether they can hear and see this client. */
  #report() {
    if (!this.#peers.main || this.state === 'ended') return;
    this.commands.report(this.id, this.#tracks).catch((error) => console.debug('patchbay: not reported', error));
  }

  #person(data) {
    const { person, before, isInitial } = this.people.put(data);
    const isSelf = person.id === this.id;
    if (isSelf) this.isHost = person.isHost;
    this.#emit(before ? 'changed' : 'joined', { person, before, isInitial });
    if (isSelf && !person.isWaiting && this.state === 'waiting') this.#goIn();
  }

  #gone(id) {
    const person = this.people.take(id);
    if (person) this.#emit('left', { person });
  }

  #service({ locked, guests_muted: muted }) {
    this.isLocked = Boolean(locked);
    this.areGuestsMuted = Boolean(muted);
    this.#emit('service', {});
  }

  #stage(data) {
    this.speakers = list(data).filter(({ vad }) => Number(vad) > 0).map(({ participant_uuid: id }) => String(id));
    this.#emit('speakers', { ids: this.speakers });
  }

  #laidOut(data) {
    this.#layout = readLayout(data, this.#isMany);
    this.shown = this.#layout.shown;
    this.#qualities.forget((id) => id !== SCREEN && !this.shown.includes(id));
    if (this.#isMany) {
      this.#peers.main?.setPictures(this.#layout.streams);
      this.#emit('screen', {});
    }
    this.#emit('layout', {});
  }

  #presented(id) {
    if (id !== this.presenter) this.#qualities.forget((one) => one === SCREEN);
    this.presenter = id;
    this.#wants.send();
    if (id === this.id || this.#isMany) return;
    if (id === null) this.#close('receive');
    else this.#open('receive').catch((error) => console.warn('patchbay: the screen is not shown', error));
    this.#emit('screen', {});
  }

  #message({ origin, payload, uuid }) {
    const id = String(uuid ?? '');
    if (id !== this.id) this.#emit('message', { id, name: String(origin ?? ''), text: String(payload ?? '') });
  }

  #hungUp({ call_uuid: call, reason }) {
    const use = Object.keys(this.#peers).find((one) => this.#peers[one]?.call === call);
    if (use === 'main' || call === undefined) this.#end('over', reason);
    else if (use) this.#close(use);
  }

  #referred(alias, token) {
    this.leave();
    this.#emit('referred', { alias: String(alias), token: String(token ?? '') });
  }

  #setProblem(problem) {
    clearTimeout(this.#reachTimer);
    if (problem === this.problem) return;
    this.problem = problem;
    this.#emit('problem', { problem });
  }

  #end(reason, sentence = '') {
    if (this.state === 'ended') return;
    this.#events.stop();
    clearInterval(this.#refreshTimer);
    this.#setState('ended', { reason, sentence: String(sentence ?? '') });
    this.#closeAll();
    this.#token = '';
  }

  #setState(state, detail = {}) {
    if (state === this.state || this.state === 'ended') return;
    this.state = state;
    this.#emit('state', { state, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
