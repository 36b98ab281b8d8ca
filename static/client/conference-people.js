/**
 * The people of a conference, from its events. Pure: no sockets, no media, no DOM.
 */

/**
 * @typedef {object} Person
 * @property {string} id
 * @property {string} name text from somebody else, to be shown as text only
 * @property {boolean} isHost
 * @property {boolean} isMuted the server keeps their sound from the others
 * @property {boolean} isQuiet their microphone is off, as their client says
 * @property {boolean} isSpotlit
 * @property {boolean} isPresenting they share a screen
 * @property {boolean} isWaiting they are not in the conference yet: a host has to let them in
 */

/** @param {object} data of `participant_create` or `participant_update` @returns {Person} */
export function readPerson(data) {
  return {
    id: String(data.uuid),
    name: String(data.overlay_text || data.display_name || data.uri || ''),
    isHost: data.role === 'chair',
    isMuted: isYes(data.is_muted),
    isQuiet: data.local_audio === false,
    isSpotlit: isYes(data.spotlight),
    isPresenting: isYes(data.is_presenting),
    isWaiting: data.service_type === 'waiting_room',
  };
}

/** Flags are words, numbers or truth values. Of a spotlight it is the time since when. */
export function isYes(value) {
  return typeof value === 'string' ? !['', '0', 'NO', 'FALSE'].includes(value.toUpperCase()) : Boolean(value);
}

export class People extends Map {
  /** Who has been named since the server began to name everybody; null otherwise. */
  #named = null;

  beginSync() {
    this.#named = new Set();
  }

  /** @returns {Person[]} those who were not named: they have left */
  endSync() {
    const gone = this.#named ? [...this.values()].filter(({ id }) => !this.#named.has(id)) : [];
    for (const { id } of gone) this.delete(id);
    this.#named = null;
    return gone;
  }

  /** @returns {{person: Person, before: Person | null, isInitial: boolean}} */
  put(data) {
    const person = readPerson(data);
    const before = this.get(person.id) ?? null;
    this.set(person.id, person);
    this.#named?.add(person.id);
    return { person, before, isInitial: this.#named !== null };
  }

  /** @returns {Person | null} whoever was taken out */
  take(id) {
    const person = this.get(String(id)) ?? null;
    this.delete(String(id));
    return person;
  }
}
