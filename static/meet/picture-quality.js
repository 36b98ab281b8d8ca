/**
 * Says how good the pictures of a meeting are: on each tile, at the names of those whose picture is paused, and in a notice where
 * one's own connection is slow.
 */
import { SCREEN } from '../client/conference-wants.js';
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
  /** The ids of those whose picture is paused. */
  #paused = '';

  /** @param {import('./meeting.js').Meeting} meeting with its client @param {() => void} onLessData the person wants to use less data */
  constructor(meeting, onLessData) {
    this.#meeting = meeting;
    this.#client = meeting.client;
    this.#slowNetwork = new SlowNetwork({ notices: meeting.notices, onLessData });
    for (const type of ['quality', 'layout']) this.#client.addEventListener(type, () => this.#changed());
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  #changed() {
    const paused = this.#client.shown.filter((id) => isPausedByPath(this.#client.qualityOf(id))).sort().join();
    if (this.#meeting.client !== this.#client || paused === this.#paused) return;
    this.#paused = paused;
    this.#meeting.people.render();
  }

  async #look() {
    const { publisher, shown } = this.#client;
    const own = (await publisher?.sentFigures()) ?? null;
    if (this.#meeting.client !== this.#client) return;
    const { stage, lowData, wants } = this.#meeting;
    const isInside = this.#client.state === 'inside';
    const now = performance.now();
    stage.self?.setQuality(isInside ? quality(own, publisher?.state ?? 'closed') : null);
    for (const [id, tile] of stage.tiles) {
      tile.setBadge(badgeFor(this.#client.qualityOf(id), { now, wantedSince: wants?.wantedSince(id) ?? Infinity }));
    }
    const people = [...shown, SCREEN].map((id) => ({ name: stage.tiles.get(id)?.name ?? '', videoQuality: this.#client.qualityOf(id) }));
    if (isInside) this.#slowNetwork.look({ own, people, hasLowData: lowData.isOn });
  }
}
