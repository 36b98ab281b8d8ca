/**
 * The latest events, newest first.
 */
import { h } from '../common/dom.js';
import { locale, onLanguageChange, say } from '../common/i18n.js';

/** More is of no use on a page that forgets it when it is closed. */
const LENGTH_MAX = 20;

export class HistoryList {
  #list;

  constructor(list) {
    this.#list = list;
    onLanguageChange(() => {
      for (const time of list.querySelectorAll('time')) time.textContent = timeOfDay(new Date(time.dateTime));
    });
  }

  add(sentence, values) {
    const now = new Date();
    const time = h('time', { dateTime: now.toISOString(), textContent: timeOfDay(now) });
    this.#list.prepend(h('li', {}, time, say(h('span'), sentence, values)));
    while (this.#list.children.length > LENGTH_MAX) this.#list.lastChild.remove();
    this.#list.closest('section').hidden = false;
  }
}

function timeOfDay(date) {
  return date.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
}
