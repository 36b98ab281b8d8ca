/**
 * All tiles: their order, their places, and who has the large one.
 */
import { layOut } from './tiling.js';
import { Tile } from './tile.js';

const GAP = 10;
const GAP_NARROW = 6;

export class Stage {
  /** @type {Map<string, Tile>} */
  tiles = new Map();
  /** 'grid', or 'speaker': whoever speaks gets the large tile. */
  view = 'grid';

  #root;
  #self = null;
  #pinned = null;
  #speaker = null;
  #sharer = null;
  #dismissedSharer = null;
  #frame = 0;
  #onlyOne = false;
  #onPinned;
  #onLarge;

  /** @param {HTMLElement} root @param {{onPinned: () => void, onLarge?: (id: string | null) => void}} handlers onLarge: another tile is large, or none */
  constructor(root, { onPinned, onLarge = () => {} }) {
    this.#root = root;
    this.#onPinned = onPinned;
    this.#onLarge = onLarge;
    new ResizeObserver(() => this.arrange()).observe(root);
  }

  get self() {
    return this.#self;
  }

  get pinned() {
    return this.#pinned;
  }

  add({ id, name, isSelf = false }) {
    this.tiles.get(id)?.remove();
    const tile = new Tile({ id, name, isSelf, onPin: () => this.togglePin(id) });
    if (isSelf) this.#self = tile;
    this.tiles.set(id, tile);
    tile.element.classList.add('entering');
    this.#root.append(tile.element);
    requestAnimationFrame(() => requestAnimationFrame(() => tile.element.classList.remove('entering')));
    this.arrange();
    return tile;
  }

  remove(id) {
    this.tiles.get(id)?.remove();
    this.tiles.delete(id);
    if (this.#pinned === id) this.#pin(null);
    if (this.#speaker === id) this.#speaker = null;
    if (this.#sharer === id) this.#sharer = null;
    this.arrange();
  }

  clear() {
    for (const id of [...this.tiles.keys()]) this.remove(id);
    this.#self = null;
  }

  togglePin(id) {
    if (this.tiles.size < 2) return;
    const isLargeBySharing = this.#pinned === null && this.#largeByItself() === id && id === this.#sharer;
    if (isLargeBySharing) this.#dismissedSharer = id;
    else this.#pin(this.#pinned === id ? null : id);
    this.arrange();
  }

  /** @returns {boolean} whether a tile was pinned */
  unpin() {
    if (this.#pinned === null) return false;
    this.togglePin(this.#pinned);
    return true;
  }

  setView(view) {
    this.view = view;
    this.arrange();
  }

  /** Where only one picture comes, that person's tile is always the large one. */
  setOnlyOne(onlyOne) {
    this.#onlyOne = onlyOne;
    this.arrange();
  }

  /** A screen gets the large place by itself, until the person decides otherwise. @param {string | null} id */
  setSharer(id) {
    if (id === this.#sharer) return;
    this.#sharer = id;
    this.#dismissedSharer = null;
    this.arrange();
  }

  /** @param {string | null} id who is speaking; the last speaker keeps the place */
  setSpeaker(id) {
    if (!id || id === this.#speaker) return;
    this.#speaker = id;
    if (this.view === 'speaker' || this.#onlyOne) this.arrange();
  }

  /** Places the tiles before the next picture is drawn; many changes at once are one. */
  arrange() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#place();
    });
  }

  #pin(id) {
    this.#pinned = id;
    for (const [key, tile] of this.tiles) tile.setPinned(key === id);
    this.#onPinned();
  }

  #place() {
    const tiles = [...this.tiles.values()].sort((a, b) => (a === this.#self) - (b === this.#self));
    const { clientWidth: width, clientHeight: height } = this.#root;
    const largeId = this.#pinned ?? this.#largeByItself();
    const large = this.tiles.get(largeId);
    this.#onLarge(large && large !== this.#self ? largeId : null);
    const gap = width < 600 ? GAP_NARROW : GAP;
    const placed = layOut({ width, height, count: tiles.length, gap, pinned: large ? tiles.indexOf(large) : -1 });
    tiles.forEach((tile, index) => placed.rects[index] && tile.place(placed.rects[index]));
    this.#root.classList.toggle('scrolling', placed.height > height);
  }

  #largeByItself() {
    if (this.#sharer && this.#sharer !== this.#dismissedSharer) return this.#sharer;
    if (this.view !== 'speaker' && !this.#onlyOne) return null;
    if (this.tiles.has(this.#speaker)) return this.#speaker;
    return [...this.tiles].find(([, tile]) => tile !== this.#self)?.[0] ?? null;
  }
}

/** The text on the tile while the connection to its person is missing, on this side or on theirs. */
export function connectionStatus({ state, isLost }) {
  if (state === 'connected') return isLost ? 'tile.lost' : null;
  return state === 'disconnected' || state === 'failed' ? 'tile.reconnecting' : 'tile.connecting';
}
