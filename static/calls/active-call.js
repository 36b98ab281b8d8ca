/**
 * The call that this page is in: the room page in the channel, the heartbeats, the events that the API wants to be sent, and
 * what becomes of the call meanwhile.
 */
import { CallFrame } from '../calling/call-frame.js';
import { h } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { EVENT, declinedBy, heartbeatMs, isOver, leavingCode, stateOf } from './call-record.js';
import { recordOf } from './record-list.js';

export class ActiveCall {
  #api;
  #problems;
  #frame = new CallFrame(() => this.end());
  #state = h('p.in-call-state', { id: 'in-call-state', role: 'status' });
  /** People and events of the call, for whoever opens it. */
  #course = h('div.record');
  #uid = '';
  #channel = '';
  #isCaller = false;
  #hasBegun = false;
  #record = null;
  #client = null;
  #heart = 0;

  /** @param {import('./call-api.js').CallApi} api @param {import('./problem-line.js').ProblemLine} problems */
  constructor(api, problems) {
    this.#api = api;
    this.#problems = problems;
  }

  /** The channel of the call; empty without one. */
  get channel() {
    return this.#channel;
  }

  /**
   * @param {{channel: string, uid: string, token: string}} way as the API has returned it
   * @param {boolean} isCaller whether this user has placed the call
   * @param {number} heartbeat seconds within which each heartbeat has to come
   */
  async open({ channel, uid, token }, isCaller, heartbeat) {
    this.end();
    [this.#channel, this.#uid] = [channel, uid];
    this.#isCaller = isCaller;
    const query = new URLSearchParams({ userId: uid, groupId: channel, type: 'audio' });
    const opening = this.#frame.open(`/room?${query}#${new URLSearchParams({ token })}`, channel);
    this.#showTools();
    this.#heart = setInterval(() => this.#beat(channel), heartbeatMs(heartbeat));
    const client = await opening;
    if (!client || this.#channel !== channel) return;
    this.#client = client;
    for (const change of ['participantjoined', 'participantleft']) client.addEventListener(change, () => this.#showState());
    client.addEventListener('participantjoined', () => this.#begin());
    if (client.participants?.size > 0) this.#begin();
    this.#showState();
  }

  /** Takes what is now known of the call that is open. */
  follow(record) {
    if (!record || record.channel !== this.#channel) return;
    if (JSON.stringify(record) !== JSON.stringify(this.#record)) this.#course.replaceChildren(...recordOf(record, this.#uid));
    this.#record = record;
    this.#showState();
  }

  /** Leaves the call. Works while the page is unloaded, too. */
  end() {
    if (!this.#frame.isOpen) return;
    clearInterval(this.#heart);
    const hasBegun = this.#hasBegun || Boolean(this.#record?.starttime);
    const code = leavingCode({ isCaller: this.#isCaller, hasBegun, isOver: isOver(this.#record) });
    if (code !== null) this.#report(this.#channel, code, { keepalive: true });
    [this.#channel, this.#hasBegun, this.#record, this.#client] = ['', false, null, null];
    this.#problems.clear('heartbeat');
    this.#frame.close();
  }

  /** Somebody else is there: the call has begun. */
  #begin() {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#report(this.#channel, EVENT.begun);
  }

  #report(channel, code, options) {
    this.#api.report(channel, code, options).catch((error) => this.#problems.show('own', error));
  }

  async #beat(channel) {
    try {
      await this.#api.heartbeat(channel);
      this.#problems.clear('heartbeat');
    } catch (error) {
      // A call that is over may go on, with a robot.
      if (this.#channel === channel && !isOver(this.#record)) this.#problems.show('heartbeat', error);
    }
  }

  #showState() {
    if (!this.#record) return;
    const others = [...(this.#client?.participants?.values() ?? [])].map(({ name, id }) => name || id);
    const sentences = [declinedBy(this.#record), stateOf(this.#record, others)].filter(Boolean);
    const state = JSON.stringify(sentences);
    // What is written again is read aloud again.
    if (this.#state.dataset.state === state) return;
    this.#state.dataset.state = state;
    this.#state.replaceChildren(...sentences.map((sentence) => say(h('span'), ...sentence)));
  }

  #showTools() {
    const channel = this.#channel;
    const tool = (key, ask) => {
      const act = () => ask(channel).then(() => this.#problems.clear('own'), (error) => this.#problems.show('own', error));
      return say(h('button.button.small', { type: 'button', data: { action: key }, onclick: act }), key);
    };
    const invite = tool('calls.inviteRobot', (name) => this.#api.inviteRobot(name));
    const remove = tool('calls.removeRobot', (name) => this.#api.removeRobot(name));
    const problem = h('p.state.error', { role: 'alert', hidden: true });
    delete this.#state.dataset.state;
    this.#state.replaceChildren();
    this.#course.replaceChildren();
    const course = h('details.in-call-course', {}, say(h('summary'), 'calls.record'), this.#course);
    const bar = document.querySelector('#in-call .in-call-bar');
    bar.after(h('div.in-call-tools', {}, this.#state, invite, remove), problem, course);
    this.#problems.showAt(problem);
  }
}
