/**
 * From the sizes of tiles to what is asked of the server. Pure: sizes in CSS pixels, heights in pixels of the screen.
 */

/** @typedef {'off' | 'one' | 'sound'} LowData `one`: one picture at a time; `sound`: none */
/** @typedef {{heights: Record<string, number>, onStage: string[], lastN?: number}} Wants `*` in heights stands for everybody else */

/** Nobody sees more on a denser screen, but it would cost four times the data. */
const DENSITY_MAX = 2;
/** A picture may be enlarged by a ninth: nobody sees it, and the next layer may cost three times as much. */
const ENLARGED = 0.9;
/** Heights are rounded, so that a tile that moves by a pixel is no news. */
const STEP = 10;
/** Until the first picture has come, cameras are taken to be like most. */
const USUAL_ASPECT = 16 / 9;
/** The greatest height with low data, where one picture is shown. */
const LOW_DATA_HEIGHT = 360;

/**
 * The height that a video needs for its tile.
 * @param {object} tile
 * @param {number} tile.width @param {number} tile.height of the tile
 * @param {number} tile.videoWidth @param {number} tile.videoHeight of the picture that comes now; 0 where none does
 * @param {boolean} tile.isCropped whether the picture covers the tile, and not only fits into it
 * @param {number} density pixels of the screen for each CSS pixel
 */
export function heightFor({ width, height, videoWidth, videoHeight, isCropped }, density) {
  if (!(width > 0 && height > 0)) return 0;
  const aspect = videoWidth > 0 && videoHeight > 0 ? videoWidth / videoHeight : USUAL_ASPECT;
  const fitted = isCropped ? Math.max(height, width / aspect) : Math.min(height, width / aspect);
  const pixels = fitted * Math.min(density, DENSITY_MAX) * ENLARGED;
  return Math.max(STEP, Math.round(pixels / STEP) * STEP);
}

/**
 * @param {object} page
 * @param {Map<string, number>} page.heights what each tile needs; 0 where it is not shown
 * @param {string[]} page.onStage the people whose tile is the large one
 * @param {LowData} page.lowData
 * @param {boolean} page.isAway whether nobody looks at the page
 * @returns {Wants}
 */
export function wantsOf({ heights, onStage, lowData, isAway }) {
  if (lowData === 'sound') return { heights: { '*': 0 }, onStage: [], lastN: 0 };
  const shown = onStage.filter((id) => heights.get(id) > 0);
  if (lowData === 'one') {
    const wanted = isAway ? [] : shown.slice(0, 1);
    const one = wanted.map((id) => [id, Math.min(heights.get(id), LOW_DATA_HEIGHT)]);
    return { heights: { '*': 0, ...Object.fromEntries(one) }, onStage: wanted, lastN: 1 };
  }
  if (isAway) return { heights: { '*': 0 }, onStage: [] };
  const usual = mostCommon([...heights.values()].filter((height) => height > 0));
  // As long as nothing is known of any tile, the server decides.
  if (usual === null) return { heights: Object.fromEntries(heights), onStage: [] };
  const others = [...heights].filter(([, height]) => height !== usual);
  return { heights: { '*': usual, ...Object.fromEntries(others) }, onStage: shown };
}

/** The value that is there most often, the smallest of several; whoever comes next gets such a tile. */
function mostCommon(values) {
  const counts = new Map();
  for (const value of values.sort((a, b) => a - b)) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, one) => (best === null || one[1] > best[1] ? one : best), null)?.[0] ?? null;
}
