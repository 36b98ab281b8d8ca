/**
 * Requests below `/api`: the login, registrations and conferences. What they are about is in registration.js and
 * conference-client.js.
 */

/** The server has not done what it was asked for. */
export class Refused extends Error {
  /** Status of the answer; of a login that has failed, its code. */
  status;
  /** What the answer says besides: for a PIN that is missing, who needs one. */
  result;

  constructor(status, result) {
    super(typeof result === 'string' ? result : `HTTP ${status}`);
    this.status = status;
    this.result = result;
  }
}

/** The conference wants a PIN, or another one. */
export class PinRequired extends Error {
  /** Whether guests need one, too; otherwise it is for hosts alone. */
  isForGuests;
  /** Whether the one that was sent is wrong. */
  isWrong;

  constructor({ isForGuests, isWrong }) {
    super('a PIN is required');
    Object.assign(this, { isForGuests, isWrong });
  }
}

/**
 * What it means that somebody was not let in.
 * @param {Error} error @param {object} known
 * @param {boolean} known.isWrong whether a PIN was sent @param {boolean} known.isForGuests whether guests need one, as far as it is known
 * @returns {Error} the same, or PinRequired
 */
export function asPinRequired(error, { isWrong, isForGuests }) {
  if (!(error instanceof Refused) || error.status !== 403) return error;
  const isAsked = error.result?.pin === 'required';
  if (!isAsked && !isWrong) return error;
  return new PinRequired({ isForGuests: isAsked ? error.result.guest_pin === 'required' : isForGuests, isWrong });
}

/** A request has not come back: the server, or the way to it, is not there. */
export class Unreachable extends Error {}

/**
 * @param {string} path below `/api`
 * @param {object} [options]
 * @param {object} [options.fields] of the body @param {Record<string, string>} [options.headers]
 * @param {string} [options.token] of the registration, or of the conference
 * @param {boolean} [options.keepalive] whether it goes on while the page is unloaded
 * @returns {Promise<any>} the answer's result
 */
export async function ask(path, { fields = {}, headers = {}, token, keepalive = false } = {}) {
  const { status, answer } = await post(path, { fields, headers: { ...headers, ...(token && { token }) }, keepalive });
  if (status === 200 && answer?.status === 'success') return answer.result;
  throw new Refused(status, answer?.result ?? answer?.reason);
}

/**
 * Who has this account and password.
 * @returns {Promise<{account: string, name: string}>}
 */
export async function logIn(account, password) {
  const fields = { account, pwd: password, plat_type: 'webrtcc4' };
  const { status, answer } = await post('/v3/app/user/login/verify_user.shtml', { fields });
  if (answer?.code !== '200') throw new Refused(Number(answer?.code ?? status), answer?.results);
  return { account: answer.results.account, name: answer.results.trueName };
}

/** The header that proves an account. */
export function proof(account, password) {
  const bytes = new TextEncoder().encode(`${account.split('@')[0]}:${password}`);
  return `x-cloud-basic ${btoa(String.fromCharCode(...bytes))}`;
}

/** A path below `/api`; each part may be any text. */
export function pathOf(...parts) {
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

async function post(path, { fields, headers, keepalive }) {
  const json = { 'content-type': 'application/json' };
  let response;
  try {
    response = await fetch(`/api${path}`, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(fields), keepalive });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  return { status: response.status, answer: await response.json().catch(() => null) };
}
