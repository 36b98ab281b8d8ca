/**
 * What a tile says of its video: how much of it comes, and why not more. Pure.
 */

/** A picture that gets larger within this time needs no word: every connection begins small. */
const PATIENCE_MS = 3000;
/** A pause is noticed sooner, because the picture is gone. */
const PAUSE_PATIENCE_MS = 800;

/** @typedef {{key: string, values?: Record<string, any>}} Sentence */
/** @typedef {{short: Sentence, long?: Sentence}} Badge short: all that a small tile has room for */

/**
 * @param {(import('../client/video-quality.js').VideoQuality & {since: number}) | null | undefined} quality
 * @param {object} page
 * @param {number} page.now by `performance.now()`
 * @param {number} page.wantedSince since when the page has wanted the picture, see video-wants.js
 * @returns {Badge | null} null where there is nothing to say
 */
export function badgeFor(quality, { now, wantedSince }) {
  if (!quality) return null;
  const { state, reason, height, since } = quality;
  const lasts = now - since;
  if (state === 'reduced' && lasts >= PATIENCE_MS && height > 0) {
    const short = { key: 'tile.height', values: { height } };
    return reason === 'bandwidth' || reason === 'sender' ? { short, long: { key: `tile.reduced.${reason}` } } : { short };
  }
  // Where nothing is sent the initials say so.
  if (state === 'paused' && reason === 'bandwidth' && lasts >= PAUSE_PATIENCE_MS) {
    return { short: { key: 'tile.paused' }, long: { key: 'tile.tooSlow' } };
  }
  // What the page itself does not want is not missing.
  const isLeftOut = state === 'unwanted' && now - Math.max(since, wantedSince) >= PATIENCE_MS;
  if (isLeftOut) return { short: { key: 'tile.paused' }, long: { key: 'tile.tooMany' } };
  return null;
}
