/**
 * One judgement from many figures: the quality of a connection, from 0 (nothing arrives) to 3
 * (good). Pure.
 */

/** The limits at which people begin to notice a problem, and at which a conversation becomes hard. */
const LIMITS = {
  lossPercent: [2, 8],
  jitterMs: [35, 90],
  rttMs: [250, 600],
};

/**
 * @param {ReturnType<import('./stats.js').summarize> | null} stats
 * @param {RTCPeerConnectionState} state
 * @returns {0 | 1 | 2 | 3 | null} null while nothing can be said yet
 */
export function quality(stats, state) {
  if (state === 'failed' || state === 'disconnected' || state === 'closed') return 0;
  if (state !== 'connected' || !stats) return null;
  const media = [stats.audio, stats.video].filter((one) => one && one.packetsPerSecond > 0);
  const worst = {
    lossPercent: Math.max(0, ...media.map((one) => one.lossPercent)),
    jitterMs: Math.max(0, ...media.map((one) => one.jitterMs ?? 0)),
    rttMs: Math.max(stats.rttMs ?? 0, ...media.map((one) => one.reportedRttMs ?? 0)),
  };
  let score = 3;
  for (const [name, [noticeable, hard]] of Object.entries(LIMITS)) {
    if (worst[name] > hard) score = Math.min(score, 1);
    else if (worst[name] > noticeable) score = Math.min(score, 2);
  }
  if (pictureStalls(stats.video)) score = Math.min(score, 1);
  return score;
}

/** Packets come, but no pictures: a still screen share has few packets and is no stall. */
function pictureStalls(video) {
  return video?.direction === 'in' && video.packetsPerSecond > 15 && (video.fps ?? 0) < 3;
}
