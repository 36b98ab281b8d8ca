/**
 * The places of the tiles. Pure: sizes in, rectangles out; all numbers are CSS pixels.
 */

/** @typedef {{x: number, y: number, width: number, height: number, floating?: boolean}} Rect */

const WIDEST = 16 / 9;
const NARROWEST = 4 / 3;
/** On an upright screen people fit better into upright tiles. */
const NARROWEST_UPRIGHT = 3 / 4;
/** Below this nobody is recognised: the grid scrolls instead. */
const MIN_WIDTH = 132;
const PHONE_WIDTH = 600;

/**
 * @param {object} area
 * @param {number} area.width @param {number} area.height
 * @param {number} area.count how many tiles; one's own is the last
 * @param {number} area.gap
 * @param {number} [area.pinned] index of the tile that gets the stage, or -1
 * @returns {{rects: Rect[], height: number}} height is more than the area's when the grid has to scroll
 */
export function layOut({ width, height, count, gap, pinned = -1 }) {
  if (count === 0 || width <= 0 || height <= 0) return { rects: [], height };
  if (pinned >= 0 && count > 1) return spotlight({ width, height, count, gap, pinned });
  if (count === 2 && width < PHONE_WIDTH && height > width) return pictureInPicture({ width, height, gap });
  const area = { width, height };
  const tile = bestTile({ ...area, count, gap });
  if (tile.width >= Math.min(MIN_WIDTH, width)) return { rects: placeGrid({ ...area, count, gap, tile }), height };
  return scrollingGrid({ width, height, count, gap });
}

/** The largest tile of which `count` fit, over all numbers of columns. */
export function bestTile({ width, height, count, gap, narrowest = height > width ? NARROWEST_UPRIGHT : NARROWEST }) {
  let best = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const cell = { width: (width - gap * (columns - 1)) / columns, height: (height - gap * (rows - 1)) / rows };
    if (cell.width <= 0 || cell.height <= 0) continue;
    const tile = { columns, width: Math.min(cell.width, cell.height * WIDEST), height: Math.min(cell.height, cell.width / narrowest) };
    if (tile.width * tile.height > best.width * best.height * 1.001) best = tile;
  }
  return best;
}

/** Rows of equal tiles in the middle of the area; a short last row stands in the middle, too. */
function placeGrid({ width, height, count, gap, tile, x = 0, y = 0 }) {
  const rows = Math.ceil(count / tile.columns);
  const top = y + Math.max(0, (height - rows * tile.height - (rows - 1) * gap) / 2);
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / tile.columns);
    const inRow = row === rows - 1 ? count - row * tile.columns : tile.columns;
    const left = x + (width - inRow * tile.width - (inRow - 1) * gap) / 2;
    const column = index - row * tile.columns;
    return round({
      x: left + column * (tile.width + gap),
      y: top + row * (tile.height + gap),
      width: tile.width,
      height: tile.height,
    });
  });
}

function scrollingGrid({ width, height, count, gap }) {
  const columns = Math.max(1, Math.floor((width + gap) / (MIN_WIDTH + gap)));
  const tileWidth = (width - gap * (columns - 1)) / columns;
  const tile = { columns, width: tileWidth, height: tileWidth / NARROWEST };
  const rows = Math.ceil(count / columns);
  const needed = rows * (tile.height + gap) - gap;
  return { rects: placeGrid({ width, height: Math.max(height, needed), count, gap, tile }), height: Math.max(height, needed) };
}

/** One large, the others in a strip at its side, or below it on an upright screen. */
function spotlight({ width, height, count, gap, pinned }) {
  const upright = height > width;
  const strip = upright
    ? { x: 0, width, height: clamp(height * 0.22, 84, 200) }
    : { y: 0, height, width: clamp(width * 0.2, 130, 300) };
  if (upright) strip.y = height - strip.height;
  else strip.x = width - strip.width;
  const main = upright
    ? { x: 0, y: 0, width, height: strip.y - gap }
    : { x: 0, y: 0, width: strip.x - gap, height };
  const others = count - 1;
  const tile = bestTile({ width: strip.width, height: strip.height, count: others, gap, narrowest: NARROWEST });
  const rects = placeGrid({ ...strip, count: others, gap, tile });
  rects.splice(pinned, 0, round(main));
  return { rects, height };
}

/** Two people on a phone: the other person fills the screen, oneself stands in the corner. */
function pictureInPicture({ width, height, gap }) {
  const small = { width: clamp(width * 0.3, 92, 150), height: 0 };
  small.height = small.width / NARROWEST_UPRIGHT;
  return {
    height,
    rects: [
      round({ x: 0, y: 0, width, height }),
      { ...round({ x: width - small.width - gap, y: height - small.height - gap, ...small }), floating: true },
    ],
  };
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function round(rect) {
  return Object.fromEntries(Object.entries(rect).map(([key, value]) => [key, Math.floor(value)]));
}
