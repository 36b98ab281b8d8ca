/**
 * `window.patchbay`: facts about this page, for the browser tests and for people who look for a fault.
 *
 * - `patchbay.client`: the RoomClient, null before joining
 * - `patchbay.media`: the LocalMedia
 * - `await patchbay.snapshot()`: plain data, see Snapshot
 */
import { summarize } from '../client/stats.js';

/**
 * @typedef {object} Snapshot
 * @property {string} state the room client's state
 * @property {{id: string, name: string, room: string}} self
 * @property {PeerSnapshot & {simulcast: boolean, order: object} | null} publisher
 * @property {(PeerSnapshot & {id: string, name: string, framesDecoded: number, totalAudioEnergy: number,
 *   audioLevel: number, hasAudio: boolean, hasVideo: boolean, width: number | null, height: number | null,
 *   videoQuality: object | null, wantedHeight: number | null, firstFrameMs: number | null, firstFrameSinceJoinMs: number | null})[]} participants
 *
 * @typedef {object} PeerSnapshot
 * @property {RTCPeerConnectionState} connectionState
 * @property {RTCIceConnectionState} iceConnectionState
 * @property {number} generation the number of connections made so far
 * @property {object | null} stats see stats.js; totals only
 */

/** @param {() => {client: object | null, media: object}} current */
export function exposeDiagnostics(current) {
  globalThis.patchbay = {
    get client() {
      return current().client;
    },
    get media() {
      return current().media;
    },
    snapshot: () => snapshot(current().client),
  };
}

/** @returns {Promise<Snapshot>} */
async function snapshot(client) {
  if (!client) return { state: 'idle', self: null, publisher: null, participants: [] };
  const { publisher, participants, userId: id, name, room, state } = client;
  return {
    state,
    self: { id, name, room },
    publisher: publisher && { ...(await peerSnapshot(publisher)), simulcast: publisher.simulcast, order: publisher.order },
    participants: await Promise.all([...participants.values()].map((one) => participantSnapshot(one, client))),
  };
}

async function participantSnapshot(participant, client) {
  const { id, name, audioLevel, hasAudio, hasVideo, videoQuality, firstFrameMs, firstFrameAt } = participant;
  const peer = await peerSnapshot(participant);
  return {
    id,
    name,
    ...peer,
    framesDecoded: peer.stats?.video?.framesDecoded ?? 0,
    totalAudioEnergy: peer.stats?.audio?.totalAudioEnergy ?? 0,
    width: peer.stats?.video?.width ?? null,
    height: peer.stats?.video?.height ?? null,
    audioLevel,
    hasAudio,
    hasVideo,
    videoQuality,
    wantedHeight: client.wantedHeight(id),
    firstFrameMs,
    firstFrameSinceJoinMs: firstFrameAt === null ? null : firstFrameAt - client.joinSentAt,
  };
}

async function peerSnapshot({ pc, state, generation }) {
  const report = await pc?.getStats().catch(() => null);
  return {
    connectionState: state,
    iceConnectionState: pc?.iceConnectionState ?? 'closed',
    generation,
    stats: report ? summarize(report, null) : null,
  };
}
