/**
 * Values that this browser remembers between visits. Storage may be forbidden or full: then nothing is
 * remembered.
 */
const PREFIX = 'patchbay.';

export function remembered(key, fallback = '') {
  try {
    return localStorage.getItem(PREFIX + key) ?? fallback;
  } catch {
    return fallback;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(PREFIX + key, String(value));
  } catch {
    // Then nothing is remembered; nothing else can be done.
  }
}

/** A value that is kept for as long as this tab lives, reloads included. */
export function rememberedInTab(key, make) {
  const known = recallInTab(key);
  if (known) return known;
  const made = make();
  rememberInTab(key, made);
  return made;
}

/** @returns {string | null} */
export function recallInTab(key) {
  try {
    return sessionStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function rememberInTab(key, value) {
  try {
    sessionStorage.setItem(PREFIX + key, value);
  } catch {
    // Then nothing is remembered; nothing else can be done.
  }
}
