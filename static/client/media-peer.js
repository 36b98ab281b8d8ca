/**
 * One WebRTC connection to the server, which is kept alive: the client offers, the server answers, and a
 * connection that fails is made again with growing pauses.
 *
 * Publisher and Subscriber decide what it carries. A new connection is always a new RTCPeerConnection: this
 * also works when an ICE restart could not, and the server replaces the earlier one.
 */
import { rtcConfiguration } from './ice-servers.js';
import { REACH_PATIENCE_MS, reachProblem } from './reach.js';
import { outgoing } from './wire.js';

/** Short interruptions heal by themselves; longer ones are answered with a new connection. */
const DISCONNECTED_GRACE_MS = 4000;
/** The time from offer to `connected`. A server under load answers late, one that lost the offer never does. */
const CONNECT_TIMEOUT_MS = 12_000;
/** Time in which something comes through every connection: media, reports, or answers to the browser's own checks. */
const PATH_CHECK_MS = 3000;
const PAUSES_MS = [300, 1000, 2000, 4000, 8000];

export class MediaPeer {
  /** The id of this connection in signaling: one's own to publish, another's to subscribe. */
  id;
  /** @type {RTCPeerConnection | null} */
  pc = null;
  /** The number of connections made so far, for diagnosis. */
  generation = 0;
  /** The reason why there is no connection although the server answers. @type {import('./reach.js').ReachProblem | null} */
  problem = null;

  #send;
  #onState;
  #attempt = 0;
  #timer = 0;
  #reachTimer = 0;
  #closed = false;
  #answered = false;
  /** Offers sent and not yet answered or refused. Answers come in order and name only the id. */
  #offersOut = 0;
  #restartWhenAnswered = false;
  #earlyCandidates = [];

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {(message: object) => boolean} options.send
   * @param {() => void} options.onState called on every change of `state`
   */
  constructor({ id, send, onState }) {
    this.id = id;
    this.#send = send;
    this.#onState = onState;
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.pc?.connectionState ?? 'closed';
  }

  /** Subclasses add their transceivers to the new connection. */
  async prepare(_pc) {}

  /** Makes a new connection; an earlier one is closed. */
  async start() {
    if (this.#closed) return;
    this.#stop();
    const pc = new RTCPeerConnection(rtcConfiguration());
    this.pc = pc;
    this.generation += 1;
    this.#answered = false;
    this.#restartWhenAnswered = false;
    this.#earlyCandidates = [];
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate && pc === this.pc) this.#send(outgoing.candidate(this.id, candidate));
    };
    pc.onconnectionstatechange = () => pc === this.pc && this.#stateChanged(pc.connectionState);
    this.#timer = setTimeout(() => this.#retry(), CONNECT_TIMEOUT_MS);
    try {
      await this.prepare(pc);
      await pc.setLocalDescription();
      if (pc === this.pc && this.#send(outgoing.offer(this.id, pc.localDescription.sdp))) this.#offersOut += 1;
    } catch (error) {
      console.warn('patchbay: could not offer', this.id, error);
      if (pc === this.pc) this.#retry();
    }
  }

  /** Begins anew on a fresh signaling connection: the server never answers offers of the former one. */
  async startAfresh() {
    this.#offersOut = 0;
    await this.start();
  }

  /** Call when the server has refused an offer; a new one is made when the time for connecting is over. */
  offerRefused() {
    this.#offersOut = Math.max(0, this.#offersOut - 1);
    // A connection that works goes on as it was.
    if (this.#answered && this.pc?.signalingState === 'have-local-offer') {
      this.pc.setLocalDescription({ type: 'rollback' }).catch((error) => console.debug('patchbay: offer kept', error));
    }
  }

  /** Offers the live connection once more; it goes on as the server's new answer says. */
  async offerAgain() {
    const { pc } = this;
    if (!this.#answered || pc?.signalingState !== 'stable') return;
    try {
      await pc.setLocalDescription();
    } catch (error) {
      console.warn('patchbay: could not offer again', this.id, error);
      return;
    }
    if (pc === this.pc && this.#send(outgoing.offer(this.id, pc.localDescription.sdp))) this.#offersOut += 1;
  }

  /**
   * Makes the connection again because what it should carry has changed. An answer names only the id, not the
   * offer it belongs to, so a second offer waits for the first one's answer.
   */
  async restart() {
    if (this.pc && !this.#answered) this.#restartWhenAnswered = true;
    else await this.start();
  }

  /** The network may have changed: a connection through which nothing comes any more is made again at once. */
  async checkPath() {
    const { pc } = this;
    if (!pc || !this.#answered) return;
    if (pc.connectionState === 'connected') {
      const before = await received(pc);
      await new Promise((resolve) => setTimeout(resolve, PATH_CHECK_MS));
      if (pc !== this.pc || (await received(pc)) !== before) return;
    }
    if (pc === this.pc) await this.start();
  }

  async acceptAnswer(sdp) {
    this.#offersOut = Math.max(0, this.#offersOut - 1);
    const pc = this.pc;
    // While more offers are open, this answers an earlier one, whose connection was closed.
    if (this.#offersOut > 0 || pc?.signalingState !== 'have-local-offer') return;
    if (this.#restartWhenAnswered) {
      await this.start();
      return;
    }
    try {
      await pc.setRemoteDescription({ type: 'answer', sdp });
    } catch (error) {
      console.warn('patchbay: answer refused', this.id, error);
      if (pc === this.pc) this.#retry();
      return;
    }
    if (pc !== this.pc) return;
    this.#answered = true;
    this.#reachTimer = setTimeout(() => pc === this.pc && this.#setProblem(reachProblem(pc)), REACH_PATIENCE_MS);
    for (const candidate of this.#earlyCandidates.splice(0)) this.#addCandidate(candidate);
  }

  acceptCandidate(candidate) {
    if (!candidate?.candidate || !this.pc) return;
    if (this.#answered) this.#addCandidate(candidate);
    // A server has a handful of addresses; more early candidates than that make no sense.
    else if (this.#earlyCandidates.length < 64) this.#earlyCandidates.push(candidate);
  }

  close() {
    this.#closed = true;
    this.#stop();
    this.#onState();
  }

  #addCandidate(candidate) {
    this.pc.addIceCandidate(candidate).catch((error) => console.debug('patchbay: candidate ignored', error));
  }

  #stateChanged(state) {
    if (state === 'connected') {
      clearTimeout(this.#timer);
      clearTimeout(this.#reachTimer);
      this.#attempt = 0;
      this.problem = null;
    } else if (state === 'disconnected') {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#retry(), DISCONNECTED_GRACE_MS);
    } else if (state === 'failed') {
      this.#retry();
    }
    this.#onState();
  }

  /** The problem stays until a connection is made: the next attempt will most likely have it, too. */
  #setProblem(problem) {
    if (this.state === 'connected' || problem === this.problem) return;
    this.problem = problem;
    this.#onState();
  }

  #retry() {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const pause = PAUSES_MS[Math.min(this.#attempt, PAUSES_MS.length - 1)];
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.start(), pause);
  }

  #stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#reachTimer);
    const pc = this.pc;
    this.pc = null;
    if (!pc) return;
    pc.onicecandidate = pc.onconnectionstatechange = pc.ontrack = null;
    pc.close();
  }
}

/** How much has come through a connection: bytes of media, and answers to checks. */
async function received(pc) {
  let sum = 0;
  for (const report of (await pc.getStats()).values()) {
    if (report.type === 'candidate-pair') sum += (report.bytesReceived ?? 0) + (report.responsesReceived ?? 0);
  }
  return sum;
}
