/**
 * The reason why a connection is not made although the server has answered. Pure.
 */

/** After an answer, a connection is made within a second, on slow networks within three. */
export const REACH_PATIENCE_MS = 8000;

/**
 * - `noAddress`: the browser offers no network address
 * - `noPath`: none of its addresses reaches the server
 * @typedef {'noAddress' | 'noPath'} ReachProblem
 */

/**
 * @param {{iceConnectionState: string, localDescription: {sdp: string} | null}} pc a connection that should be there by now
 * @returns {ReachProblem | null} null where a path was found
 */
export function reachProblem(pc) {
  if (['connected', 'completed'].includes(pc.iceConnectionState)) return null;
  return /^a=candidate:/m.test(pc.localDescription?.sdp ?? '') ? 'noPath' : 'noAddress';
}
