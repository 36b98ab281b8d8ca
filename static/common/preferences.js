/**
 * What this browser remembers between visits. Storage may be forbidden or full: then nothing is remembered.
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
    // Not remembering is all that can be done.
  }
}

/** For as long as this tab lives, reloads included. */
export function rememberedInTab(key, make) {
  try {
    const known = sessionStorage.getItem(PREFIX + key);
    if (known) return known;
    const made = make();
    sessionStorage.setItem(PREFIX + key, made);
    return made;
  } catch {
    return make();
  }
}
