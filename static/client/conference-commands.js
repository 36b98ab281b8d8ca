/**
 * What a participant asks for in a conference. All but `say`, `report`, and what mutes oneself, is for hosts. Each returns when it is
 * done, and throws what the request throws.
 */

export class ConferenceCommands {
  #ask;

  /** @param {(request: string, fields?: object) => Promise<any>} ask below the conference */
  constructor(ask) {
    this.#ask = ask;
  }

  /** @param {string} text to everybody */
  say(text) {
    return this.#ask('message', { type: 'text/plain', payload: text });
  }

  /** Tells the others whether they can hear and see this client. @param {string} id one's own @param {Record<'audio' | 'video', any>} tracks */
  report(id, { audio, video }) {
    return this.#about(id, 'changeLocalStatus', { local_audio: audio !== null, local_camera: video !== null, ismute: audio === null });
  }

  /** @param {string} id @param {boolean} muted */
  mute(id, muted) {
    return this.#about(id, muted ? 'mute' : 'unmute');
  }

  /** @param {boolean} muted guests who come later, too */
  muteGuests(muted) {
    return this.#ask(muted ? 'muteguests' : 'unmuteguests');
  }

  /** @param {boolean} locked whether no further guests get in */
  lock(locked) {
    return this.#ask(locked ? 'lock' : 'unlock');
  }

  /** @param {boolean} on whether everybody sees this person large */
  spotlight(id, on) {
    return this.#about(id, on ? 'spotlighton' : 'spotlightoff');
  }

  /** Lets somebody in who waits. */
  admit(id) {
    return this.#about(id, 'unlock');
  }

  remove(id) {
    return this.#about(id, 'disconnect');
  }

  /** Ends the conference for everybody. */
  removeAll() {
    return this.#ask('disconnect');
  }

  /** @param {boolean} host */
  setHost(id, host) {
    return this.#about(id, 'role', { role: host ? 'chair' : 'guest' });
  }

  /** Lets an account ring, and in when it answers. @param {string} account */
  invite(account) {
    return this.#ask('dial', { destination: account, protocol: 'auto', role: 'GUEST' });
  }

  #about(id, request, fields) {
    return this.#ask(`participants/${id}/${request}`, fields);
  }
}
