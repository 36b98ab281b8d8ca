/**
 * Why something failed, in the page's language, with the server's own words behind it. What has failed is kept by its source
 * (the person's own deed, or something that is asked again and again), so that a success hides its own problem and no other.
 */
import { h } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { Refused, Unreachable } from './call-api.js';

const FIELDS = {
  uid: 'calls.badUid',
  src_uid: 'calls.badUid',
  dst_uid: 'calls.badCallees',
  extra_msg: 'calls.badExtra',
  channel: 'calls.badChannel',
  call_time: 'calls.badTime',
  taskid: 'calls.badTaskId',
  id: 'calls.badTask',
};

export class ProblemLine {
  /** By source, the person's own first. */
  #problems = new Map([['own', null]]);
  #places = [];

  /** Shows the problem at this element, too, as long as it is in the page. */
  showAt(element) {
    this.#places = [...this.#places.filter(({ isConnected }) => isConnected), element];
    this.#render();
  }

  show(source, error) {
    this.#problems.set(source, error);
    this.#render();
  }

  clear(source) {
    if (!this.#problems.get(source)) return;
    this.#problems.set(source, null);
    this.#render();
  }

  clearAll() {
    for (const source of this.#problems.keys()) this.#problems.set(source, null);
    this.#render();
  }

  #render() {
    const error = [...this.#problems.values()].find(Boolean);
    const state = error ? `${sentenceFor(error)} ${error.message}` : '';
    for (const place of this.#places) {
      place.hidden = !error;
      // An alert that is written again is read again.
      if (place.dataset.state === state) continue;
      place.dataset.state = state;
      place.replaceChildren(...(error ? [say(h('span'), sentenceFor(error)), h('small', { textContent: error.message })] : []));
    }
  }
}

/** The page's sentence for an error. */
export function sentenceFor(error) {
  if (error instanceof Unreachable) return 'calls.unreachable';
  if (!(error instanceof Refused)) return 'calls.failed';
  if (error.status === 401) return 'calls.badKey';
  return Object.hasOwn(FIELDS, error.field) ? FIELDS[error.field] : 'calls.refused';
}
