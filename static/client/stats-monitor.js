/**
 * Takes the figures of every connection of a room client once a second, puts those of each participant on them
 * (one's own on itself), and announces that with a `sample` event.
 */
import { quality } from './quality.js';
import { summarize } from './stats.js';

const INTERVAL_MS = 1000;
/** Each request costs the browser about a millisecond a connection: in large rooms there are half as many. */
const LARGE_ROOM = 9;

export class StatsMonitor extends EventTarget {
  /** Figures of what this page sends. */
  own = null;
  #client;
  #timer = 0;

  /** @param {import('./room-client.js').RoomClient} client */
  constructor(client) {
    super();
    this.#client = client;
  }

  start() {
    this.stop();
    this.#timer = setTimeout(() => this.#tick(), INTERVAL_MS / 2);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  async sample() {
    const { publisher, participants } = this.#client;
    const people = [...participants.values()];
    const reportOf = reports();
    const [own] = await Promise.all([
      sampleOne(publisher, this.own, reportOf),
      ...people.map(async (person) => {
        person.stats = await sampleOne(person, person.stats, reportOf);
        person.quality = quality(person.stats, person.state);
      }),
    ]);
    this.own = own;
    this.ownQuality = quality(own, publisher?.state ?? 'closed');
    this.dispatchEvent(new Event('sample'));
  }

  async #tick() {
    await this.sample();
    if (!this.#timer) return;
    const pause = this.#client.participants.size > LARGE_ROOM ? 2 * INTERVAL_MS : INTERVAL_MS;
    this.#timer = setTimeout(() => this.#tick(), pause);
  }
}

/** Asks each connection once, however many people it carries. */
function reports() {
  const asked = new Map();
  return (pc) => {
    if (!asked.has(pc)) asked.set(pc, pc.getStats().catch(() => null));
    return asked.get(pc);
  };
}

async function sampleOne(peer, previous, reportOf) {
  const report = peer?.pc ? await reportOf(peer.pc) : null;
  if (!report) return null;
  const { generation, trackIds = null } = peer;
  return { ...summarize(report, previous?.generation === generation ? previous : null, trackIds), generation };
}
