/**
 * A WebSocket that comes back: it reconnects with growing pauses until it is closed on purpose, and notices a
 * connection that is dead although nobody closed it.
 *
 * Where it may resume, the session goes on over the next socket, if that comes soon: nothing that was sent meanwhile is
 * missed in either direction, and the handlers do not even notice, but for `onCut`.
 *
 * It carries objects as JSON, or in the encoding that it is given, and does not know what they mean.
 */
import { Resumption, readGreeting } from './resumption.js';

/** Pauses between attempts. The first is short because most losses are short. The last one is long so that not
 * everybody comes back to a restarted server at once. */
const PAUSES_MS = [300, 1000, 2000, 4000, 8000];
/** … and where the session may go on, which the server waits for some seconds. A proxy that starts again cuts everybody at once. */
const RESUME_PAUSES_MS = [400, 1000, 2000, 4000];
/** An attempt that neither opens nor fails within this time is given up. */
const OPEN_TIMEOUT_MS = 8000;
/** After this much silence the other side is asked for a sign of life … */
const SILENCE_MS = 20_000;
/** … which has to come within this time, … */
const PROBE_TIMEOUT_MS = 6000;
/** … or this one where the network has changed: another socket costs little if the session goes on. */
const URGENT_PROBE_TIMEOUT_MS = 2500;

/** The connection has ended without a word: its network has changed, or a proxy has been restarted. */
const CLOSED_WITHOUT_A_WORD = 1006;
/** This page takes the connection for dead. To the server it means that the page may come with another one. */
const CLOSED_AS_DEAD = 4008;
/** What proxies say that are restarted, or whose server is, beside silence. */
const CLOSED_BY_PROXY = [1001, 1014];
/** The server says 1001, too, when it stops, with this reason: its sessions have ended. */
const SERVER_STOPS = 'the server is going down';
/** What is missing is not kept any more: the session begins anew. */
const CLOSED_NOT_RESUMED = 4412;

export class SignalingSocket {
  #url;
  #handlers;
  #probe;
  #encode;
  #socket = null;
  #attempt = 0;
  #closed = true;
  #retryTimer = 0;
  #openTimer = 0;
  #lifeTimer = 0;
  #wake = () => this.#onWake();
  /** @type {Resumption | null} */
  #resumption;
  /** Whether messages on the socket belong to the session: the server has said that it goes on, or that it is a new one. */
  #isSettled = false;
  #isGreeted = false;
  /** The time, by `performance.now()`, when the last socket of a session that may go on was lost; 0 where it has one. */
  #cutAt = 0;
  /** @type {object[]} what was sent since then */
  #waiting = [];
  #silenceMs;

  /**
   * @param {string} url
   * @param {object} handlers
   * @param {() => void} handlers.onOpen a fresh session: everything has to be sent again
   * @param {(frame: string | ArrayBuffer) => void} handlers.onMessage
   * @param {(why: {code: number, retryInMs: number, attempt: number}) => boolean} handlers.onLost the session
   *        has ended; return false to give up instead of trying again
   * @param {(isCut: boolean) => void} [handlers.onCut] there is no connection at the moment, and the session goes on; or it has one again,
   *        or has ended
   * @param {(messages: object[]) => void} [handlers.onUnsent] the session has ended before these could be sent: they were sent while it was cut
   * @param {() => object} handlers.probe makes a message that any server answers
   * @param {(message: object) => string | Uint8Array} [handlers.encode] JSON where it is not given
   * @param {{mayResume?: boolean, silenceMs?: number}} [options] silenceMs: time after which the other side is asked for a sign of life
   */
  constructor(url, handlers, { mayResume = false, silenceMs = SILENCE_MS } = {}) {
    this.#url = url;
    this.#handlers = handlers;
    this.#probe = handlers.probe;
    this.#encode = handlers.encode ?? JSON.stringify;
    this.#resumption = mayResume ? new Resumption() : null;
    this.#silenceMs = silenceMs;
  }

  get isOpen() {
    return this.#isSettled && this.#socket?.readyState === WebSocket.OPEN;
  }

