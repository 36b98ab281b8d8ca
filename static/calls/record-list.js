/**
 * What became of the latest calls of this tab: their people, their events, and how they ended.
 */
import { h } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { isOver, meaningOf, personOf, stateOf, timeOfDay, titleOf } from './call-record.js';
import { redraw } from './redraw.js';

const CALLS_MAX = 5;

export class RecordList {
  #list;
  #empty;
  #uid;
  /** By channel, the latest call last; null until its record has come. */
  #records = new Map();
  #shown = '';

  constructor(list, empty, uid) {
    this.#list = list;
    this.#empty = empty;
    this.#uid = uid;
    this.#render();
  }

  /** From now on this call is shown. */
  add(channel) {
    const known = this.#records.get(channel) ?? null;
    this.#records.delete(channel);
    this.#records.set(channel, known);
    for (const oldest of this.#records.keys()) {
      if (this.#records.size <= CALLS_MAX) break;
      this.#records.delete(oldest);
    }
  }

  /** The channels whose records are to be asked for: of the calls that are not over, and of the one in which this tab is. */
  wanted(current) {
    return [...this.#records].filter(([channel, record]) => channel === current || !isOver(record)).map(([channel]) => channel);
  }

  /** @param {Map<string, object>} records by channel */
  show(records) {
    for (const channel of this.#records.keys()) {
      if (records.has(channel)) this.#records.set(channel, records.get(channel));
    }
    this.#render();
  }

  #render() {
    const known = [...this.#records.values()].filter(Boolean).reverse();
    const state = JSON.stringify(known);
    if (state === this.#shown) return;
    this.#shown = state;
    redraw(this.#list, known.map((record) => h('li.record', { data: { channel: record.channel } }, ...recordOf(record, this.#uid))));
    this.#empty.hidden = known.length > 0;
  }
}

/** The record of a call, for this user. @returns {HTMLElement[]} */
export function recordOf(record, uid) {
  const people = record.members.map((member) => {
    const name = h('strong', { textContent: member.uid });
    const role = say(h('small'), member.uid === record.src_uid ? 'calls.caller' : 'calls.callee');
    return h('li', {}, name, ' ', role, ' ', say(h('span'), ...personOf(member, record.src_uid)));
  });
  const events = record.events.map(({ uid, code, desp, createtime }) => {
    const time = h('time', { textContent: timeOfDay(createtime), title: createtime });
    const what = h('span', {}, h('strong', { textContent: uid }), ' ', say(h('span'), ...meaningOf(code)));
    if (desp) what.append(h('small', { textContent: ` ${desp}` }));
    return h('li', {}, time, what, h('code', { textContent: code }));
  });
  return [
    say(h('h3'), ...titleOf(record, uid)),
    h('small', { textContent: `${record.channel} · ${record.createtime}` }),
    say(h('p.outcome'), ...stateOf(record)),
    h('ul.people', {}, ...people),
    events.length ? h('ol.history', {}, ...events) : say(h('small'), 'calls.noEvents'),
  ];
}
