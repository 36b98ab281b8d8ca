/**
 * Calls that ring here: one dialog asks about the oldest of them, also over a call that goes on.
 */
import { RingingDialog } from '../calling/ringing-dialog.js';

/** @typedef {import('../client/registration.js').IncomingCall} IncomingCall */

export class IncomingCalls {
  #dialog = new RingingDialog();
  /** @type {Map<string, IncomingCall>} by token, the oldest first */
  #ringing = new Map();
  /** Token of the call about which it asks; empty without one. */
  #asked = '';
  #onAnswer;
  #isBusy;

  /**
   * @param {object} handlers
   * @param {(call: IncomingCall, answer: 'agree' | 'refuse' | null) => void} handlers.onAnswer null if it stopped ringing
   * @param {() => boolean} handlers.isBusy whether this page is in a call
   */
  constructor({ onAnswer, isBusy }) {
    this.#onAnswer = onAnswer;
    this.#isBusy = isBusy;
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
    const isBusy = this.#isBusy();
    const words = isBusy ? { agreeKey: 'calls.answerInstead', isOverCall: true } : {};
    const answer = await this.#dialog.ask(call.name, isBusy ? 'calls.callsMeanwhile' : sentence, 'camera', words);
    this.#ringing.delete(call.token);
    this.#onAnswer(call, answer);
    this.#askNext();
  }
}
