/**
 * Whose pictures come, and by which streams, from the event `layout`. Pure.
 */

/** Anything that is no list is an empty one. */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * @param {object} data of `layout` @param {boolean} isMany whether each picture has a stream that is named
 * @returns {{shown: string[], ssrcs: Map<string, number | null>, screenSsrc: number | null, streams: {ssrc: number, rtx?: number}[]}}
 *   whose pictures come; the SSRC of each, null of the only one; that of a screen, and all streams
 */
export function readLayout({ participants, ssrcs, rtx_ssrcs_map: rtx, presentation }, isMany) {
  const streams = list(ssrcs).map((ssrc) => ({ ssrc: Number(ssrc), rtx: Number(rtx?.[ssrc]) || undefined }));
  const shown = list(participants).map(String);
  const bySender = new Map(shown.map((id, index) => [id, isMany ? streams[index]?.ssrc : null]));
  const screen = presentation && { ssrc: Number(presentation.ssrc), rtx: Number(presentation.rtxSsrc) || undefined };
  return { shown, ssrcs: bySender, screenSsrc: screen?.ssrc ?? null, streams: screen ? [...streams, screen] : streams };
}