  open() {
    if (!this.#closed) return;
    this.#closed = false;
    this.#attempt = 0;
    this.#resumption?.begin();
    globalThis.addEventListener?.('online', this.#wake);
    globalThis.document?.addEventListener('visibilitychange', this.#wake);
    this.#connect();
  }

  /** Closes for good (until `open` is called again). */
  close(code = 1000) {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#lifeTimer);
    globalThis.removeEventListener?.('online', this.#wake);
    globalThis.document?.removeEventListener('visibilitychange', this.#wake);
    const isCut = this.#cutAt > 0;
    this.#drop(code);
    if (isCut && this.#resumption.isPossible) sayGoodbye(this.#resumption.address(this.#url), this.#resumption, code);
    this.#waiting = [];
    this.#setCut(false);
  }

  /** Tries at once instead of waiting for the next attempt. */
  retryNow() {
    if (this.#closed || this.#socket) return;
    this.#connect();
  }

  /** Call when the server has shown that it works: after the next loss the pauses begin with the shortest again. */
  markHealthy() {
    this.#attempt = 0;
  }

  /** @returns {boolean} whether the message could be handed to an open connection, or waits for the next one of its session */
  send(message) {
    const { isOpen } = this;
    if (!isOpen && !this.#cutAt) return false;
    const encoded = this.#encode(message);
    this.#resumption?.keep(encoded);
    if (isOpen) this.#socket.send(encoded);
    else this.#waiting.push(message);
    return true;
  }

  /** Asks for a sign of life now, for example when media have stopped. */
  check({ isUrgent = true } = {}) {
    if (!this.isOpen) return;
    clearTimeout(this.#lifeTimer);
    this.send(this.#probe());
    const patience = isUrgent && this.#resumption?.isPossible ? URGENT_PROBE_TIMEOUT_MS : PROBE_TIMEOUT_MS;
    this.#lifeTimer = setTimeout(() => this.#lost(CLOSED_AS_DEAD), patience);
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    const resumes = this.#resumption?.isPossible ?? false;
    let socket;
    try {
      socket = new WebSocket(this.#resumption?.address(this.#url) ?? this.#url);
    } catch {
      this.#lost(CLOSED_WITHOUT_A_WORD);
      return;
    }
    this.#socket = socket;
    this.#isSettled = !resumes;
    this.#isGreeted = !this.#resumption;
    socket.binaryType = 'arraybuffer';
    const giveUp = () => socket === this.#socket && this.#lost(CLOSED_AS_DEAD);
    this.#openTimer = setTimeout(giveUp, OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      if (resumes || socket !== this.#socket) return;
      clearTimeout(this.#openTimer);
      this.#sawLife();
      this.#handlers.onOpen();
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      clearTimeout(this.#openTimer);
      this.#sawLife();
      const greeting = this.#isGreeted ? null : readGreeting(data);
      this.#isGreeted = true;
      if (greeting) {
        this.#greeted(greeting, resumes);
        return;
      }
      this.#resumption?.countReceived();
      this.#handlers.onMessage(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      this.#lost(CLOSED_BY_PROXY.includes(code) && reason !== SERVER_STOPS ? CLOSED_WITHOUT_A_WORD : code);
    };
  }

  /** The server has said on a new socket which session it belongs to. */
  #greeted({ token, withinMs, received }, resumes) {
    const goesOn = resumes && received !== undefined;
    if (goesOn) {
      const missing = this.#resumption.missing(received);
      if (!missing) {
        this.#lost(CLOSED_NOT_RESUMED);
        return;
      }
      this.#resumption.renew(token);
      for (const message of missing) this.#socket.send(message);
      this.#attempt = 0;
      this.#isSettled = true;
      this.#waiting = [];
      this.#setCut(false);
      return;
    }
    if (!resumes) {
      this.#resumption.begin(token, withinMs);
      return;
    }
    // The session has ended meanwhile, and this is a new one.
    this.#sessionEnded();
    this.#resumption.begin(token, withinMs);
    this.#isSettled = true;
    if (this.#handlers.onLost({ code: CLOSED_NOT_RESUMED, retryInMs: 0, attempt: 1 }) === false) this.close();
    else this.#handlers.onOpen();
  }

  #lost(code) {
    const isCut = this.#mayGoOn(code);
    this.#drop(isCut ? CLOSED_AS_DEAD : 1000);
    if (this.#closed) return;
    if (!isCut) this.#sessionEnded();
    const pauses = isCut ? RESUME_PAUSES_MS : PAUSES_MS;
    const pause = pauses[Math.min(this.#attempt, pauses.length - 1)];
    const retryInMs = Math.round(pause * (0.75 + Math.random() * 0.5));
    this.#attempt += 1;
    if (isCut) this.#setCut(true);
    else if (this.#handlers.onLost({ code, retryInMs, attempt: this.#attempt }) === false) {
      this.close();
      return;
    }
    if (!this.#closed) this.#retryTimer = setTimeout(() => this.#connect(), retryInMs);
  }

  /** Whether the session may go on over another socket. The server may have noticed the loss later than this page. */
  #mayGoOn(code) {
    if (!this.#resumption?.isPossible || (code !== CLOSED_WITHOUT_A_WORD && code !== CLOSED_AS_DEAD)) return false;
    return !this.#cutAt || performance.now() - this.#cutAt < 2 * this.#resumption.withinMs;
  }

  #sessionEnded() {
    this.#resumption?.begin();
    const unsent = this.#waiting;
    this.#waiting = [];
    this.#setCut(false);
    if (unsent.length > 0) this.#handlers.onUnsent?.(unsent);
  }

  #setCut(isCut) {
    if (isCut === this.#cutAt > 0) return;
    this.#cutAt = isCut ? performance.now() : 0;
    this.#handlers.onCut?.(isCut);
  }

  #drop(code) {
    clearTimeout(this.#openTimer);
    clearTimeout(this.#lifeTimer);
    const socket = this.#socket;
    this.#socket = null;
    this.#isSettled = false;
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(code);
  }

  #sawLife() {
    clearTimeout(this.#lifeTimer);
    this.#lifeTimer = setTimeout(() => this.check({ isUrgent: false }), this.#silenceMs);
  }

  #onWake() {
    if (globalThis.document?.visibilityState === 'hidden') return;
    if (this.isOpen) this.check();
    else this.retryNow();
  }
}

/** Ends a session that has no socket at the moment: others are not to see somebody who has left. It is tried once. */
function sayGoodbye(address, resumption, code) {
  const socket = new WebSocket(address);
  const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
  socket.onclose = () => clearTimeout(timer);
  socket.onmessage = ({ data }) => {
    socket.onmessage = null;
    const missing = resumption.missing(readGreeting(data)?.received ?? Number.MAX_SAFE_INTEGER);
    for (const message of missing ?? []) socket.send(message);
    socket.close(code);
  };
}
