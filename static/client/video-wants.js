/**
 * Measures the tiles in which a page shows videos, and gives the client what the page wants of each: as many pixels
 * as its tile has, none where it is not to be seen. Nothing is sent that nobody looks at.
 *
 * ```js
 * const wants = new VideoWants(client);
 * client.addEventListener('participantjoined', ({ detail }) => wants.watch(detail.participant.id, videoElementOf(detail.participant)));
 * client.addEventListener('participantleft', ({ detail }) => wants.unwatch(detail.participant.id));
 * ```
 *
 * With a server that does not know what this is, nothing happens.
 */
import { heightFor, wantsOf } from './wants.js';

/** Tiles that still move are measured when they have stopped for so long … */
const QUIET_MS = 250;
/** … and after this time even if they have not. */
const MOVING_MS = 1000;
/** Tiles this near to the visible part of their list are about to be scrolled into it. */
const SOON_VISIBLE = '25%';

export class VideoWants {
  #client;
  /** @type {Map<string, {video: HTMLVideoElement, isVisible: boolean, floating: PictureInPictureWindow | null, wantedSince: number}>} */
  #tiles = new Map();
  #ids = new WeakMap();
  #onStage = [];
  #lowData = 'off';
  #isCovered = false;
  #timer = 0;
  #movingSince = 0;
  #sizes = new ResizeObserver(() => this.#soon());
  #views;
  #onVisibility = () => this.#visibilityChanged();

  /**
   * @param {import('./room-client.js').RoomClient} client
   * @param {{list?: Element | null}} [options] list: the element in which tiles are scrolled, where it is not the page
   */
  constructor(client, { list = null } = {}) {
    this.#client = client;
    this.#views = new IntersectionObserver((entries) => this.#viewsChanged(entries), { root: list, rootMargin: SOON_VISIBLE });
    document.addEventListener('visibilitychange', this.#onVisibility);
    client.wantVideos(this.#wants());
  }

  /** @param {string} id @param {HTMLVideoElement} video as it is laid out; it may be invisible while there is no picture */
  watch(id, video) {
    this.unwatch(id);
    this.#tiles.set(id, { video, isVisible: true, floating: null, wantedSince: performance.now() });
    this.#ids.set(video, id);
    this.#sizes.observe(video);
    this.#views.observe(video);
    video.addEventListener('resize', this.#onPicture);
    video.addEventListener('enterpictureinpicture', this.#onFloating);
    video.addEventListener('leavepictureinpicture', this.#onFloating);
    this.#soon();
  }

  unwatch(id) {
    const tile = this.#tiles.get(id);
    if (!tile) return;
    const { video } = tile;
    this.#tiles.delete(id);
    this.#sizes.unobserve(video);
    this.#views.unobserve(video);
    video.removeEventListener('resize', this.#onPicture);
    video.removeEventListener('enterpictureinpicture', this.#onFloating);
    video.removeEventListener('leavepictureinpicture', this.#onFloating);
    this.#soon();
  }

  /**
   * The time since which the page has wanted somebody's picture without a break, by `performance.now()`. Infinity where it wants none:
   * in a hidden tab, with low data, and of a tile that nobody sees.
   * @param {string} id
   */
  wantedSince(id) {
    return this.#tiles.get(id)?.wantedSince ?? Infinity;
  }

  /** @param {string[]} ids the people whose tile is the large one: they come first when there is not enough for all */
  setOnStage(ids) {
    if (ids.join() === this.#onStage.join()) return;
    this.#onStage = ids;
    this.#soon();
  }

  /** @param {import('./wants.js').LowData} lowData */
  setLowData(lowData) {
    if (lowData === this.#lowData) return;
    this.#lowData = lowData;
    this.#send();
  }

  /** @param {boolean} isCovered whether something lies over all tiles */
  setCovered(isCovered) {
    if (isCovered === this.#isCovered) return;
    this.#isCovered = isCovered;
    if (isCovered) this.#soon();
    else this.#send();
  }

  /** Forgets all tiles, and listens no more. */
  close() {
    for (const id of [...this.#tiles.keys()]) this.unwatch(id);
    clearTimeout(this.#timer);
    this.#timer = 0;
    document.removeEventListener('visibilitychange', this.#onVisibility);
  }

  #onPicture = () => this.#soon();

  #onFloating = ({ type, target, pictureInPictureWindow }) => {
    const tile = this.#tiles.get(this.#ids.get(target));
    if (!tile) return;
    tile.floating = type === 'enterpictureinpicture' ? (pictureInPictureWindow ?? null) : null;
    tile.floating?.addEventListener?.('resize', () => this.#soon());
    this.#send();
  };

  #viewsChanged(entries) {
    for (const { target, isIntersecting } of entries) {
      const tile = this.#tiles.get(this.#ids.get(target));
      if (tile?.video === target) tile.isVisible = isIntersecting;
    }
    this.#soon();
  }

  /** Whoever comes back to the page is waiting for the pictures. */
  #visibilityChanged() {
    if (document.visibilityState === 'hidden') this.#soon();
    else this.#send();
  }

  #soon() {
    const now = performance.now();
    if (!this.#timer) this.#movingSince = now;
    clearTimeout(this.#timer);
    const wait = Math.min(QUIET_MS, this.#movingSince + MOVING_MS - now);
    this.#timer = setTimeout(() => this.#send(), Math.max(0, wait));
  }

  #send() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const wants = this.#wants();
    for (const [id, tile] of this.#tiles) {
      const isWanted = (wants.heights[id] ?? wants.heights['*']) !== 0;
      tile.wantedSince = isWanted ? Math.min(tile.wantedSince, performance.now()) : Infinity;
    }
    this.#client.wantVideos(wants);
  }

  #wants() {
    const isHidden = document.visibilityState === 'hidden' || this.#isCovered;
    const heights = new Map([...this.#tiles].map(([id, tile]) => [id, heightOf(tile, isHidden)]));
    // A picture in a window of its own is seen wherever the page is.
    const isAway = isHidden && ![...this.#tiles.values()].some(({ floating }) => floating);
    return wantsOf({ heights, onStage: this.#onStage, lowData: this.#lowData, isAway });
  }
}

function heightOf({ video, isVisible, floating }, isHidden) {
  const { videoWidth, videoHeight } = video;
  const picture = { videoWidth, videoHeight };
  if (floating) return heightFor({ width: floating.width, height: floating.height, ...picture, isCropped: false }, devicePixelRatio);
  if (!isVisible || isHidden) return 0;
  const isCropped = getComputedStyle(video).objectFit === 'cover';
  return heightFor({ width: video.clientWidth, height: video.clientHeight, ...picture, isCropped }, devicePixelRatio);
}
