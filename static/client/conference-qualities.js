/**
 * What a conference sends of each picture, by the id of its tile: that of a person, or `screen`. Nothing where the server has said
 * nothing. Pure but for the clock.
 */
import { SCREEN } from './conference-wants.js';
import { lasting, readQuality } from './video-quality.js';

/** The server's own events that a client with this understands. */
export const FEATURES = ['videoQuality', 'sendLayers'];

/** @extends {Map<string, import('./video-quality.js').VideoQuality & {since: number}>} since: by `performance.now()` */
export class Qualities extends Map {
  #onChange;

  /** @param {(id: string, before: object | null) => void} onChange */
  constructor(onChange) {
    super();
    this.#onChange = onChange;
  }

  /** @param {object} data of `video_quality` */
  put({ sender, feed, ...data }) {
    const id = feed === 'screen' ? SCREEN : String(sender);
    const before = this.get(id) ?? null;
    this.set(id, lasting(readQuality(data), before, performance.now()));
    this.#onChange(id, before);
  }

  /** Of a picture that no longer comes nothing holds that was said of it. @param {(id: string) => boolean} isOver */
  forget(isOver) {
    for (const [id, before] of this) {
      if (isOver(id) && this.delete(id)) this.#onChange(id, before);
    }
  }
}
