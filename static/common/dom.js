/**
 * Builds and finds elements. Text always goes in as text, never as markup.
 */

/**
 * `h('button.icon-button', { type: 'button', onclick: f }, 'text', child)`
 * @param {string} selector a tag with classes
 * @param {Record<string, any>} [properties] `on…` become listeners, `data` the dataset, `aria-…` and `role`
 *        attributes, anything else properties
 * @param {...(Node | string | null | false | undefined)} children
 */
export function h(selector, properties = {}, ...children) {
  const [tag, ...classes] = selector.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'data') Object.assign(element.dataset, value);
    else if (key.includes('-') || key === 'role' || key === 'for') element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The one element with this id; a missing one is a mistake in the page. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element #${id}`);
  return element;
}

/** Shows exactly one of several elements. */
export function showOnly(shown, all) {
  for (const element of all) element.hidden = element !== shown;
}

/** @param {Element} front @param {Element} back @returns {boolean} whether nothing of one is to be seen behind the other */
export function covers(front, back) {
  const [over, under] = [front.getBoundingClientRect(), back.getBoundingClientRect()];
  return over.left <= under.left && over.top <= under.top && over.right >= under.right && over.bottom >= under.bottom;
}
