/**
 * The token that proves who a person is, as the page got it in its address: `#token=…` (which browsers send to no server)
 * or `?token=…`. It is removed from the address, so that nobody passes it on with a link, and kept for this tab: for
 * reloads, and for the pages of calls that open in it. An access token is for one user in one room, so it is kept for
 * reloads of the same address alone: without it the server would not let the person in again, and the app that has made it
 * is not asked again. Once it lets nobody in any more it is forgotten ({@link forgetAccessToken}).
 */
const KEY = 'patchbay.token';
const ACCESS_KEY = 'patchbay.accessToken';

const fresh = globalThis.location ? takeFromAddress() : '';

/** The token for a user; empty if there is none for them. The server judges better whether a token is somebody else's. */
export function ownToken(user) {
  if (fresh) return fresh;
  const access = keptForAddress();
  if (access) return access;
  const kept = keptInTab(KEY);
  return ownerOf(kept) === String(user) ? kept : '';
}

/** Forgets the access token that is kept for reloads: it has expired, or was refused. */
export function forgetAccessToken() {
  try {
    sessionStorage.removeItem(ACCESS_KEY);
  } catch {
    // Then none was kept.
  }
}

/** Whether a token lets its holder into one room alone. It names neither the room nor its holder in clear. */
export function isAccessToken(token) {
  return token?.startsWith('006') ?? false;
}

/** The owner of this page's token; empty if it has none. */
export function tokenOwner() {
  return ownerOf(fresh || keptInTab(KEY));
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
  // A token has no space, but an access token may have a plus sign, which stands for a space in an address.
  const token = (inHash.get('token') ?? address.searchParams.get('token') ?? '').replaceAll(' ', '+');
  if (!token) return '';
  if (inHash.has('token')) {
    inHash.delete('token');
    address.hash = inHash.toString();
  }
  address.searchParams.delete('token');
  history.replaceState(history.state, '', address);
  try {
    if (isAccessToken(token)) sessionStorage.setItem(ACCESS_KEY, `${token} ${location.href}`);
    else sessionStorage.setItem(KEY, token);
  } catch {
    // Then a reload asks for it again.
  }
  return token;
}

function keptForAddress() {
  const [token, address] = keptInTab(ACCESS_KEY).split(' ');
  return address === location.href ? token : '';
}

function keptInTab(key) {
  try {
    return sessionStorage.getItem(key) ?? '';
  } catch {
    return '';
  }
}
