/**
 * The connection over which others' media arrive: those of many people, each in a place of their own, or those of one person. Places
 * are added by new offers as people come. Those of people who have left are stopped then, and the browser uses their sections again.
 */
import { describeFrames } from './frame-descriptions.js';
import { MediaPeer } from './media-peer.js';
import { offerFewFormats } from './received-formats.js';
import { outgoing } from './wire.js';

/** An offer of so many places stays in the server's 64 KiB. Whoever is too many has a connection of their own. */
const PLACES_MAX = 12;
/** The places of an offer that is made before it is known who is there. The rest is offered while the connection is being made. */
const PLACES_AT_JOIN = 3;
/** Pauses after offers that the server has refused: somebody may have left meanwhile, or there is no room for the connection. */
const REFUSED_PAUSES_MS = [100, 1000, 4000, 8000];

/** The sound and the pictures of one person. */
class Place {
  /** @type {import('./participant.js').Participant | null} null while nobody is here */
  person;
  isAnswered = false;

  constructor(pc, person) {
    this.person = person;
    this.transceivers = ['audio', 'video'].map((kind) => pc.addTransceiver(kind, { direction: 'recvonly' }));
    describeFrames(this.transceivers[1]);
  }

  /** The numbers of its sections among those of their kind. @param {string[][]} mids of sections, by kind */
  sections(mids) {
    return this.transceivers.map(({ mid }, kind) => mids[kind].indexOf(mid));
  }

  set isOpen(isOpen) {
    for (const transceiver of this.transceivers) transceiver.direction = isOpen ? 'recvonly' : 'inactive';
  }

  stop() {
    for (const transceiver of this.transceivers) transceiver.stop();
  }
}

export class Reception extends MediaPeer {
  /** @type {Set<import('./participant.js').Participant>} in the order in which they came */
  people = new Set();

  #onState;
  #onMedia;
  /** @type {Place[]} */
  #places = [];
  #placesAhead = 0;
  #isSettling = false;
  #isUnsettled = false;
  #refusals = 0;
  #refusedTimer = 0;

  /**
   * @param {object} options
   * @param {string | null} options.id null for many people
   * @param {(message: object) => boolean} options.send
   * @param {() => void} options.onState
   * @param {(person: import('./participant.js').Participant) => void} options.onMedia their stream has its tracks
   */
  constructor({ id, send, onState, onMedia }) {
    super({ id, send, onState });
    this.#onState = onState;
    this.#onMedia = onMedia;
  }

  get hasRoom() {
    return this.people.size < (this.#isShared ? PLACES_MAX : 1);
  }

  get #isShared() {
    return this.id === null;
  }

  add(person) {
    this.people.add(person);
    person.reception = this;
    person.expectMedia();
    this.#settleSoon();
  }

  /** Ends the connection with the last person. */
  remove(person) {
    this.people.delete(person);
    if (this.people.size === 0) this.rest();
  }

  /** Makes an offer for whoever will be there, to be sent with the message that enters the room. */
  async offerAhead() {
    this.#placesAhead = PLACES_AT_JOIN;
    const offer = this.makeOffer();
    this.#placesAhead = 0;
    return offer;
  }

