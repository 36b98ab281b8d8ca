/**
 * What a page needs to go on with its session over another WebSocket: the token, how many messages it has received, and
 * the messages that it has sent last. Both sides count the messages, but not the server's first one on each socket, which
 * says `{"resume": {token, withinMs, received?}}`. Each of these has another token, for the next socket.
 */

/** As many messages are kept for the next socket: those of a page that enters a full room … */
const KEPT_MAX = 2048;
/** … and as many characters or bytes. */
const KEPT_LENGTH_MAX = 4 * 1024 * 1024;
/** The server has taken nothing between so many sockets: it cannot read what is sent again. */
const IN_VAIN_MAX = 3;

export class Resumption {
  /** How long the server waits for the next socket, in milliseconds; 0 where it has not said that it does. */
  withinMs = 0;

  #token = '';
  #received = 0;
  #sent = 0;
  /** @type {(string | Uint8Array)[]} */
  #kept = [];
  #keptLength = 0;
  #lastTaken = -1;
  #inVain = 0;

  /** Whether there is a session to go on with. */
  get isPossible() {
    return this.#token !== '';
  }

  /** The address of the next socket. @param {string} url */
  address(url) {
    const address = new URL(url);
    address.searchParams.set('resume', this.#token || 'new');
    if (this.#token) address.searchParams.set('received', String(this.#received));
    return address.href;
  }

  /** There is a new session, or none. */
  begin(token = '', withinMs = 0) {
    this.#token = token;
    this.withinMs = withinMs;
    this.#received = 0;
    this.#lastTaken = -1;
    this.#inVain = 0;
    // What was sent on this socket before the server has greeted counts.
    if (!token) this.#forget();
  }

  /** The server has another token for the next socket. */
  renew(token) {
    this.#token = token;
  }

  /** A message of the session has come. */
  countReceived() {
    this.#received += 1;
  }

  /** A message is sent, or waits for the next socket. @param {string | Uint8Array} message */
  keep(message) {
    this.#sent += 1;
    this.#kept.push(message);
    this.#keptLength += message.length;
    while (this.#kept.length > KEPT_MAX || this.#keptLength > KEPT_LENGTH_MAX) this.#dropOldest();
  }

  /**
   * The messages that the server has not received, of which it has taken so many; null where the session cannot go on.
   * @param {number} taken
   */
  missing(taken) {
    const number = this.#sent - taken;
    this.#inVain = number > 0 && taken === this.#lastTaken ? this.#inVain + 1 : 0;
    this.#lastTaken = taken;
    if (number < 0 || number > this.#kept.length || this.#inVain >= IN_VAIN_MAX) return null;
    while (this.#kept.length > number) this.#dropOldest();
    return [...this.#kept];
  }

  #dropOldest() {
    this.#keptLength -= this.#kept.shift().length;
  }

  #forget() {
    this.#sent = 0;
    this.#kept = [];
    this.#keptLength = 0;
  }
}

/** The first message on a socket, if it is what the server says to clients that may resume. */
export function readGreeting(frame) {
  if (typeof frame !== 'string' || !frame.startsWith('{"resume":')) return null;
  try {
    return JSON.parse(frame).resume;
  } catch {
    return null;
  }
}
