/**
 * The call API (`/dapi`), as an app uses it. Each method is one request, and returns the answer's data.
 */

/** The server has not carried out a request. */
export class Refused extends Error {
  /** Name of the field that is wrong; empty where no single one is. */
  field;
  /** Status of the answer. */
  status;

  constructor(text, field, status) {
    super(text);
    this.field = field;
    this.status = status;
  }
}

/** A request has not come back: the server, or the way to it, is not there. */
export class Unreachable extends Error {}

export class CallApi {
  #uid;
  #key;
  #onAnswer;

  /**
   * @param {string} uid @param {string} key sent with each request if it is not empty
   * @param {(name: string, request: object, answer: object) => void} onAnswer called for each answer
   */
  constructor(uid, key, onAnswer) {
    this.#uid = uid;
    this.#key = key;
    this.#onAnswer = onAnswer;
  }

  /** @returns {Promise<{channel: string, uid: string, token: string}>} */
  callUsers(callees, extra) {
    return this.#ask('call/user', { src_uid: this.#uid, dst_uid: callees, extra_msg: extra });
  }

  callRobot() {
    return this.#ask('call/robot', { src_uid: this.#uid });
  }

  /** @returns {Promise<{channel_heartbeat: number, agora_appid: string, time_zone: string}>} */
  settings() {
    return this.#ask('system/config', {}, { isQuiet: true });
  }

  messages() {
    return this.#ask('call/msg', { uid: this.#uid }, { isQuiet: true });
  }

  /** What became of a call: see `call-record.js`. */
  record(channel) {
    return this.#ask('call/record', { channel }, { isQuiet: true });
  }

  token(channel) {
    return this.#ask('call/token', { uid: this.#uid, channel });
  }

  /** @param {number} code what has happened @param {object} [options] see `fetch` */
  report(channel, code, options) {
    return this.#ask('call/event', { uid: this.#uid, channel, code }, options);
  }

  heartbeat(channel) {
    return this.#ask('call/heartbeat', { uid: this.#uid, channel }, { isQuiet: true });
  }

  inviteRobot(channel) {
    return this.#ask('invite/robot', { uid: this.#uid, channel });
  }

  removeRobot(channel) {
    return this.#ask('quit/robot', { uid: this.#uid, channel });
  }

  schedule(callees, time, taskId) {
    return this.#ask('calltask/update', { id: '', src_uid: this.#uid, dst_uid: callees, call_time: time, taskid: taskId });
  }

  tasks(page) {
    return this.#ask('calltask/list', { uid: this.#uid, _page: page }, { isQuiet: true });
  }

  removeTask(id) {
    return this.#ask('calltask/delete', { uid: this.#uid, id });
  }

  /** A quiet request is asked again and again: only its failure is shown. */
  async #ask(name, request, { isQuiet = false, keepalive = false } = {}) {
    const headers = { 'content-type': 'application/json' };
    if (this.#key) headers.authorization = `Bearer ${this.#key}`;
    let response;
    try {
      response = await fetch(`/dapi/${name}`, { method: 'POST', headers, body: JSON.stringify(request), keepalive });
    } catch (error) {
      this.#onAnswer(name, request, { success: false, msg: error.message });
      throw new Unreachable(error.message);
    }
    const answer = await response.json().catch(() => ({}));
    if (!isQuiet || !answer.success) this.#onAnswer(name, request, answer);
    if (!answer.success) throw refusal(answer, response.status);
    return answer.data;
  }
}

/** The server's sentences about single fields say more than the one about the whole. @returns {Refused} */
export function refusal({ msg = '', error = '', data }, status) {
  const fields = data && typeof data === 'object' ? Object.entries(data) : [];
  const text = fields.map(([field, problem]) => `${field}: ${problem}`).join(' · ') || msg || error || `HTTP ${status}`;
  return new Refused(text, fields[0]?.[0] ?? '', status);
}
