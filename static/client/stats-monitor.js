/**
 * Takes the figures of every connection of a room client once a second, puts them on the participants
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
    const [own] = await Promise.all([
      sampleOne(publisher, this.own),
      ...people.map(async (person) => {
        person.stats = await sampleOne(person, person.stats);
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

async function sampleOne(peer, previous) {
  const pc = peer?.pc;
  if (!pc) return null;
  const report = await pc.getStats().catch(() => null);
  if (!report) return null;
  const sameConnection = previous?.generation === peer.generation;
  return { ...summarize(report, sameConnection ? previous : null), generation: peer.generation };
}
