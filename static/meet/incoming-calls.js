/**
 * Calls that ring here: one dialog asks about the oldest of them, also over a call that goes on.
 */
import { RingingDialog } from '../calling/ringing-dialog.js';

/** @typedef {import('../client/registration.js').IncomingCall} IncomingCall */

/** What is said where it rings meanwhile. */
const MEANWHILE = {
  call: { sentence: 'calls.callsMeanwhile', agreeKey: 'calls.answerInstead' },
  meeting: { sentence: 'meet.callsMeanwhile', agreeKey: 'meet.answerInstead' },
};

export class IncomingCalls {
  #dialog = new RingingDialog();
  /** @type {Map<string, IncomingCall>} by token, the oldest first */
  #ringing = new Map();
  /** Token of the call about which it asks; empty without one. */
  #asked = '';
  #onAnswer;
  #busyWith;

  /**
   * @param {object} handlers
   * @param {(call: IncomingCall, answer: 'agree' | 'refuse' | null) => void} handlers.onAnswer null if it stopped ringing
   * @param {() => 'call' | 'meeting' | null} handlers.busyWith what this page is in
   */
  constructor({ onAnswer, busyWith }) {
    this.#onAnswer = onAnswer;
    this.#busyWith = busyWith;
  }

  add(call) {
    this.#ringing.set(call.token, call);
    if (!this.#asked) this.#askNext();
  }

  /** It no longer rings: the caller has given up, or it was answered elsewhere. */
  remove(token) {
    const call = this.#ringing.get(token);
    this.#ringing.delete(token);
    if (token === this.#asked) this.#dialog.stop();
    else if (call) this.#onAnswer(call, null);
  }

  /** Nobody is asked any more. */
  clear() {
    this.#ringing.clear();
    this.#dialog.stop();
  }

  async #askNext() {
    const [call] = this.#ringing.values();
    this.#asked = call?.token ?? '';
    if (!call) return;
    const sentence = call.isMeeting ? 'meet.invitesYou' : 'meet.callsYou';
    const meanwhile = MEANWHILE[this.#busyWith()];
    const words = meanwhile ? { agreeKey: meanwhile.agreeKey, isOverCall: true } : {};
    const answer = await this.#dialog.ask(call.name, meanwhile?.sentence ?? sentence, 'camera', words);
    this.#ringing.delete(call.token);
    this.#onAnswer(call, answer);
    this.#askNext();
  }
}
