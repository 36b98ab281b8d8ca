/**
 * Lines that say why something was not done.
 */
import { byId, h } from '../common/dom.js';
import { say } from '../common/i18n.js';

/** The server's own sentence is shown only where the page has none that says enough. */
const SAY_LITTLE = ['calls.refused', 'calls.failed'];

/** @param {string} id of the line @param {string | null} key the page's sentence; null hides the line @param {Error} [error] */
export function showProblem(id, key, error) {
  const line = byId(id);
  line.hidden = key === null;
  if (key === null) return;
  const detail = SAY_LITTLE.includes(key) && error ? h('small', { textContent: error.message }) : null;
  line.replaceChildren(...[say(h('span'), key), detail].filter(Boolean));
  // On a phone it may be below the screen.
  line.scrollIntoView({ block: 'nearest' });
}
