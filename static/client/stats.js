/**
 * Figures of one connection, from `getStats()`: the traffic of the last interval.
 *
 * Pure functions over a report and the previous figures. Units are in the names; a figure that the browser
 * does not give is null.
 */

/**
 * @typedef {object} MediaFigures
 * @property {number} bitsPerSecond
 * @property {number} packetsPerSecond
 * @property {number} lossPercent of the packets of the last interval
 * @property {number | null} jitterMs
 * @property {string} codec
 * @property {number | null} [jitterBufferMs] mean delay in the last interval
 * @property {number | null} [level] loudness, 0 to 1
 * @property {number} [totalAudioEnergy] @property {number} [framesDecoded] @property {number} [framesSent]
 * @property {number | null} [width] @property {number | null} [height] @property {number | null} [fps]
 * @property {boolean} [isScreen] whether the sender says that it is a screen, not a camera (if the browser
 * shows that)
 * @property {number} [freezes] @property {{rid: string, width: number, height: number}[]} [layers]
 * @property {string} [limitedBy] the limit of the encoder: `cpu`, `bandwidth`
 */

/**
 * @param {RTCStatsReport} report
 * @param {object | null} previous what this function returned last time for the same connection
 */
export function summarize(report, previous) {
  return figuresOf(report, previous, (...of) => inbound(...of) ?? outbound(...of));
}

/** The same of what is sent alone, over a connection by which something comes, too. */
export function summarizeSent(report, previous) {
  return figuresOf(report, previous, outbound);
}

function figuresOf(report, previous, mediaOf) {
  const entries = [...report.values()];
  const timestamp = entries.find(({ type }) => type === 'transport')?.timestamp ?? entries[0]?.timestamp ?? 0;
  const seconds = previous && timestamp > previous.timestamp ? (timestamp - previous.timestamp) / 1000 : null;
  const context = { report, entries, seconds };
  const pair = candidatePair(context);
  return {
    timestamp,
    rttMs: milliseconds(pair?.currentRoundTripTime),
    availableBitsPerSecond: pair?.availableOutgoingBitrate ?? null,
    path: pair ? describePair(report, pair) : null,
    security: describeSecurity(entries),
    audio: mediaOf('audio', context, previous?.audio),
    video: mediaOf('video', context, previous?.video),
  };
}

function inbound(kind, { report, entries, seconds }, previous) {
  const stream = entries.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind);
  if (!stream) return null;
  const counters = {
    bytes: stream.bytesReceived ?? 0,
    packets: stream.packetsReceived ?? 0,
    lost: stream.packetsLost ?? 0,
    jitterBufferDelay: stream.jitterBufferDelay ?? 0,
    jitterBufferEmitted: stream.jitterBufferEmittedCount ?? 0,
  };
  const delta = difference(counters, previous?.counters);
  const figures = {
    direction: 'in',
    counters,
    ...rates(delta, seconds),
    lossPercent: percent(delta.lost, delta.lost + delta.packets),
    jitterMs: milliseconds(stream.jitter),
    jitterBufferMs: delta.jitterBufferEmitted > 0 ? (delta.jitterBufferDelay / delta.jitterBufferEmitted) * 1000 : null,
    codec: codecName(report, stream.codecId),
  };
  if (kind === 'audio') {
    return { ...figures, level: stream.audioLevel ?? null, totalAudioEnergy: stream.totalAudioEnergy ?? 0 };
  }
  return {
    ...figures,
    width: stream.frameWidth ?? null,
    height: stream.frameHeight ?? null,
    fps: stream.framesPerSecond ?? null,
    framesDecoded: stream.framesDecoded ?? 0,
    keyFramesDecoded: stream.keyFramesDecoded ?? 0,
    freezes: stream.freezeCount ?? 0,
    isScreen: stream.contentType === 'screenshare',
  };
}

