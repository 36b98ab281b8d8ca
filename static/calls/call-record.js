/**
 * What the record of a call says, in sentences: `[key, values]` of a language file. Pure.
 *
 * A record is the `data` of `call/record`: `{channel, src_uid, dst_uid, createtime, starttime, endtime, ending, members, events}`.
 */

/** Codes of events that the page sends. */
export const EVENT = { begun: 1, left: 2, cancelled: 1000, declined: 1003 };

const MEANINGS = {
  1: 'calls.event1',
  2: 'calls.event2',
  3: 'calls.event3',
  1000: 'calls.event1000',
  1001: 'calls.event1001',
  1002: 'calls.event1002',
  1003: 'calls.event1003',
  1006: 'calls.event1006',
  1007: 'calls.event1007',
};

const ENDINGS = {
  ended: 'calls.endingEnded',
  cancelled: 'calls.endingCancelled',
  'no answer': 'calls.endingNoAnswer',
  declined: 'calls.endingDeclined',
  busy: 'calls.endingBusy',
  lost: 'calls.endingLost',
  failed: 'calls.endingFailed',
};

/** The event that somebody sends who leaves a call; null if there is nothing more to say. */
export function leavingCode({ isCaller, hasBegun, isOver }) {
  if (isOver) return null;
  // Until somebody talks, the caller's leaving ends it for everybody. A callee's 1000 would mean nothing.
  return isCaller && !hasBegun ? EVENT.cancelled : EVENT.left;
}

/** Milliseconds between two heartbeats, where each has to come within so many seconds: one may be lost, and one be late. */
export function heartbeatMs(seconds) {
  return Math.max(1000, (Number(seconds) * 1000) / 3 || 0);
}

export function isOver(record) {
  return Boolean(record?.endtime);
}

/**
 * Whether a call rings for this user, and not in the call in which they are.
 * @param {{channel: string, status: number}} row of `call/msg` @param {object | undefined} record says whose call it is
 */
export function isToAnswer({ channel, status }, record, uid, current) {
  return Boolean(record) && status === 0 && record.src_uid !== uid && channel !== current;
}

/** The time of day of a date of the API. */
export function timeOfDay(date) {
  return date.split(' ')[1] ?? date;
}

/** What the call is to this user. */
export function titleOf({ src_uid: caller, dst_uid: callees }, uid) {
  if (caller !== uid) return ['calls.theirs', { name: caller }];
  return callees.length ? ['calls.own', { names: callees.join(', ') }] : ['calls.ownAlone'];
}

/**
 * How the call goes, with what is known to the room of who else is there.
 * @param {string[]} others names of the other people in the room, also of a robot
 */
export function stateOf(record, others = []) {
  if (isOver(record)) return [ENDINGS[record.ending] ?? 'calls.endingEnded'];
  if (others.length) return ['calls.talking', { names: others.join(', ') }];
  const called = record.members.filter(({ uid, status }) => uid !== record.src_uid && status === 0).map(({ uid }) => uid);
  if (record.starttime) return ['calls.begun', { time: timeOfDay(record.starttime) }];
  if (record.answertime) return ['calls.answered', { time: timeOfDay(record.answertime) }];
  return called.length ? ['calls.ringsAt', { names: called.join(', ') }] : ['calls.open'];
}

/** Whoever has declined, as long as it goes on for others; null if nobody has. */
export function declinedBy(record) {
  const names = new Set(record.events.filter(({ code }) => code === EVENT.declined).map(({ uid }) => uid));
  return names.size ? ['calls.hasDeclined', { names: [...names].join(', ') }] : null;
}

export function personOf({ uid, status, jointime: joined, leavetime: left }, caller) {
  if (joined && left) return ['calls.wasThere', { from: timeOfDay(joined), to: timeOfDay(left) }];
  if (joined) return ['calls.isThere', { from: timeOfDay(joined) }];
  if (status === 2) return ['calls.isOut'];
  if (status === 1) return ['calls.hasAnswered'];
  return uid === caller ? ['calls.waits'] : ['calls.isCalled'];
}

export function meaningOf(code) {
  return Object.hasOwn(MEANINGS, code) ? [MEANINGS[code]] : ['calls.eventOther', { code }];
}
