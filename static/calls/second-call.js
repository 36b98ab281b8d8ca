/**
 * A call that comes while this tab is in another one. The list of calls cannot be reached meanwhile, so a dialog over the call
 * asks what to do.
 */
import { RingingDialog } from '../calling/ringing-dialog.js';
import { isToAnswer } from './call-record.js';

export class SecondCall {
  #dialog = new RingingDialog({ refuseKey: 'calls.decline', agreeKey: 'calls.answerInstead', isOverCall: true });
  #acts;
  /** Channel of the call about which it asks; empty without one. */
  #channel = '';

  /** @param {{enter: Function, decline: Function}} acts called with the channel; each returns when it is done, or has failed */
  constructor(acts) {
    this.#acts = acts;
  }

  /**
   * @param {object[]} rows of `call/msg` @param {Map<string, object>} records by channel
   * @param {string} uid of whoever asks @param {string} current channel of the call in which this tab is
   */
  show(rows, records, uid, current) {
    const ringing = current ? rows.filter((row) => isToAnswer(row, records.get(row.channel), uid, current)) : [];
    if (ringing.some(({ channel }) => channel === this.#channel)) return;
    this.stop();
    const [first] = ringing;
    if (first) this.#ask(first.channel, records.get(first.channel).src_uid);
  }

  stop() {
    this.#channel = '';
    this.#dialog.stop();
  }

  async #ask(channel, caller) {
    this.#channel = channel;
    const answer = await this.#dialog.ask(caller, 'calls.callsMeanwhile', 'mic');
    if (answer === null) return;
    await (answer === 'agree' ? this.#acts.enter(channel) : this.#acts.decline(channel));
    // If it has failed, the call still rings, and the question comes again.
    if (this.#channel === channel) this.#channel = '';
  }
}
