/**
 * The calls of this user that are going on: those that it placed, and those that it may answer.
 */
import { h } from '../common/dom.js';
import { label, say } from '../common/i18n.js';
import { isToAnswer, titleOf } from './call-record.js';
import { redraw } from './redraw.js';

const STATES = ['calls.state0', 'calls.state1'];

export class CallMessages {
  #list;
  #empty;
  #news;
  #acts;
  #shown = '';
  #known = new Set();

  /**
   * @param {HTMLElement} list @param {HTMLElement} empty
   * @param {HTMLElement} news where a call is announced that was not there before
   * @param {{enter: Function, decline: Function, cancel: Function}} acts called with the channel
   */
  constructor(list, empty, news, acts) {
    [this.#list, this.#empty, this.#news, this.#acts] = [list, empty, news, acts];
  }

  /**
   * @param {object[]} rows of `call/msg` @param {Map<string, object>} records by channel: they say whose call it is
   * @param {string} uid of whoever asks @param {string} current channel of the call in which this tab is
   */
  show(rows, records, uid, current) {
    const state = JSON.stringify([rows, rows.map(({ channel }) => records.get(channel)?.src_uid), current]);
    if (state === this.#shown) return;
    this.#shown = state;
    redraw(this.#list, rows.map((row) => this.#row(row, records.get(row.channel), uid, current)));
    this.#empty.hidden = rows.length > 0;
    this.#announce(rows, records, uid, current);
  }

  clear() {
    this.show([], new Map(), '', '');
  }

  #announce(rows, records, uid, current) {
    const isNew = ({ channel, status }) => status === 0 && channel !== current && records.has(channel) && !this.#known.has(channel);
    const [fresh] = rows.filter(isNew);
    this.#known = new Set(rows.map(({ channel }) => channel).filter((channel) => records.has(channel)));
    if (fresh) say(this.#news, ...titleOf(records.get(fresh.channel), uid));
    else if (!rows.some(({ status }) => status === 0)) say(this.#news, 'nothing');
  }

  #row(row, record, uid, current) {
    const { channel, status, createtime, extra_msg: extra } = row;
    const title = record ? say(h('strong'), ...titleOf(record, uid)) : h('strong', { textContent: channel });
    const state = say(h('small'), STATES[status] ?? 'calls.state1', { time: createtime });
    const names = h('span.grow', {}, title, state, extra ? h('small', { textContent: extra }) : null);
    const item = h('li.contact', { data: { channel } }, names);
    if (record && channel !== current) {
      const isOwn = record.src_uid === uid;
      const name = isOwn ? record.dst_uid.join(', ') : record.src_uid;
      const isRinging = isToAnswer(row, record, uid, current);
      if (status === 0) item.dataset.urgent = '';
      const at = { channel, name: name || channel };
      if (isRinging) item.append(this.#button('enter', 'calls.answer', 'calls.answerName', at));
      else item.append(this.#button('enter', 'calls.enter', 'calls.enterName', at));
      if (isRinging) item.append(this.#button('decline', 'calls.decline', 'calls.declineName', at));
      else if (status === 0) item.append(this.#button('cancel', 'calls.cancel', 'calls.cancelName', at));
    }
    return item;
  }

  /** A button that says to a screen reader whose call it means. */
  #button(act, key, nameKey, { channel, name }) {
    const style = act === 'enter' ? '.primary' : '';
    const data = { act, focus: `${act} ${channel}` };
    const button = h(`button.button.small${style}`, { type: 'button', data, onclick: () => this.#acts[act](channel) });
    return label(say(button, key), nameKey, { name });
  }
}
