/**
 * The client of a call from one person to another over `/call`: registers a name, then calls somebody or waits to be
 * called. It has no user interface, and any page of the same origin can import it:
 *
 * ```js
 * import { CallClient } from '/static/client/call-client.js';
 *
 * const client = new CallClient({ self: '1', other: '2', role: 'caller' });
 * client.addEventListener('stream', ({ detail }) => { video.srcObject = detail.stream; });
 * client.addEventListener('state', ({ detail }) => console.log(detail.state, detail.reason));
 * client.start();
 * ```
 *
 * Events (`detail` in braces):
 * - `state` {state, reason?}: see CallState; `ended` comes with a reason, see EndReason
 * - `stream` {stream}: the other side's media
 * - `problem` {problem}: why no connection has been made so far, see reach.js; null when that is over
 * - `away` {who}: the side (`self` or `other`) that has lost its connection while the call goes on, or null
 * - `decoding` {}: the formats from the other side that this browser cannot decode have changed, see `undecodable`
 */
import { CallPeer } from './call-peer.js';
import { FormatChange } from './format-change.js';
import { PathWatch } from './path-watch.js';
import { REACH_PATIENCE_MS, reachProblem } from './reach.js';
import { SignalingSocket } from './signaling-socket.js';

/**
 * - `connecting`: to the server
 * - `waiting`: the client can be called
 * - `calling`: it rings at the other side, or will ring as soon as they are there
 * - `ringing`: the other side calls; `accept` or `refuse`
 * - `starting`: the call was accepted, and the media connection is being made
 * - `talking`
 * - `ended`: the client has stopped; `start` may be called again
 * @typedef {'idle' | 'connecting' | 'waiting' | 'calling' | 'ringing' | 'starting' | 'talking' | 'ended'} CallState
 */

/**
 * `hungUp` (here), `over` (by the other side), `refused`, `declined` (here), `busy`, `timeout`, `missed` (the caller gave
 * up), `offline`, `noDevice` (the other side has none), `lost` (media), `unreachable` (the server), `replaced` (the same
 * name registered elsewhere), `unknown` (the server does not know the name), `noAddress` and `noPath` (no connection was
 * possible, see reach.js), `tokenMissing`, `tokenRefused`, `nameTaken` (by somebody with a token), `failed`
 * @typedef {string} EndReason
 */

/** A callee's page that is just being opened registers within this time; until then the client repeats the call. */
const CALLEE_PATIENCE_MS = 15_000;
const CALL_AGAIN_MS = 1000;
/** Short interruptions heal by themselves; after this time the client looks for another way to the server, again and again … */
const DISCONNECTED_MS = 500;
const RESTART_EVERY_MS = 6000;
/** … until the server has given up the connection, too. */
const LOST_MS = 300_000;
/** The time from the answer to `connected`. */
const CONNECT_TIMEOUT_MS = 15_000;
/** The time for an answer to another offer in the call. A server under load answers late, one that refused the offer never does. */
const ANSWER_PATIENCE_MS = 10_000;
/** The close code with which the server ends a session whose name was registered again elsewhere. */
const CLOSE_REPLACED = 4001;
const REGISTER_REJECTIONS = [
  ['no such user', 'unknown'],
  ['this server asks for a token', 'tokenMissing'],
  ['the token ', 'tokenRefused'],
  ['the name is held', 'nameTaken'],
];
const REJECTIONS = { bussy: 'busy', 'user declined': 'refused', timeout: 'timeout' };

export class CallClient extends EventTarget {
  /** @type {CallState} */
  state = 'idle';
  /** @type {CallPeer | null} */
  peer = null;
  /** The reason why there is no connection although the call was accepted. @type {import('./reach.js').ReachProblem | null} */
  problem = null;
  /** The formats that the other side sends and that this browser cannot decode; null where there is none. */
  undecodable = { audio: null, video: null };
  self;
  other;
  role;
  audioOnly;

