/**
 * The JSON messages of `/groupcall` (the family whose key is `type`), built and read.
 *
 * Pure: no sockets, no media, no DOM. Inside the page every id is a string; on the wire a decimal id is a
 * number, because other clients of this protocol compare ids with `===`.
 */
import { readOrder, readQuality } from './video-quality.js';

/** An id as it is on the wire: `"7"` becomes `7`, anything that is not a plain decimal number stays a string. */
export function wireId(id) {
  const text = String(id);
  const number = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(number) && String(number) === text ? number : text;
}

/** What this client understands and asks for beside the messages that all servers know. */
const FEATURES = ['videoWants', 'videoQuality', 'sendLayers'];

export const outgoing = {
  /** @param {{room: string, userId: string, password?: string, name?: string, token?: string}} who */
  join({ room, userId, password, name, token }) {
    // This client understands messages that only this server sends.
    const message = { type: 'join', room: wireId(room), userId: wireId(userId), notices: true, features: FEATURES };
    if (password) message.pw = password;
    if (name) message.personName = name;
    if (token) message.token = token;
    return message;
  },
  leave: () => ({ type: 'leave' }),
  /** An offer to publish when `id` is one's own, to subscribe when it is another's. */
  offer: (id, sdpOffer) => ({ type: 'receiveVideoFrom', userId: wireId(id), sdpOffer }),
  candidate: (id, { candidate, sdpMid, sdpMLineIndex }) => ({
    type: 'onIceCandidate',
    userId: wireId(id),
    candidate: { candidate, sdpMid, sdpMLineIndex },
  }),
  /**
   * What is wanted of others' videos; only for a server that knows it.
   * @param {import('./video-wants.js').Wants} wants
   */
  videoWants: ({ heights, onStage, lastN }) => ({
    type: 'videoWants',
    heights,
    onStage: onStage.map(wireId),
    ...(lastN !== undefined && { lastN }),
  }),
  text: (message) => ({ type: 'sendMessage', message }),
  file: ({ name, url, type }) => ({ type: 'uploadSuccess', fileName: name, fileUrl: url, ...(type && { fileType: type }) }),
  /** Any answer to it proves that the connection is alive. */
  heart: () => ({ type: 'heart' }),
};

const REFUSALS = {
  userNotFound: 'userNotFound',
  permisionDeny: 'permissionDenied',
  permissionDeny: 'permissionDenied',
  roomNotExist: 'roomNotFound',
};

/**
 * Reads one frame.
 * @param {string} frame
 * @returns {{kind: string} & Record<string, any> | null} null for a message that is not for this page
 */
export function readMessage(frame) {
  let message;
  try {
    message = JSON.parse(frame);
  } catch {
    return null;
  }
  const type = message?.type;
  if (Object.hasOwn(REFUSALS, type)) return { kind: 'refused', reason: REFUSALS[type] };
  return (Object.hasOwn(READERS, type) && READERS[type](message)) || null;
}

const READERS = {
  iceServers: ({ iceServers }) => ({ kind: 'relays', servers: iceServers }),
  existingParticipants: ({ participants, features }) => ({
    kind: 'roster',
    features: Array.isArray(features) ? features.map(String) : [],
    participants: (Array.isArray(participants) ? participants : []).map(readParticipant).filter(Boolean),
  }),
  newParticipantArrived({ participant }) {
    const person = readParticipant(participant);
    return person && { kind: 'arrived', participant: person };
  },
  participantLeft: ({ userId }) => ({ kind: 'left', id: String(userId) }),
  participantMedia: ({ userId, media }) => ({ kind: 'media', id: String(userId), isLost: media === 'lost' }),
  speakers: ({ userIds }) => ({ kind: 'speakers', ids: Array.isArray(userIds) ? userIds.map(String) : [] }),
  ownState: ({ role, mutedByHost }) => {
    const muted = Array.isArray(mutedByHost) ? mutedByHost : [];
    return { kind: 'own', isHost: role === 'host', muted: { audio: muted.includes('audio'), video: muted.includes('video') } };
  },
  receiveVideoAnswer: ({ userId, sdpAnswer }) => ({ kind: 'answer', id: String(userId), sdp: String(sdpAnswer) }),
  // The protocol's document spells the field `candicate`.
  iceCandidate: ({ userId, candidate, candicate }) => ({
    kind: 'candidate',
    id: String(userId),
    candidate: candidate ?? candicate ?? null,
  }),
  reciveTextMessage: readText,
  receiveTextMessage: readText,
  fileUploaded: ({ userId, fileName, fileUrl, fileType }) => ({
    kind: 'file',
    id: String(userId),
    name: String(fileName ?? ''),
    url: String(fileUrl ?? ''),
    fileType: String(fileType ?? ''),
  }),
  mediaUndecodable: readDecoding,
  mediaDecodable: readDecoding,
  // This client watches and publishes no further feed.
  videoQuality: ({ sender, feed = 'camera', ...quality }) => feed === 'camera' && ({
    kind: 'videoQuality',
    id: String(sender),
    quality: readQuality(quality),
  }),
  sendLayers: ({ feed = 'camera', ...order }) => feed === 'camera' && ({ kind: 'sendLayers', order: readOrder(order) }),
  unrecognizedMessage: ({ message }) => ({ kind: 'unrecognized', message }),
};

/** Whether `watcher` can decode what `id` sends. */
function readDecoding({ type, userId, watcherId, media, codec }) {
  return {
    kind: 'decoding',
    id: String(userId),
    watcher: String(watcherId),
    media: media === 'audio' ? 'audio' : 'video',
    undecodable: type === 'mediaUndecodable' ? String(codec ?? '') : null,
  };
}

function readText({ type, userId, message }) {
  return { kind: 'text', spelling: type, id: String(userId), text: String(message ?? '') };
}

function readParticipant(entry) {
  const id = entry?.userId ?? entry?.id;
  if (id === undefined || id === null) return null;
  const parts = [entry.prefix, entry.name ?? id, entry.postfix ?? entry.suffix];
  return { id: String(id), name: parts.filter((part) => part !== undefined && part !== null && part !== '').join(' ') };
}