  /** Takes the answer to that offer. @param {{ids: string[], sdp: string}} answer who has which place */
  acceptAhead({ ids, sdp }) {
    const known = new Map([...this.people].map((person) => [person.id, person]));
    ids.forEach((id, index) => {
      if (this.#places[index]) this.#places[index].person = known.get(id) ?? null;
    });
    return this.acceptAnswer(sdp);
  }

  async prepare(pc) {
    clearTimeout(this.#refusedTimer);
    // The first section is never stopped: Chromium would begin another handshake with the one that takes its place.
    if (this.#isShared) offerFewFormats(pc.addTransceiver('audio', { direction: 'inactive' }));
    for (const person of this.people) person.expectMedia();
    const people = [...this.people].slice(0, PLACES_MAX);
    while (people.length < this.#placesAhead) people.push(null);
    this.#places = people.map((person) => this.#newPlace(pc, person));
  }

  /** Many people are named in the order of their sections, which browsers use again in an order of their own. */
  offerMessage(sdp) {
    if (!this.#isShared) return super.offerMessage(sdp);
    const mids = ['audio', 'video'].map((kind) => midsOf(sdp, kind));
    const numbered = this.#places.map((place) => ({ place, sections: place.sections(mids) }));
    numbered.sort((one, other) => one.sections[0] - other.sections[0]);
    const isInOrder = numbered.every(({ sections }, at) => at === 0 || sections[1] > numbered[at - 1].sections[1]);
    // Browsers use sections again one after the other, so it is. If it was not, one would be heard with the picture of another.
    if (!isInOrder) queueMicrotask(() => this.start());
    this.#places = numbered.map(({ place }) => place);
    return outgoing.watch(this.#places.flatMap(({ person }) => (person ? [person.id] : [])), sdp);
  }

  /** The server finds this browser by its checks. */
  candidateMessage(candidate) {
    return this.#isShared ? null : super.candidateMessage(candidate);
  }

  async acceptAnswer(sdp) {
    await super.acceptAnswer(sdp);
    if (!this.isAnswered || this.pc.signalingState !== 'stable') return;
    this.#refusals = 0;
    for (const place of this.#places) this.#answered(place);
    this.#onState();
    this.#settleSoon();
  }

  async offerRefused() {
    await super.offerRefused();
    if (!this.#isShared) return;
    const pause = REFUSED_PAUSES_MS[Math.min(this.#refusals, REFUSED_PAUSES_MS.length - 1)];
    this.#refusals += 1;
    clearTimeout(this.#refusedTimer);
    this.#refusedTimer = setTimeout(() => (this.isAnswered ? this.#settleSoon() : this.#startAnew()), pause);
  }

  rest() {
    clearTimeout(this.#refusedTimer);
    this.#places = [];
    super.rest();
  }

  close() {
    clearTimeout(this.#refusedTimer);
    super.close();
  }

  #newPlace(pc, person) {
    const place = new Place(pc, person);
    if (this.#isShared) place.transceivers.forEach(offerFewFormats);
    return place;
  }

  #startAnew() {
    if (this.people.size > 0) this.start();
  }

  #answered(place) {
    const { person, transceivers } = place;
    if (place.isAnswered || !this.people.has(person)) return;
    place.isAnswered = true;
    person.receive(transceivers.map(({ receiver }) => receiver));
    this.#onMedia(person);
  }

  /** Several people may come at once: one offer is for all of them. */
  #settleSoon() {
    this.#isUnsettled = true;
    if (this.#isSettling) return;
    this.#isSettling = true;
    queueMicrotask(async () => {
      while (this.#isUnsettled) {
        this.#isUnsettled = false;
        await this.#settle().catch((error) => console.warn('patchbay: could not offer places', error));
      }
      this.#isSettling = false;
    });
  }

  /** Offers what is missing: a connection, or places for those who have none. An answer that is still to come does it again. */
  async #settle() {
    if (this.people.size === 0) return;
    if (!this.pc) {
      await this.start();
      return;
    }
    if (!this.#isShared || !this.mayOfferAgain) return;
    const placed = new Set(this.#places.map(({ person }) => person));
    const waiting = [...this.people].filter((person) => !placed.has(person));
    const isOwed = this.#places.some(({ person, isAnswered }) => !isAnswered && this.people.has(person));
    if (waiting.length === 0 && !isOwed) return;
    this.#makePlaces(waiting);
    await this.offerAgain();
  }

  #makePlaces(waiting) {
    const isLeft = ({ person }) => person !== null && !this.people.has(person);
    const left = this.#places.filter(isLeft);
    for (const place of left) place.stop();
    this.#places = this.#places.filter((place) => !isLeft(place));
    for (const place of this.#places) {
      place.person ??= waiting.shift() ?? null;
      place.isOpen = place.person !== null;
    }
    // The sections of those who have left can be used again after the answer.
    const more = PLACES_MAX - this.#places.length - left.length;
    for (const person of waiting.slice(0, Math.max(0, more))) this.#places.push(this.#newPlace(this.pc, person));
  }
}

function midsOf(sdp, kind) {
  const sections = sdp.split(/^m=/m).filter((section) => section.startsWith(`${kind} `));
  return sections.map((section) => /^a=mid:(\S+)/m.exec(section)?.[1] ?? '');
}
