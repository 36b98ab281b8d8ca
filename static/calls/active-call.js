/**
 * The call that this page is in: the room page in the channel, the heartbeats, and the events that the API wants to be sent.
 */
import { CallFrame } from '../calling/call-frame.js';
import { h } from '../common/dom.js';
import { say } from '../common/i18n.js';

const HEARTBEAT_MS = 10_000;
export const EVENT = { begun: 1, ended: 2, givenUp: 1000, declined: 1003 };

export class ActiveCall {
  #api;
  #onProblem;
  #frame = new CallFrame(() => this.end());
  #channel = '';
  #isBegun = false;
  #heart = 0;

  /** @param {import('./call-api.js').CallApi} api @param {(error: Error) => void} onProblem */
  constructor(api, onProblem) {
    this.#api = api;
    this.#onProblem = onProblem;
  }

  get isOpen() {
    return this.#frame.isOpen;
  }

  /** @param {{channel: string, uid: string, token: string}} way as the API has returned it */
  async open({ channel, uid, token }) {
    this.end();
    this.#channel = channel;
    this.#isBegun = false;
    const query = new URLSearchParams({ userId: uid, groupId: channel, type: 'audio' });
    const opening = this.#frame.open(`/room?${query}#${new URLSearchParams({ token })}`, channel);
    this.#showTools();
    this.#heart = setInterval(() => this.#api.heartbeat(channel).catch(this.#onProblem), HEARTBEAT_MS);
    const client = await opening;
    if (!client || this.#channel !== channel) return;
    client.addEventListener('participantjoined', () => this.#begin());
    if (client.participants?.size > 0) this.#begin();
  }

  /** Leaves the call. Works while the page is unloaded, too. */
  end() {
    if (!this.#frame.isOpen) return;
    clearInterval(this.#heart);
    const code = this.#isBegun ? EVENT.ended : EVENT.givenUp;
    this.#api.report(this.#channel, code, { keepalive: true }).catch(this.#onProblem);
    this.#channel = '';
    this.#frame.close();
  }

  /** Somebody else is there: the call has begun. */
  #begin() {
    if (this.#isBegun) return;
    this.#isBegun = true;
    this.#api.report(this.#channel, EVENT.begun).catch(this.#onProblem);
  }

  #showTools() {
    const channel = this.#channel;
    const tool = (key, ask) => {
      const button = h('button.button.small', { type: 'button', data: { action: key }, onclick: () => ask(channel).catch(this.#onProblem) });
      return say(button, key);
    };
    const invite = tool('calls.inviteRobot', (name) => this.#api.inviteRobot(name));
    const remove = tool('calls.removeRobot', (name) => this.#api.removeRobot(name));
    document.querySelector('#in-call .in-call-bar').append(h('div.in-call-tools', {}, invite, remove));
  }
}
