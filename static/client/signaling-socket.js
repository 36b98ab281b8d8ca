/**
 * A WebSocket that comes back: it reconnects with growing pauses until it is closed on purpose, and notices a
 * connection that is dead although nobody closed it.
 *
 * It carries objects as JSON, or in the encoding that it is given, and does not know what they mean.
 */

/** Pauses between attempts. The first is short because most losses are short. The last one is long so that not
 * everybody comes back to a restarted server at once. */
const PAUSES_MS = [300, 1000, 2000, 4000, 8000];
/** An attempt that neither opens nor fails within this time is given up. */
const OPEN_TIMEOUT_MS = 8000;
/** After this much silence the other side is asked for a sign of life … */
const SILENCE_MS = 20_000;
/** … which has to come within this time. */
const PROBE_TIMEOUT_MS = 6000;

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

  /**
   * @param {string} url
   * @param {object} handlers
   * @param {() => void} handlers.onOpen a fresh connection: everything has to be sent again
   * @param {(frame: string | ArrayBuffer) => void} handlers.onMessage
   * @param {(why: {code: number, retryInMs: number, attempt: number}) => boolean} handlers.onLost the connection
   *        is gone; return false to give up instead of trying again
   * @param {() => object} handlers.probe makes a message that any server answers
   * @param {(message: object) => string | Uint8Array} [handlers.encode] JSON where it is not given
   */
  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    this.#probe = handlers.probe;
    this.#encode = handlers.encode ?? JSON.stringify;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  open() {
    if (!this.#closed) return;
    this.#closed = false;
    this.#attempt = 0;
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
    this.#drop(code);
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

  /** @returns {boolean} whether the message could be handed to an open connection */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(this.#encode(message));
    return true;
  }

  /** Asks for a sign of life now, for example when media have stopped. */
  check() {
    if (!this.isOpen) return;
    clearTimeout(this.#lifeTimer);
    this.send(this.#probe());
    this.#lifeTimer = setTimeout(() => this.#lost(4008), PROBE_TIMEOUT_MS);
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    let socket;
    try {
      socket = new WebSocket(this.#url);
    } catch {
      this.#lost(1006);
      return;
    }
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    this.#openTimer = setTimeout(() => socket === this.#socket && this.#lost(4008), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(this.#openTimer);
      this.#sawLife();
      this.#handlers.onOpen();
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#sawLife();
      this.#handlers.onMessage(data);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(code);
    };
  }

  #lost(code) {
    this.#drop(1000);
    if (this.#closed) return;
    const pause = PAUSES_MS[Math.min(this.#attempt, PAUSES_MS.length - 1)];
    const retryInMs = Math.round(pause * (0.75 + Math.random() * 0.5));
    this.#attempt += 1;
    if (this.#handlers.onLost({ code, retryInMs, attempt: this.#attempt }) === false) {
      this.close();
      return;
    }
    if (!this.#closed) this.#retryTimer = setTimeout(() => this.#connect(), retryInMs);
  }

  #drop(code) {
    clearTimeout(this.#openTimer);
    clearTimeout(this.#lifeTimer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(code);
  }

  #sawLife() {
    clearTimeout(this.#lifeTimer);
    this.#lifeTimer = setTimeout(() => this.check(), SILENCE_MS);
  }

  #onWake() {
    if (globalThis.document?.visibilityState === 'hidden') return;
    if (this.isOpen) this.check();
    else this.retryNow();
  }
}
