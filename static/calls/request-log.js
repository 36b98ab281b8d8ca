/**
 * The latest requests with their answers, newest first. Tokens are shortened: a picture of the page is soon passed on.
 */
import { h } from '../common/dom.js';
import { locale, onLanguageChange } from '../common/i18n.js';

const LENGTH_MAX = 30;
const TOKEN_SHOWN = 12;

export class RequestLog {
  #list;
  #empty;

  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
    onLanguageChange(() => {
      for (const time of list.querySelectorAll('time')) time.textContent = timeOfDay(new Date(time.dateTime));
    });
  }

  clear() {
    this.#list.replaceChildren();
    this.#empty.hidden = false;
  }

  add(name, request, answer) {
    const now = new Date();
    const time = h('time', { dateTime: now.toISOString(), textContent: timeOfDay(now) });
    const text = `${JSON.stringify(request, null, 1)}\n→ ${JSON.stringify(answer, shortened, 1)}`;
    const entry = h('details', {}, h('summary', {}, time, ` /dapi/${name}`), h('pre', { textContent: text }));
    if (!answer.success) this.#count(entry, text);
    this.#list.prepend(h('li', {}, entry));
    while (this.#list.children.length > LENGTH_MAX) this.#list.lastChild.remove();
    this.#empty.hidden = true;
  }

  /** What fails again and again takes one line, which says how often. */
  #count(entry, text) {
    const before = [...this.#list.querySelectorAll('[data-failed]')].find((one) => one.lastChild.textContent === text);
    const times = before ? Number(before.dataset.failed) + 1 : 1;
    entry.dataset.failed = times;
    if (!before) return;
    entry.open = before.open;
    entry.firstChild.append(` ×${times}`);
    before.parentElement.remove();
  }
}

function shortened(key, value) {
  return key === 'token' && typeof value === 'string' ? `${value.slice(0, TOKEN_SHOWN)}…` : value;
}

function timeOfDay(date) {
  return date.toLocaleTimeString(locale());
}
