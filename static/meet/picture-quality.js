/**
 * Says how good the pictures of a meeting are: on each tile, at the names of those whose picture is paused, and in a notice where
 * one's own connection is slow.
 */
import { quality } from '../client/quality.js';
import { isPausedByPath } from '../client/video-quality.js';
import { badgeFor } from '../room/quality-badge.js';
import { SlowNetwork } from '../room/slow-network.js';

const INTERVAL_MS = 1000;

export class PictureQuality {
  #meeting;
  #client;
  #slowNetwork;
  #timer = 0;

  /** @param {import('./meeting.js').Meeting} meeting with its client @param {() => void} onLessData the person wants to use less data */
  constructor(meeting, onLessData) {
    this.#meeting = meeting;
    this.#client = meeting.client;
    this.#slowNetwork = new SlowNetwork({ notices: meeting.notices, onLessData });
    this.#client.addEventListener('quality', ({ detail }) => this.#changed(detail));
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  #changed({ id, before }) {
    const isPaused = isPausedByPath(this.#client.qualities.get(id));
    if (this.#meeting.client === this.#client && isPaused !== isPausedByPath(before)) this.#meeting.people.render();
  }

  async #look() {
    const { publisher, qualities } = this.#client;
    const own = (await publisher?.sentFigures()) ?? null;
    if (this.#meeting.client !== this.#client) return;
    const { stage, lowData } = this.#meeting;
    const isInside = this.#client.state === 'inside';
    const hasLowData = lowData.isOn;
    stage.self?.setQuality(isInside ? quality(own, publisher?.state ?? 'closed') : null);
    for (const [id, tile] of stage.tiles) tile.setBadge(badgeFor(qualities.get(id), { now: performance.now(), hasLowData }));
    const people = [...qualities].map(([id, videoQuality]) => ({ name: stage.tiles.get(id)?.name ?? '', videoQuality }));
    if (isInside) this.#slowNetwork.look({ own, people, hasLowData });
  }
}
