/**
 * The calls of the last minute that concern this uid: those that it placed, and those that it may answer.
 */
import { h } from '../common/dom.js';
import { say } from '../common/i18n.js';

const STATES = ['calls.state0', 'calls.state1'];

export class CallMessages {
  #list;
  #empty;
  #onAnswer;
  #onDecline;
  #shown = '';

  /** @param {(channel: string) => void} onAnswer @param {(channel: string) => void} onDecline */
  constructor(list, empty, onAnswer, onDecline) {
    this.#list = list;
    this.#empty = empty;
    this.#onAnswer = onAnswer;
    this.#onDecline = onDecline;
  }

  /** @param {object[]} rows of `call/msg` @param {Set<string>} own channels of calls that were placed here, or declined */
  show(rows, own) {
    // A list that is built anew loses the focus, so it is left alone while nothing has changed.
    const state = JSON.stringify([rows, [...own]]);
    if (state === this.#shown) return;
    this.#shown = state;
    const focused = document.activeElement?.dataset?.focus;
    this.#list.replaceChildren(...rows.map((row) => this.#row(row, row.status === 0 && !own.has(row.channel))));
    if (focused) this.#list.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
    this.#empty.hidden = rows.length > 0;
  }

  #row({ channel, status, createtime, extra_msg: extra }, isToAnswer) {
    const state = say(h('small'), STATES[status], { time: createtime });
    const names = h('span.grow', {}, h('strong', { textContent: channel }), state, extra ? h('small', { textContent: extra }) : null);
    const item = h('li.contact', { data: { channel } }, names);
    if (isToAnswer) {
      item.dataset.urgent = '';
      item.append(this.#button('calls.answer', '.primary', channel, this.#onAnswer));
      item.append(this.#button('calls.decline', '', channel, this.#onDecline));
    }
    return item;
  }

  #button(key, style, channel, act) {
    const button = h(`button.button.small${style}`, { type: 'button', data: { focus: `${key} ${channel}` }, onclick: () => act(channel) });
    return say(button, key);
  }
}
