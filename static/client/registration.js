/**
 * An account at which calls ring, for as long as this page is open. It has no user interface, and any page of the same
 * origin can import it:
 *
 * ```js
 * import { Registration } from '/static/client/registration.js';
 *
 * const registration = new Registration({ account: 'anna', password: '…' });
 * registration.addEventListener('incoming', ({ detail }) => console.log(`${detail.call.name} calls`));
 * await registration.open();
 * ```
 *
 * A call that rings is answered by a ConferenceClient with its `conference` and `token`, or refused.
 *
 * Events (`detail` in braces):
 * - `state` {state}: see RegistrationState
 * - `incoming` {call}: see IncomingCall
 * - `cancelled` {token}: that call no longer rings
 */
import { Refused, ask, pathOf, proof } from './conference-requests.js';

/**
 * - `registering`
 * - `registered`: calls ring here
 * - `lost`: they do not at the moment, because the server cannot be reached; the client tries again
 * - `closed`: by this page
 * - `over`: the server no longer knows this registration, and there is no password to make another one, or it has changed
 * @typedef {'idle' | 'registering' | 'registered' | 'lost' | 'closed' | 'over'} RegistrationState
 */

/**
 * @typedef {object} IncomingCall
 * @property {string} token answers the call, or refuses it, once
 * @property {string} conference the conference that whoever answers enters
 * @property {string} name of the caller: text from somebody else
 * @property {string} from the caller's account
 * @property {boolean} isMeeting whether it is an invitation to a meeting; otherwise a call between two
 */

/** The registration is refreshed so many times before it would end. */
const REFRESHES = 3;
const RETRY_MS = 4000;

export class Registration extends EventTarget {
  /** @type {RegistrationState} */
  state = 'idle';
  account;
  token;

  #password;
  #events = null;
  #refreshTimer = 0;
  #retryTimer = 0;

  /**
   * @param {object} options
   * @param {string} options.account
   * @param {string} [options.password] without one, `token` must be that of a registration which is still there
   * @param {string} [options.token]
   */
  constructor({ account, password = '', token = '' }) {
    super();
    Object.assign(this, { account, token });
    this.#password = password;
  }

  /** Registers. Throws what the first request throws; later the client helps itself. */
  async open() {
    this.#setState('registering');
    await this.#begin();
  }

  /** Calls no longer ring here. Works while the page is unloaded, too. */
  close() {
    if (this.token) this.#ask('end_session', { token: this.token, keepalive: true }).catch(() => {});
    this.#stop();
    this.token = '';
    this.#setState('closed');
  }

  /** @param {IncomingCall} call */
  async refuse({ conference, token }) {
    await ask(`${pathOf('services', conference, 'end_session')}?token=${encodeURIComponent(token)}`, { keepalive: true });
  }

  async #begin() {
    const lasts = this.token ? await this.#refresh() : await this.#register();
    if (this.state === 'closed') return;
    clearInterval(this.#refreshTimer);
    this.#refreshTimer = setInterval(() => this.#keep(), (lasts / REFRESHES) * 1000);
    this.#follow();
  }

  async #register() {
    const headers = { authorization: proof(this.account, this.#password) };
    const { token, expires } = await this.#ask('new_session', { headers });
    this.token = token;
    return Number(expires);
  }

  /** The token of a registration is in the body. */
  async #refresh() {
    const { token, expires } = await this.#ask('refresh_session', { fields: { token: this.token } });
    this.token = token;
    return Number(expires);
  }

  async #keep() {
    try {
      await this.#refresh();
    } catch (error) {
      this.#failed(error);
    }
  }

  #follow() {
    this.#events?.close();
    const events = new EventSource(`/api${pathOf('registrations', this.account, 'events')}?token=${encodeURIComponent(this.token)}`);
    this.#events = events;
    events.onopen = () => this.#setState('registered');
    events.onerror = () => {
      if (events !== this.#events) return;
      this.#setState('lost');
      // The browser tries again by itself, except when the server has refused.
      if (events.readyState === EventSource.CLOSED) this.#retryLater();
    };
    events.addEventListener('incoming', ({ data }) => this.#emit('incoming', { call: readCall(data) }));
    events.addEventListener('incoming_cancelled', ({ data }) => this.#emit('cancelled', { token: JSON.parse(data).token }));
  }

  #failed(error) {
    if (this.state === 'closed' || this.state === 'over') return;
    const isRefused = error instanceof Refused && error.status === 401;
    const hadToken = this.token !== '';
    if (isRefused) this.token = '';
    if (isRefused && !(hadToken && this.#password)) {
      this.#stop();
      this.#setState('over');
      return;
    }
    this.#setState('lost');
    this.#retryLater(isRefused ? 0 : RETRY_MS);
  }

  #retryLater(pause = RETRY_MS) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#begin().catch((error) => this.#failed(error)), pause);
  }

  #stop() {
    clearInterval(this.#refreshTimer);
    clearTimeout(this.#retryTimer);
    this.#events?.close();
    this.#events = null;
  }

  #ask(request, options) {
    return ask(pathOf('registrations', this.account, request), options);
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.#emit('state', { state });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @returns {IncomingCall} */
function readCall(data) {
  const call = JSON.parse(data);
  return {
    token: String(call.token),
    conference: String(call.conference_alias),
    name: String(call.remote_display_name || call.remote_alias),
    from: String(call.remote_alias),
    isMeeting: call.service_type === 'conference',
  };
}
