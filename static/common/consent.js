/**
 * Asking for one click before a page joins, calls or logs in: a link of another site could do it behind the back of
 * whoever follows it. Opened by this site, by an app or by hand, nobody is asked.
 */
import { h } from './dom.js';
import { say } from './i18n.js';
import { recallInTab, rememberInTab } from './preferences.js';

/** Whether another site opened this page. The server says so: only it is told by the browser. */
export const isFromElsewhere = document.documentElement.dataset.opened === 'elsewhere';

/** A click or key that was meant for the other site must not count here. */
const SETTLES_MS = 500;
const GIVEN = 'consent';

/**
 * Returns when the page may go on: at once, or after the click.
 * @param {object} question
 * @param {string} question.titleKey @param {string} question.textKey @param {Record<string, string>} question.values
 * @param {string} question.primaryKey
 */
export async function consent({ titleKey, textKey, values, primaryKey }) {
  if (!isFromElsewhere || isGivenBefore()) return;
  const title = say(h('h1', { tabIndex: -1 }), titleKey, values);
  const primary = say(h('button.button.primary', { type: 'button', disabled: true, data: { action: 'consent' } }), primaryKey);
  const home = say(h('a.button.plain', { href: '/' }), 'notice.home');
  const card = h(
    'div.card.notice-card',
    {},
    h('img', { src: '/static/common/logo.svg', alt: '', width: 44, height: 44 }),
    title,
    say(h('p'), textKey, values),
    h('div.notice-actions', {}, primary, home),
  );
  const screen = h('section.notice.consent', { id: 'consent' }, card);
  const others = [...document.body.children];
  for (const other of others) other.inert = true;
  document.body.append(screen);
  title.focus();
  settled().then(() => {
    primary.disabled = false;
  });
  await new Promise((resolve) => primary.addEventListener('click', resolve, { once: true }));
  screen.remove();
  for (const other of others) other.inert = false;
  rememberInTab(GIVEN, address());
}

/** A reload goes on with what was agreed to; another link to the same address does not. */
function isGivenBefore() {
  const [navigation] = performance.getEntriesByType('navigation');
  return navigation?.type === 'reload' && recallInTab(GIVEN) === address();
}

function address() {
  return location.pathname + location.search;
}

async function settled() {
  while (document.hidden) {
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLES_MS));
}