  #socket;
  #tracks = { audio: null, video: null };
  #offer = '';
  #calledAt = 0;
  #callTimer = 0;
  #mediaTimer = 0;
  #reachTimer = 0;
  #lostAt = 0;
  #isOtherLost = false;
  /** A connection that has failed, until the server has put another one in its place: closing it earlier would end the call. */
  #failedPeer = null;
  #pathWatch = null;
  /** The time, by `performance.now()`, until which the client waits for the answer to another offer in the call. */
  #answerUntil = 0;
  #formatChange = new FormatChange(() => this.#offerAllFormats());
  #handlers = {
    registerResponse: (message) => this.#registered(message),
    incomingCall: (message) => this.#incoming(message),
    callResponse: (message) => this.#callAnswered(message),
    startCommunication: ({ sdpAnswer }) => this.#answered(sdpAnswer),
    restartAnswer: ({ sdpAnswer }) => this.#restarted(sdpAnswer),
    otherMedia: ({ media }) => this.#otherChanged(media === 'lost'),
    iceCandidate: ({ candidate }) => this.peer?.acceptCandidate(candidate),
    stopCommunication: () => this.#stopped(),
    incomingCallError: () => this.#end('noDevice'),
    mediaUndecodable: (message) => this.#decoding(message, String(message.codec ?? '')),
    mediaDecodable: (message) => this.#decoding(message, null),
  };

  /**
   * @param {object} options
   * @param {string} options.self one's own name; a client that registers the same name later replaces this one
   * @param {string} options.other the person to call, or whose call to take
   * @param {'caller' | 'callee'} options.role
   * @param {boolean} [options.audioOnly]
   * @param {string} [options.token] proves that `self` is one's own
   * @param {string} [options.url] default: `/call` of the page's own server
   */
  constructor({ self, other, role, audioOnly = false, token = '', url = defaultUrl() }) {
    super();
    Object.assign(this, { self: String(self), other: String(other), role, audioOnly });
    this.#socket = new SignalingSocket(url, {
      onOpen: () => this.#socket.send({ id: 'register', name: this.self, notices: true, ...(token && { token }) }),
      onMessage: (frame) => this.#receive(frame),
      onLost: ({ code }) => this.#lost(code),
      probe: () => ({ id: 'heart' }),
    }, { mayResume: true, silenceMs: 10_000 });
  }

  start() {
    if (this.state !== 'idle' && this.state !== 'ended') return;
    this.#setState('connecting');
    this.#socket.open();
  }

  accept() {
    if (this.state === 'ringing') this.#accept();
  }

  refuse() {
    if (this.state !== 'ringing') return;
    this.#refuse(this.other, 'user declined');
    this.#end('declined');
  }

  /** Refuses the call because this person can neither be heard nor seen; the caller is sent that reason. */
  refuseForWantOfDevices() {
    if (this.state !== 'ringing') return;
    this.#socket.send({ id: 'incomingCallErrorResponse', from: this.other, to: this.self, errorResponse: 'NoDevice' });
    this.#end('declined');
  }

  hangUp() {
    if (this.state === 'ended' || this.state === 'idle') return;
    this.#socket.send({ id: 'stop' });
    this.#end('hungUp');
  }

  /** @param {MediaStreamTrack | null} track null to be muted */
  async setAudio(track) {
    this.#tracks.audio = track;
    await this.peer?.setTrack('audio', track);
  }

  /** @param {MediaStreamTrack | null} track null shows nothing */
  async setVideo(track) {
    this.#tracks.video = track;
    await this.peer?.setTrack('video', track);
  }

  #receive(frame) {
    let message = null;
    try {
      message = JSON.parse(frame);
    } catch {
      return;
    }
    if (Object.hasOwn(this.#handlers, message?.id)) this.#handlers[message.id](message);
  }

  #registered({ response, message }) {
    if (this.state !== 'connecting') return;
    if (response !== 'accepted') {
      const known = REGISTER_REJECTIONS.find(([sentence]) => String(message).startsWith(sentence));
      this.#end(known?.[1] ?? 'failed');
      return;
    }
    this.#socket.markHealthy();
    if (this.role === 'caller') this.#call();
    else this.#setState('waiting');
  }

  async #call() {
    this.#setState('calling');
    this.#calledAt = performance.now();
    const peer = this.#openPeer();
    this.#offer = await peer.offer();
    if (peer === this.peer && this.state === 'calling') this.#sendCall();
  }

  #sendCall() {
    this.#socket.send({ id: 'call', from: this.self, to: this.other, sdpOffer: this.#offer });
  }

  #callAnswered({ response, message, sdpAnswer }) {
    if (this.state !== 'calling') return;
    if (response === 'accepted') {
      this.#answered(sdpAnswer);
    } else if (String(response).endsWith('is not registered')) {
      if (performance.now() - this.#calledAt > CALLEE_PATIENCE_MS) this.#end('offline');
      else this.#callTimer = setTimeout(() => this.#sendCall(), CALL_AGAIN_MS);
    } else {
      const reason = message === undefined ? 'refused' : REJECTIONS[message];
      this.#end(reason ?? (String(message).endsWith('is gone') ? 'offline' : 'failed'));
    }
  }

  #incoming({ from }) {
    if (this.state === 'waiting' && String(from) === this.other) this.#setState('ringing');
    // The person who opened this page wants to talk to one other: nobody else gets a camera by calling first.
    else this.#refuse(from, this.state === 'waiting' ? 'user declined' : 'bussy');
  }

  #refuse(from, message) {
    this.#socket.send({ id: 'incomingCallResponse', from, callResponse: 'reject', message });
  }

  async #accept() {
    this.#setState('starting');
    const peer = this.#openPeer();
    const sdpOffer = await peer.offer();
    if (peer !== this.peer) return;
    this.#socket.send({ id: 'incomingCallResponse', from: this.other, callResponse: 'accept', sdpOffer });
  }

  async #answered(sdp) {
    const { peer } = this;
    if (!peer) return;
    if (this.state !== 'starting') this.#setState('starting');
    this.#mediaTimer = setTimeout(() => this.#mediaLost(this.problem ?? 'lost'), CONNECT_TIMEOUT_MS);
    this.#reachTimer = setTimeout(() => peer === this.peer && this.#setProblem(reachProblem(peer.pc)), REACH_PATIENCE_MS);
    try {
      await peer.acceptAnswer(sdp);
    } catch (error) {
      console.warn('patchbay: answer refused', error);
      if (peer === this.peer) this.#mediaLost('failed');
    }
  }

  /** About one's own video: another format is sent from now on, if there is one. About the other's: it cannot be shown here. */
  #decoding({ from, to, media }, undecodable) {
    if (String(from) === this.self && media === 'video' && undecodable !== null) this.#formatChange.want();
    if (String(to) !== this.self) return;
    this.undecodable[media === 'audio' ? 'audio' : 'video'] = undecodable;
    this.#emit('decoding', {});
  }

  #stopped() {
    if (this.state === 'ringing') this.#end('missed');
    else if (this.state === 'starting' || this.state === 'talking') this.#end('over');
  }

  #openPeer() {
    this.peer?.close();
    this.undecodable = { audio: null, video: null };
    this.#emit('decoding', {});
    const peer = new CallPeer({
      ...this.#tracks,
      audioOnly: this.audioOnly,
      onCandidate: ({ candidate, sdpMid, sdpMLineIndex }) => {
        this.#socket.send({ id: 'onIceCandidate', candidate: { candidate, sdpMid, sdpMLineIndex } });
      },
      onState: () => peer === this.peer && this.#mediaStateChanged(peer.state),
      onStream: () => this.#emit('stream', { stream: peer.stream }),
    });
    this.#pathWatch?.stop();
    this.#pathWatch = new PathWatch(peer.pc, () => peer === this.peer && this.#findAnotherWay());
    this.peer = peer;
    return peer;
  }

  /** Looks for another way to the server before the browser calls the connection lost. */
  async #findAnotherWay() {
    const { peer } = this;
    if (this.state === 'talking' && !this.#lostAt) await this.#offerAnew(() => peer.restartOffer());
  }

  #mediaStateChanged(state) {
    if (state === 'connected') {
      clearTimeout(this.#mediaTimer);
      clearTimeout(this.#reachTimer);
      this.#setProblem(null);
      this.#lostAt = 0;
      if (this.state === 'starting') this.#setState('talking');
      else this.#awayChanged();
    } else if (this.state === 'talking' && (state === 'disconnected' || state === 'failed') && !this.#lostAt) {
      clearTimeout(this.#mediaTimer);
      this.#lostAt = performance.now();
      this.#mediaTimer = setTimeout(() => this.#restart(), state === 'failed' ? 0 : DISCONNECTED_MS);
      this.#awayChanged();
      // Perhaps there is no network any more, and nothing has noticed it yet.
      this.#socket.check();
    } else if (state === 'failed' && !this.#lostAt) {
      this.#mediaLost(this.problem ?? 'lost');
    }
  }

  #setProblem(problem) {
    if (problem === this.problem) return;
    this.problem = problem;
    this.#emit('problem', { problem });
  }

  async #restart() {
    const { peer } = this;
    if (performance.now() - this.#lostAt > LOST_MS) {
      this.#mediaLost();
      return;
    }
    this.#mediaTimer = setTimeout(() => this.#restart(), RESTART_EVERY_MS);
    await this.#offerAnew(() => (peer.state === 'failed' ? this.#replacePeer().offer() : peer.restartOffer()));
  }

  /** Firefox sends nothing more over a connection that has failed, whatever way ICE finds for it later. */
  #replacePeer() {
    if (this.#failedPeer) this.peer.close();
    else this.#failedPeer = this.peer;
    this.peer = null;
    return this.#openPeer();
  }

  async #offerAllFormats() {
    const { peer } = this;
    if (peer && !(await this.#offerAnew(() => peer.formatsOffer()))) this.#formatChange.want();
  }

  /**
   * An answer does not say to which offer it belongs, so only one offer may be open.
   * @returns {Promise<boolean>} false if another one is still open
   */
  async #offerAnew(makeOffer) {
    if (performance.now() < this.#answerUntil) return false;
    this.#answerUntil = performance.now() + ANSWER_PATIENCE_MS;
    const offer = makeOffer();
    const { peer } = this;
    const sdpOffer = await offer.catch((error) => console.warn('patchbay: could not offer', error));
    if (peer !== this.peer) return true;
    if (!sdpOffer || !this.#socket.send({ id: 'restart', sdpOffer })) this.#answerUntil = 0;
    return true;
  }

  async #restarted(sdp) {
    try {
      await this.peer?.acceptAnswer(sdp);
      // Only now has the server put the new one in its place: closing the old one earlier would end the call.
      this.#closeFailed();
    } catch (error) {
      console.warn('patchbay: answer refused', error);
    }
    this.#answerUntil = 0;
  }

  #closeFailed() {
    this.#failedPeer?.close();
    this.#failedPeer = null;
  }

  #otherChanged(isLost) {
    this.#isOtherLost = isLost;
    this.#awayChanged();
  }

  #awayChanged() {
    const who = this.#lostAt ? 'self' : this.#isOtherLost ? 'other' : null;
    this.#emit('away', { who });
  }

  #mediaLost(reason = 'lost') {
    this.#socket.send({ id: 'stop' });
    this.#end(reason);
  }

  /** A client that waits to be called, or is not registered yet, tries again; a call ends with its connection. */
  #lost(code) {
    if (code === CLOSE_REPLACED) this.#end('replaced');
    else if (this.state === 'waiting' || this.state === 'connecting') this.#setState('connecting');
    else this.#end('unreachable');
    return this.state !== 'ended';
  }

  #end(reason) {
    clearTimeout(this.#callTimer);
    clearTimeout(this.#mediaTimer);
    clearTimeout(this.#reachTimer);
    this.problem = null;
    this.#lostAt = 0;
    this.#answerUntil = 0;
    this.#formatChange.stop();
    this.#otherChanged(false);
    this.#socket.close();
    this.#closeFailed();
    this.#pathWatch?.stop();
    this.peer?.close();
    this.peer = null;
    this.#setState('ended', { reason });
  }

  #setState(state, detail = {}) {
    this.state = state;
    this.#emit('state', { state, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function defaultUrl() {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/call`;
}
