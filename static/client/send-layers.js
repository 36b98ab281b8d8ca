/**
 * Which layers of its video this page sends, and at how many bits: what the picture needs, what the person allows, and
 * what the server asks for. Pure.
 */

/** Three layers need at least this much picture; browsers silently drop the upper layers of a smaller one. */
const SIMULCAST_MIN = { long: 960, short: 540 };

/** Layers from small to large: the order of rids tells the server which is which. */
export const CAMERA_LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];
export const ALL_LAYERS = CAMERA_LAYERS.length;
/** A picture that is too small for layers: what is sent of it, by the number of layers that the person allows. */
const SINGLE = {
  1: { scaleResolutionDownBy: 2, maxBitrate: 150_000 },
  2: { scaleResolutionDownBy: 1, maxBitrate: 500_000 },
  3: { scaleResolutionDownBy: 1, maxBitrate: 900_000 },
};
export const CAMERA_SINGLE = { maxBitrate: SINGLE[ALL_LAYERS].maxBitrate };
/** Text must stay sharp: fewer frames, more bits, and no use for a quarter-size copy. */
export const SCREEN = { maxBitrate: 2_500_000, maxFramerate: 15 };

/**
 * What the server asks for. A layer that it does not name is wanted; the layer without a rid is `''`.
 * @typedef {{layers: Record<string, boolean>, maxBitrate: number | null}} LayerOrder maxBitrate in bit/s, for the
 *   largest layer that is sent
 */

/** @type {LayerOrder} */
export const NO_ORDER = { layers: {}, maxBitrate: null };

/**
 * What holds after a further order: layers that it does not name stay as they were, and a bound holds until an order has none.
 * @param {LayerOrder} before @param {LayerOrder} order
 * @returns {LayerOrder}
 */
export function merged(before, { layers, maxBitrate }) {
  return { layers: { ...before.layers, ...layers }, maxBitrate };
}

/** @param {MediaStreamTrack} track */
export function fitsSimulcast(track) {
  const { width = 0, height = 0 } = track.getSettings();
  return Math.max(width, height) >= SIMULCAST_MIN.long && Math.min(width, height) >= SIMULCAST_MIN.short;
}

/**
 * Writes into a sender's encodings what is to be sent.
 *
 * @param {RTCRtpEncodingParameters[]} encodings from small to large, as the browser gave them
 * @param {object} wish
 * @param {boolean} wish.hasTrack
 * @param {boolean} wish.isScreen
 * @param {number} wish.layersMax how many layers of a camera the person allows, from the smallest on: 1 to ALL_LAYERS
 * @param {LayerOrder} wish.order
 */
export function setEncodings(encodings, { hasTrack, isScreen, layersMax, order }) {
  const isSingle = encodings.length === 1;
  const wanted = encodings.map(({ rid }) => order.layers[rid ?? ''] ?? true);
  const sent = isScreen ? screenLayers(wanted) : wanted.map((one, index) => one && (isSingle || index < layersMax));
  const top = sent.lastIndexOf(true);
  encodings.forEach((encoding, index) => {
    const normal = isSingle ? SINGLE[isScreen ? ALL_LAYERS : layersMax] : CAMERA_LAYERS[index];
    // Without a track, Firefox would send one black picture a second.
    encoding.active = hasTrack && sent[index];
    encoding.maxBitrate = isScreen && index === encodings.length - 1 ? SCREEN.maxBitrate : normal?.maxBitrate;
    if (index === top && order.maxBitrate !== null) encoding.maxBitrate = Math.min(encoding.maxBitrate, order.maxBitrate);
    if (normal?.scaleResolutionDownBy) encoding.scaleResolutionDownBy = normal.scaleResolutionDownBy;
    if (isScreen) encoding.maxFramerate = SCREEN.maxFramerate;
    else delete encoding.maxFramerate;
  });
}

/**
 * Of a screen the smallest layer is not legible, so whoever wants it gets the next one. The largest one is sent while anything is
 * wanted: a screen is often begun while all look at something else, and it must be sharp when they look.
 */
function screenLayers(wanted) {
  if (wanted.length === 1) return wanted;
  const last = wanted.length - 1;
  return wanted.map((one, index) => {
    if (index === last) return wanted.includes(true);
    return index > 0 && (one || (index === 1 && wanted[0]));
  });
}
