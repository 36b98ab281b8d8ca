/**
 * Asks for one click before a page joins, calls or logs in: a link on another site could do that without the
 * person's knowledge. If this site, an app or the person opened the page, it does not ask.
 */
import { h } from './dom.js';
import { say } from './i18n.js';
import { recallInTab, rememberInTab } from './preferences.js';

/** Whether another site opened this page. The server says so, because browsers tell it to the server only. */
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
    h('img', { src: new URL('./logo.svg', import.meta.url).href, alt: '', width: 44, height: 44 }),
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

/** After a reload the page does not ask again; after another link to the same address it does. */
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
