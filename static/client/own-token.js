/**
 * The token that proves who a person is, as the page got it in its address: `#token=…` (which browsers send to no server)
 * or `?token=…`. It is removed from the address, so that nobody passes it on with a link, and kept for this tab: for
 * reloads, and for the pages of calls that open in it.
 */
const KEY = 'patchbay.token';

const fresh = globalThis.location ? takeFromAddress() : '';

/** The token for a user; empty if there is none for them. The server judges better whether a token is somebody else's. */
export function ownToken(user) {
  if (fresh) return fresh;
  const kept = keptInTab();
  return ownerOf(kept) === String(user) ? kept : '';
}

/** The owner of this page's token; empty if it has none. */
export function tokenOwner() {
  return ownerOf(fresh || keptInTab());
}

/** The user in a token. The server decides whether it is valid. */
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
