/**
 * Invitations over the message socket, without socket or page: what messages mean, and which to send.
 */
import { CMD, MSGTYPE } from '../client/message-model.js';

/** An invitation older than this has waited in the server: the caller gave up long ago. */
export const RINGS_FOR_MS = 60_000;

/** In `resSign`, this page's own: stop ringing. Clients that do not know it ignore it, because it has no `groupId`. */
const CANCEL = 'cancel';

/** In `resSign`, this server's own: an invitation that reached nobody in time. */
const MISSED = 'missed';

/** The content of a refusal that the server sends for somebody who is not there. */
const NOT_ONLINE = 'not online';

/** @param {object} call `{kind: 'video' | 'audio', way: 'ptop' | 'group', room}` */
export function invitation(self, to, call) {
  return message(self, to, call, '');
}

/** @param {'agree' | 'refuse'} answer */
export function answer(self, to, call, answer) {
  return message(self, to, call, answer);
}

/** To those at whom it rings, or to one's own other pages: `about` is the caller. */
export function cancellation(self, to, about) {
  const cancel = message(self, to, { kind: '', way: '', room: '' }, CANCEL);
  return { ...cancel, callType: about, content: null };
}

function message(self, to, { kind, way, room }, resSign) {
  return {
    version: '1.0',
    cmd: CMD.message,
    msgtype: MSGTYPE.reply,
    groupId: kind,
    token: self.id,
    sender: self.id,
    senderName: self.name,
    receiver: to,
    resSign,
    reqType: way,
    vagroupId: room,
    content: { content: kind, type: 0 },
  };
}

/**
 * Returns what a received message means.
 * @param {object} message as decoded
 * @returns {{kind: 'invitation' | 'answer' | 'cancelled' | 'missed' | 'other', from: string, name: string, call: object,
 *           answer?: 'agree' | 'refuse' | 'none', about?: string}}
 */
export function readInvitation(message) {
  const call = { kind: message.groupId === 'audio' ? 'audio' : 'video', way: message.reqType === 'group' ? 'group' : 'ptop', room: message.vagroupId };
  const read = { from: message.sender, name: message.senderName || message.sender, call };
  // Older clients answer in `sign`.
  const said = message.resSign || message.sign;
  if (said === 'refuse' && message.content?.content === NOT_ONLINE) return { ...read, kind: 'answer', answer: 'none' };
  if (said === 'agree' || said === 'refuse') return { ...read, kind: 'answer', answer: said };
  if (said === MISSED) return { ...read, kind: 'missed' };
  if (said === CANCEL) return { ...read, kind: 'cancelled', about: message.callType };
  if (message.groupId === 'video' || message.groupId === 'audio') return { ...read, kind: 'invitation' };
  return { ...read, kind: 'other' };
}

/** The server's `yyyy-MM-dd HH:mm:ss`, which is UTC, in milliseconds. NaN for anything else. */
export function readTime(timeStamp) {
  return Date.parse(`${timeStamp.replace(' ', 'T')}Z`);
}

/** Whether it has waited too long to ring. `now` and the message's time are both the server's time. */
export function isLate(timeStamp, now) {
  return now - readTime(timeStamp) > RINGS_FOR_MS;
}

/** The page on which a call takes place, for one of the two sides, or for a group. */
export function pageOf(call, self, other, side) {
  if (call.way === 'group') {
    return `/room?${new URLSearchParams({ userId: self.id, groupId: call.room, type: call.kind, userName: self.name })}`;
  }
  const [userId, sendId] = side === 'caller' ? [self.id, other] : [other, self.id];
  return `/?${new URLSearchParams({ userId, sendId, type: call.kind, callType: side })}`;
}
