/**
 * What the server says of how much of a video comes, and of what is to be sent: in the words that all its messages have for it. Pure.
 */

const STATES = ['full', 'reduced', 'paused', 'unwanted'];
const REASONS = ['bandwidth', 'sender', 'viewer'];

/**
 * What comes of a video, and why not more. Heights in pixels.
 * @typedef {object} VideoQuality
 * @property {number | null} height @property {number | null} wanted
 * @property {'full' | 'reduced' | 'paused' | 'unwanted'} state
 * @property {'bandwidth' | 'sender' | 'viewer' | null} reason
 */

/** @returns {VideoQuality} */
export function readQuality({ height, wanted, state, reason }) {
  return {
    height: heightOf(height),
    wanted: heightOf(wanted),
    state: STATES.includes(state) ? state : 'full',
    reason: REASONS.includes(reason) ? reason : null,
  };
}

/**
 * The same with the time since when state and reason are so.
 * @param {VideoQuality} quality @param {(VideoQuality & {since: number}) | null} before @param {number} now by `performance.now()`
 */
export function lasting(quality, before, now) {
  const isAsBefore = before?.state === quality.state && before.reason === quality.reason;
  return { ...quality, since: isAsBefore ? before.since : now };
}

/** Whether nothing comes because the path carries too little. @param {VideoQuality | null | undefined} quality */
export function isPausedByPath(quality) {
  return quality?.state === 'paused' && quality.reason === 'bandwidth';
}

/** @returns {import('./send-layers.js').LayerOrder} */
export function readOrder({ layers, maxBitrate }) {
  return {
    layers: Object.fromEntries(Object.entries(layers ?? {}).filter(([, isWanted]) => typeof isWanted === 'boolean')),
    maxBitrate: maxBitrate > 0 && Number.isFinite(maxBitrate) ? maxBitrate : null,
  };
}

/** @returns {number | null} */
function heightOf(value) {
  return Number.isFinite(value) && value >= 0 ? value : null;
}
