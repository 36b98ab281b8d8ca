/**
 * Lists that are built anew while somebody may be in them by keyboard.
 */

/**
 * Shows these rows, and leaves the focus where it was: at the element with the same `data-focus`, otherwise at the list's title.
 * @param {HTMLElement} list @param {HTMLElement[]} rows
 */
export function redraw(list, rows) {
  const had = list.contains(document.activeElement);
  const name = document.activeElement?.dataset?.focus;
  list.replaceChildren(...rows);
  if (!had) return;
  const same = name && list.querySelector(`[data-focus="${CSS.escape(name)}"]`);
  (same || titleOf(list))?.focus();
}

function titleOf(list) {
  const title = document.getElementById(list.getAttribute('aria-labelledby'));
  if (title) title.tabIndex = -1;
  return title;
}
