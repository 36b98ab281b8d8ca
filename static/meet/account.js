/**
 * Who has logged in at this page, and whether calls ring here.
 *
 * The password stays in memory. After a reload of this tab the registration goes on by its token, if it is still there.
 */
import { Refused, Unreachable, logIn } from '../client/conference-requests.js';
import { Registration } from '../client/registration.js';
import { byId } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { recallInTab, remember, rememberInTab, remembered } from '../common/preferences.js';
import { showProblem } from './problems.js';

const STATES = {
  registering: 'messages.connecting',
  registered: 'meet.ready',
  lost: 'messages.lost',
};
const PROBLEMS = { 401: 'meet.wrongPassword', 429: 'meet.tooManyTries' };

export class Account {
  /** @type {Registration | null} */
  registration = null;
  name = '';
  #handlers;

  /**
   * @param {object} handlers
   * @param {(call: import('../client/registration.js').IncomingCall) => void} handlers.onIncoming
   * @param {(token: string) => void} handlers.onCancelled
   * @param {() => void} handlers.onClosed calls ring here no longer
   */
  constructor(handlers) {
    this.#handlers = handlers;
    byId('account').value = remembered('meetAccount');
    byId('log-in').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#logIn();
    });
    byId('log-out').addEventListener('click', () => this.#logOut());
  }

  /** The account with which others call; empty for guests. */
  get id() {
    return this.registration?.account ?? '';
  }

  /** Goes on after a reload, or asks who is there. */
  async resume() {
    const [account, name, token] = (recallInTab('meetRegistration') ?? '').split('\n');
    try {
      if (token) await this.#register(name, { account, token });
    } catch (error) {
      console.debug('patchbay: the registration is over', error);
    }
    this.#show();
  }

  async #logIn() {
    const button = byId('log-in').querySelector('button');
    const password = byId('password').value;
    button.disabled = true;
    showProblem('log-in-problem', null);
    try {
      const { account, name } = await logIn(byId('account').value.trim(), password);
      await this.#register(name, { account, password });
      remember('meetAccount', account);
      byId('password').value = '';
      this.#show();
      byId('callee').focus();
    } catch (error) {
      showProblem('log-in-problem', sentenceFor(error), error);
      byId('password').select();
    } finally {
      button.disabled = false;
    }
  }

  async #register(name, who) {
    const registration = new Registration(who);
    registration.addEventListener('state', ({ detail }) => this.#stateChanged(registration, detail.state));
    registration.addEventListener('incoming', ({ detail }) => this.#handlers.onIncoming(detail.call));
    registration.addEventListener('cancelled', ({ detail }) => this.#handlers.onCancelled(detail.token));
    await registration.open();
    this.registration = registration;
    this.name = name;
    rememberInTab('meetRegistration', [registration.account, name, registration.token].join('\n'));
    this.#stateChanged(registration, registration.state);
  }

  #logOut() {
    this.registration?.close();
    this.#leave();
  }

  #leave() {
    this.registration = null;
    this.name = '';
    rememberInTab('meetRegistration', '');
    this.#handlers.onClosed();
    this.#show();
    byId('account').focus();
  }

  #stateChanged(registration, state) {
    if (registration !== this.registration) return;
    if (state === 'over') {
      this.#leave();
      showProblem('log-in-problem', 'meet.loginOver');
      return;
    }
    byId('ready').toggleAttribute('data-on', state === 'registered');
    if (STATES[state]) say(byId('own-state'), STATES[state], { account: registration.account });
  }

  #show() {
    const isLoggedIn = this.registration !== null;
    byId('log-in').hidden = isLoggedIn;
    byId('logged-in').hidden = !isLoggedIn;
    byId('guest-name-field').hidden = isLoggedIn;
    byId('guest-name').required = !isLoggedIn;
    byId('own-name').textContent = this.name;
  }
}

function sentenceFor(error) {
  if (error instanceof Unreachable) return 'calls.unreachable';
  if (error instanceof Refused) return PROBLEMS[error.status] ?? 'calls.refused';
  return 'calls.failed';
}