/** All layers of a publisher together; the picture's size is that of the largest layer that is sent. */
function outbound(kind, { report, entries, seconds }, previous) {
  const streams = entries.filter((entry) => entry.type === 'outbound-rtp' && entry.kind === kind);
  if (streams.length === 0) return null;
  const counters = { bytes: sum(streams, 'bytesSent'), packets: sum(streams, 'packetsSent') };
  const remotes = streams.map((stream) => report.get(stream.remoteId)).filter(Boolean);
  const figures = {
    direction: 'out',
    counters,
    ...rates(difference(counters, previous?.counters), seconds),
    lossPercent: Math.max(0, ...remotes.map((remote) => (remote.fractionLost ?? 0) * 100)),
    jitterMs: milliseconds(largest(remotes, 'jitter')),
    reportedRttMs: milliseconds(largest(remotes, 'roundTripTime')),
    codec: codecName(report, streams.find((stream) => stream.codecId)?.codecId),
  };
  if (kind === 'audio') return figures;
  const sent = streams.filter((stream) => stream.frameWidth && stream.active !== false);
  const top = sent.reduce((best, one) => (!best || one.frameWidth > best.frameWidth ? one : best), null);
  return {
    ...figures,
    width: top?.frameWidth ?? null,
    height: top?.frameHeight ?? null,
    fps: top?.framesPerSecond ?? null,
    framesSent: top?.framesSent ?? 0,
    layers: sent.map(({ rid, frameWidth, frameHeight }) => ({ rid: rid ?? '', width: frameWidth, height: frameHeight })),
    limitedBy: top?.qualityLimitationReason === 'none' ? '' : (top?.qualityLimitationReason ?? ''),
  };
}

function candidatePair({ report, entries }) {
  const transport = entries.find(({ type }) => type === 'transport');
  return (
    report.get(transport?.selectedCandidatePairId) ??
    entries.find((entry) => entry.type === 'candidate-pair' && (entry.selected || (entry.nominated && entry.state === 'succeeded')))
  );
}

function describePair(report, pair) {
  const [local, remote] = [report.get(pair.localCandidateId), report.get(pair.remoteCandidateId)];
  const end = (one) => (one ? `${one.candidateType} ${one.address ?? one.ip ?? '—'}:${one.port ?? '—'}` : '—');
  return `${end(local)} → ${end(remote)} ${(local?.protocol ?? '').toUpperCase()}`.trim();
}

function describeSecurity(entries) {
  const transport = entries.find(({ type }) => type === 'transport');
  return [transport?.tlsVersion && dtlsName(transport.tlsVersion), transport?.srtpCipher && srtpName(transport.srtpCipher)]
    .filter(Boolean)
    .join(' · ');
}

function dtlsName(version) {
  return { FEFD: 'DTLS 1.2', FEFC: 'DTLS 1.3' }[version.toUpperCase()] ?? `DTLS ${version}`;
}

/** `SRTP_AEAD_AES_128_GCM` and the like, as people write it. */
function srtpName(cipher) {
  return `SRTP ${cipher.replace(/^(SRTP_)?(AEAD_)?/, '').replaceAll('_', '-')}`;
}

function codecName(report, codecId) {
  return report.get(codecId)?.mimeType?.split('/')[1] ?? '';
}

function rates(delta, seconds) {
  return {
    bitsPerSecond: seconds ? (delta.bytes * 8) / seconds : 0,
    packetsPerSecond: seconds ? delta.packets / seconds : 0,
  };
}

function difference(now, before) {
  // Counters that went down belong to a new stream: everything they count is new.
  return Object.fromEntries(
    Object.entries(now).map(([key, value]) => [key, Math.max(0, value - (before && before[key] <= value ? before[key] : 0))]),
  );
}

function percent(part, whole) {
  return whole > 0 ? (part / whole) * 100 : 0;
}

function milliseconds(seconds) {
  return typeof seconds === 'number' ? seconds * 1000 : null;
}

function sum(list, key) {
  return list.reduce((total, item) => total + (item[key] ?? 0), 0);
}

function largest(list, key) {
  const values = list.map((item) => item[key]).filter((value) => typeof value === 'number');
  return values.length ? Math.max(...values) : undefined;
}
