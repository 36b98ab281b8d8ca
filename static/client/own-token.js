/**
 * The token that proves who somebody is, as the page got it in its address: `#token=…` (never sent to any server by the
 * browser itself) or `?token=…`. It is taken out of the address, so that nobody passes it on with a link, and kept for this
 * tab: for reloads, and for the pages of calls that open in it.
 */
const KEY = 'patchbay.token';

const fresh = globalThis.location ? takeFromAddress() : '';

/** The token for a user; empty where there is none for them. A server says that a token is somebody else's better than we. */
export function ownToken(user) {
  if (fresh) return fresh;
  const kept = keptInTab();
  return ownerOf(kept) === String(user) ? kept : '';
}

/** Whose token this page has; empty where it has none. */
export function tokenOwner() {
  return ownerOf(fresh || keptInTab());
}

/** The user in a token. Whether it is good is for the server to say. */
export function ownerOf(token) {
  try {
    const base64 = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return String(JSON.parse(new TextDecoder().decode(bytes)).sub ?? '');
  } catch {
    return '';
  }
}

function takeFromAddress() {
  const address = new URL(location.href);
  const inHash = new URLSearchParams(address.hash.slice(1));
  const token = inHash.get('token') ?? address.searchParams.get('token') ?? '';
  if (!token) return '';
  if (inHash.has('token')) {
    inHash.delete('token');
    address.hash = inHash.toString();
  }
  address.searchParams.delete('token');
  history.replaceState(history.state, '', address);
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // Then a reload asks for it again.
  }
  return token;
}

function keptInTab() {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}
