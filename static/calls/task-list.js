/**
 * The scheduled calls of this uid, a page at a time.
 */
import { byId, h } from '../common/dom.js';
import { label, say } from '../common/i18n.js';
import { redraw } from './redraw.js';

const STATES = ['calls.task0', 'calls.task1', 'calls.task2', 'calls.task3'];

export class TaskList {
  #list = byId('tasks');
  #onRemove;
  #onPage;
  #shown = '';
  page = 1;

  /** @param {(id: number) => void} onRemove @param {() => void} onPage another page is to be shown */
  constructor(onRemove, onPage) {
    this.#onRemove = onRemove;
    this.#onPage = onPage;
    byId('page-before').addEventListener('click', () => this.#turn(-1));
    byId('page-after').addEventListener('click', () => this.#turn(1));
  }

  /** @param {{rows: object[], row_pages: {crt_page: number, total: number, perpage: number}}} data of `calltask/list` */
  show({ rows, row_pages: { total, perpage } }) {
    const state = JSON.stringify([rows, total, this.page]);
    if (state === this.#shown) return;
    this.#shown = state;
    const pages = Math.max(1, Math.ceil(total / perpage));
    // The last entry of a page may have been removed.
    if (this.page > pages) this.#turn(pages - this.page);
    redraw(this.#list, rows.map((row) => this.#row(row)));
    byId('no-tasks').hidden = rows.length > 0;
    byId('pages').hidden = pages === 1;
    say(byId('page-of'), 'calls.pageOf', { page: this.page, pages });
    byId('page-before').disabled = this.page <= 1;
    byId('page-after').disabled = this.page >= pages;
  }

  #turn(pages) {
    this.page += pages;
    this.#onPage();
  }

  #row({ id, dst_uid: callees, call_time: time, status, failure = '' }) {
    const names = callees.join(', ');
    // A failure is in the server's words.
    const about = h('small', {}, `${time} · `, say(h('span'), STATES[status] ?? 'calls.task3'), failure && ` · ${failure}`);
    const remove = h('button.button.small', { type: 'button', data: { focus: `remove ${id}` }, onclick: () => this.#onRemove(id) });
    label(say(remove, 'calls.remove'), 'calls.removeTask', { names, time });
    return h('li.contact', { data: { task: id } }, h('span.grow', {}, h('strong', { textContent: names }), about), remove);
  }
}
