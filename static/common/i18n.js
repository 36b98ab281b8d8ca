/**
 * The pages' languages. Elements remember which sentence they show, so that switching the language changes the
 * page in place.
 *
 * In HTML: `data-i18n="key"` (text), `data-i18n-label="key"` (aria-label and tooltip),
 * `data-i18n-placeholder="key"`. In modules: `say(element, key, values)`, `label(element, key, values)`.
 */
import { remember, remembered } from './preferences.js';
import { en } from './lang-en.js';
import { zh } from './lang-zh.js';

const DICTIONARIES = { en, zh };
export const LANGUAGES = { en: 'English', zh: '简体中文' };
const TAGS = { en: 'en', zh: 'zh-CN' };

let current = choose();
const listeners = new Set();

function choose() {
  const wishes = [new URLSearchParams(location.search).get('lang'), remembered('language'), ...(navigator.languages ?? [navigator.language])];
  for (const wish of wishes) {
    const code = wish?.toLowerCase().split('-')[0];
    if (code && Object.hasOwn(DICTIONARIES, code)) return code;
  }
  return 'en';
}

export function language() {
  return current;
}

/** The language as a tag for `Intl`. */
export function locale() {
  return TAGS[current];
}

/** A sentence, with `{name}` replaced by `values.name`. @param {string} key */
export function t(key, values = {}) {
  const sentence = DICTIONARIES[current][key] ?? en[key];
  if (sentence === undefined) throw new Error(`no sentence "${key}"`);
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Shows a sentence in an element, now and after a change of language. */
export function say(element, key, values) {
  remembering(element, 'i18n', key, values);
  element.textContent = t(key, values);
  return element;
}

/** Gives a control its accessible name and tooltip; the tooltip shows its `data-shortcut`. */
export function label(element, key, values) {
  remembering(element, 'i18nLabel', key, values);
  applyLabel(element, t(key, values));
  return element;
}

export function setLanguage(code) {
  if (!Object.hasOwn(DICTIONARIES, code)) return;
  current = code;
  remember('language', code);
  translate(document.documentElement);
  for (const listener of listeners) listener();
}

/** Calls a listener at each change of language, for text that is not in elements marked as above. */
export function onLanguageChange(listener) {
  listeners.add(listener);
}

/** Puts the current language into everything below (and including) an element. */
export function translate(root) {
  document.documentElement.lang = TAGS[current];
  for (const element of root.querySelectorAll('[data-i18n]')) element.textContent = stored(element, 'i18n');
  for (const element of root.querySelectorAll('[data-i18n-label]')) applyLabel(element, stored(element, 'i18nLabel'));
  for (const element of root.querySelectorAll('[data-i18n-placeholder]')) {
    element.placeholder = t(element.dataset.i18nPlaceholder);
  }
}

/** Fills a `<select>` with the languages, and switches to the one that is chosen. */
export function languageSwitch(select) {
  select.replaceChildren(...Object.entries(LANGUAGES).map(([code, name]) => new Option(name, code, false, code === current)));
  select.addEventListener('change', () => setLanguage(select.value));
  onLanguageChange(() => {
    select.value = current;
  });
}

function remembering(element, slot, key, values) {
  element.dataset[slot] = key;
  if (values) element.dataset[`${slot}Values`] = JSON.stringify(values);
  else delete element.dataset[`${slot}Values`];
}

function stored(element, slot) {
  return t(element.dataset[slot], JSON.parse(element.dataset[`${slot}Values`] ?? '{}'));
}

function applyLabel(element, text) {
  element.setAttribute('aria-label', text);
  const { shortcut } = element.dataset;
  if (element.matches('button, a')) element.title = shortcut ? `${text} (${shortcut})` : text;
}
