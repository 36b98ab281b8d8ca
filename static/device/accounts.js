/**
 * Accounts over HTTP: login and contacts.
 */

/** An error, as the key of a sentence. */
export class AccountProblem extends Error {
  constructor(code) {
    super(`account error ${code}`);
    this.sentence = SENTENCES[code] ?? 'device.failed';
    this.isTokenInvalid = code === 4;
  }
}

const SENTENCES = {
  1: 'device.notNow',
  2: 'device.badContact',
  3: 'device.badPhone',
  4: 'device.loginOver',
  5: 'device.badDevice',
};

/** @returns {Promise<string>} the token */
export async function logIn(phone, device) {
  return (await ask('/account/login', { phone, device_id: device })).token;
}

/** @returns {Promise<{phone: string, device_id: string}[]>} one for each device of each contact */
export async function listContacts({ phone, token }) {
  return (await ask('/getContactPersons', { phone, token })).contacts ?? [];
}

export async function addContact({ phone, token }, contact) {
  return (await ask('/account/contacts/add', { phone, token, contact })).contacts ?? [];
}

export async function removeContact({ phone, token }, contact) {
  return (await ask('/account/contacts/remove', { phone, token, contact })).contacts ?? [];
}

async function ask(path, body) {
  let answer;
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    answer = await response.json();
  } catch {
    throw new AccountProblem(null);
  }
  if (answer.errorCode !== 0) throw new AccountProblem(answer.errorCode);
  return answer;
}
