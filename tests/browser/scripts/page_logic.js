// Tests of the pages' pure parts, run where they live: in a browser. Each case has a sentence for a name and throws when
// it fails.
import { People, isYes, readPerson } from '/static/client/conference-people.js';
import { pathOf, proof } from '/static/client/conference-requests.js';
import { answerForBrowser, offerForServer } from '/static/client/conference-sdp.js';
import { quality } from '/static/client/quality.js';
import { CMD, MSGTYPE, decode, encode } from '/static/client/message-model.js';
import { mediaProblem, permissionGuide } from '/static/client/media-errors.js';
import { Refused, Unreachable, refusal } from '/static/calls/call-api.js';
import { declinedBy, heartbeatMs, isToAnswer, leavingCode, meaningOf, personOf, stateOf, titleOf } from '/static/calls/call-record.js';
import { Order } from '/static/calls/order.js';
import { ProblemLine, sentenceFor } from '/static/calls/problem-line.js';
import { redraw } from '/static/calls/redraw.js';
import { RequestLog } from '/static/calls/request-log.js';
import { isAccessToken, ownerOf } from '/static/client/own-token.js';
import { RoomClient } from '/static/client/room-client.js';
import { summarize } from '/static/client/stats.js';
import { t } from '/static/common/i18n.js';
import { outgoing, readMessage, wireId } from '/static/client/wire.js';
import { answer, cancellation, invitation, isLate, pageOf, readInvitation } from '/static/messages/invitations.js';
import { fileBody, textBody } from '/static/room/chat-entry.js';
import { inviteLink, isChannel, readEntry } from '/static/room/entry.js';
import { initials } from '/static/room/tile.js';
import { layOut } from '/static/room/tiling.js';

const DESKTOP = { width: 1256, height: 712 };
const PHONE = { width: 374, height: 726 };
const SIDEWAYS = { width: 716, height: 260 };

function equal(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} instead of ${b}`);
}

function check(truth, what) {
  if (!truth) throw new Error(what);
}

const overlap = (a, b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));

export const cases = {
  'an account is proven by its name without the domain and its password, as UTF-8'() {
    equal(proof('test@example.org', '123456'), 'x-cloud-basic dGVzdDoxMjM0NTY=');
    equal(proof('安', 'ü'), `x-cloud-basic ${btoa('\u00e5\u00ae\u0089:\u00c3\u00bc')}`);
    equal(pathOf('services', 'a/b@c?d', 'message'), '/services/a%2Fb%40c%3Fd/message');
  },

  'a person is read from an event, whose flags are words, numbers or truth values'() {
    for (const yes of ['YES', 'yes', 'true', true, 1, 1700000000]) check(isYes(yes), String(yes));
    for (const no of ['NO', 'no', 'false', '', '0', false, 0, null, undefined]) check(!isYes(no), String(no));
    const data = { uuid: 'u', display_name: 'Anna', role: 'chair', is_muted: 'YES', is_presenting: 'NO', spotlight: 0, service_type: 'conference' };
    const person = { id: 'u', name: 'Anna', isHost: true, isMuted: true, isQuiet: false, isSpotlit: false, isPresenting: false, isWaiting: false };
    equal(readPerson(data), person);
    const waits = { ...data, role: 'guest', is_muted: 'NO', local_audio: false, spotlight: 5, service_type: 'waiting_room' };
    equal(readPerson(waits), { ...person, isHost: false, isMuted: false, isQuiet: true, isSpotlit: true, isWaiting: true });
  },

  'the server is offered one section of each kind, and the browser is answered a section for each voice and picture'() {
    const own = (mid) => ['m=video 9 UDP/TLS/RTP/SAVPF 96', `a=mid:${mid}`, 'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid', 'a=recvonly'];
    const audio = ['m=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', 'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid', 'a=extmap:1 urn:x'];
    const sdp = (...lines) => `${lines.flat().join('\r\n')}\r\n`;
    const ear = ['m=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:3', 'a=recvonly'];
    const offer = sdp('v=0', 'a=group:BUNDLE 0 1 2 3', audio, own(1), own(2), ear);
    const without = (lines) => lines.filter((line) => !line.includes('sdes:mid'));
    equal(offerForServer(offer), sdp('v=0', 'a=group:BUNDLE 0 1', without(audio), without(own(1))));
    const sound = ['m=audio 7 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', 'a=sendrecv', 'a=ssrc:5 cname:x'];
    // What the browser sends in layers it goes on sending so in its own section, whatever comes there.
    const layers = ['a=rid:q recv', 'a=simulcast:recv q'];
    const video = ['m=video 7 UDP/TLS/RTP/SAVPF 96', 'a=mid:1', 'a=sendrecv', 'a=candidate:1', ...layers];
    const answer = sdp('v=0', 'a=group:BUNDLE 0 1', sound, video, 'a=ssrc:7 cname:x', 'a=msid:x x');
    const named = (name, ssrc) => [`a=msid:${name} ${name}`, `a=ssrc:${ssrc} cname:${name}`, `a=ssrc:${ssrc} msid:${name} ${name}`];
    const stream = (place, ssrc) => named(`picture${place}`, ssrc);
    const heard = (mid, direction) => ['m=audio 7 UDP/TLS/RTP/SAVPF 111', `a=mid:${mid}`, `a=${direction}`];
    const section = (mid, direction) => ['m=video 7 UDP/TLS/RTP/SAVPF 96', `a=mid:${mid}`, `a=${direction}`, 'a=candidate:1'];
    const first = [video, 'a=ssrc:7 cname:x', 'a=msid:x x'].flat();
    const begun = sdp('v=0', 'a=group:BUNDLE 0 1 2 3', sound, first, section(2, 'inactive'), heard(3, 'inactive'));
    equal(answerForBrowser(offer, answer, { audio: [], video: [null, null] }), begun);
    const group = ['a=ssrc-group:FID 8 9', 'a=ssrc:9 cname:picture1', 'a=ssrc:9 msid:picture1 picture1'];
    const voices = [[heard(0, 'sendrecv'), named('voice0', 5)], [heard(3, 'sendonly'), named('voice1', 6)]].map((lines) => lines.flat());
    const pictures = [section(1, 'sendrecv'), layers, stream(0, 7), section(2, 'sendonly'), stream(1, 8), group].flat();
    const all = sdp('v=0', 'a=group:BUNDLE 0 1 2 3', voices[0], pictures, voices[1]);
    equal(answerForBrowser(offer, answer, { audio: [{ ssrc: 5 }, { ssrc: 6 }], video: [{ ssrc: 7 }, { ssrc: 8, rtx: 9 }] }), all);
  },

  'whoever is not named when the server names everybody has left'() {
    const people = new People();
    const put = (uuid, name) => people.put({ uuid, display_name: name });
    people.beginSync();
    check(put('a', 'Anna').isInitial && put('b', 'Ben').before === null, 'they were there before');
    equal(people.endSync(), []);
    const { before, isInitial } = put('a', 'Anne');
    equal([before.name, isInitial, people.get('a').name], ['Anna', false, 'Anne']);
    people.beginSync();
    put('b', 'Ben');
    put('c', 'Chen');
    equal(people.endSync().map(({ id }) => id), ['a']);
    equal([...people.keys()], ['b', 'c']);
    equal([people.take('c').name, people.take('c'), people.size], ['Chen', null, 1]);
    equal(people.endSync(), []);
  },

  'a message is written as Protocol Buffers and read back with every field'() {
    equal(hex(encode({ cmd: CMD.heartbeat, msgtype: MSGTYPE.reply })), '18023804');
    equal(hex(encode({ version: '1.0', cmd: 300, sender: '安', content: { content: 'hi', type: 1 } })), '0a03312e3018ac022203e5ae897a06120268692001');
    const full = {
      version: '1.0', deviceId: 'd', cmd: 5, sender: '1', receiver: '2', groupId: 'video', msgtype: 4, flag: 2, platform: 'p',
      platformVersion: 'v', token: 't', appKey: 'k', timeStamp: '2026-01-02 03:04:05', sign: 's',
      content: { title: 'T', content: 'x'.repeat(300), time: 'n', type: 1, extend: 'e' }, resSign: 'agree', reqType: 'ptop',
      vagroupId: 'r', callType: 'caller', senderName: 'Anna 安', senderPhoto: '/a', vagroupName: 'g', vaType: 'x', addGroupFlag: 'true',
    };
    equal(decode(encode(full)), full);
  },

  'fields that are not known are passed over, and what is cut off is no message'() {
    // Field 99 as a number, 1000 as eight bytes, 25 as text, 30 as four bytes.
    equal(decode(unhex('1805' + '9806ff01' + 'c13e0102030405060708' + 'ca010161' + 'f50101020304' + '220131')).sender, '1');
    equal(decode(unhex('7a00')).content, { title: '', content: '', time: '', type: 0, extend: '' });
    for (const broken of ['18', '2205', '22053132', '1880', '0b', 'ffffffffffffffffffffff', '2001', '1a0131']) {
      equal(decode(unhex(broken)), null);
    }
    equal(decode(new Uint8Array()).cmd, 0);
  },

  'an invitation is told from its answers and from what stops it'() {
    const [anna, ben] = [{ id: '1', name: 'Anna' }, { id: '2', name: 'Ben' }];
    const call = { kind: 'audio', way: 'ptop', room: '' };
    const over = (message) => readInvitation(decode(encode(message)));
    const asked = over(invitation(anna, '2', call));
    equal([asked.kind, asked.from, asked.name, asked.call], ['invitation', '1', 'Anna', call]);
    for (const said of ['agree', 'refuse']) {
      const answered = over(answer(ben, '1', call, said));
      equal([answered.kind, answered.answer, answered.from], ['answer', said, '2']);
      // Older clients.
      equal(over({ ...answer(ben, '1', call, ''), sign: said }).answer, said);
    }
    const stop = cancellation(anna, '2', '1');
    equal([over(stop).kind, over(stop).about, stop.groupId], ['cancelled', '1', '']);
    equal(over({ cmd: 5, groupId: 'team', sender: '1' }).kind, 'other');
    const late = { ...invitation(anna, '2', call), groupId: '', resSign: 'missed' };
    equal([over(late).kind, over(late).name], ['missed', 'Anna']);
    const unheard = { ...answer(ben, '1', call, 'refuse'), content: { content: 'not online' } };
    equal([over(unheard).kind, over(unheard).answer], ['answer', 'none']);
    const group = over(invitation(anna, '2', { kind: 'video', way: 'group', room: 'r7' }));
    equal([group.call.way, group.call.room], ['group', 'r7']);
  },

  'both sides of a call open it under the same two ids, and a group its room'() {
    const self = { id: 'a&b', name: 'Anna' };
    const call = { kind: 'video', way: 'ptop', room: '' };
    equal(pageOf(call, self, '2', 'caller'), '/?userId=a%26b&sendId=2&type=video&callType=caller');
    equal(pageOf(call, self, '2', 'callee'), '/?userId=2&sendId=a%26b&type=video&callType=callee');
    equal(pageOf({ kind: 'audio', way: 'group', room: 'r7' }, self, '2', 'callee'), '/room?userId=a%26b&groupId=r7&type=audio&userName=Anna');
  },

  'a token names its owner, and nonsense nobody'() {
    const part = (object) => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(object)))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    equal(ownerOf(`${part({ alg: 'HS256' })}.${part({ sub: '安娜 ÿ?', exp: 1 })}.x`), '安娜 ÿ?');
    equal(['', 'x', 'a.b.c', `x.${part({ exp: 1 })}.y`].map(ownerOf), ['', '', '', '']);
    equal([outgoing.join({ room: '1', userId: '2', token: 't' }).token, 'token' in outgoing.join({ room: '1', userId: '2' })], ['t', false]);
  },

  'an invitation that has waited for more than a minute does not ring'() {
    const now = Date.UTC(2026, 0, 2, 3, 4, 5);
    equal([isLate('2026-01-02 03:03:06', now), isLate('2026-01-02 03:03:04', now), isLate('2026-01-02 03:05:00', now)], [false, true, false]);
  },

  'tiles stay on the stage and apart, however many there are'() {
    for (const area of [DESKTOP, PHONE, SIDEWAYS, { width: 200, height: 200 }]) {
      for (let count = 1; count <= 60; count += 1) {
        for (const pinned of [-1, 0, count - 1]) {
          const where = `${count} on ${area.width}×${area.height}, pinned ${pinned}`;
          const { rects, height } = layOut({ ...area, count, gap: 8, pinned });
          equal(rects.length, count);
          rects.forEach((rect, index) => {
            check(rect.width > 8 && rect.height > 8, `a tile too small: ${where}`);
            check(rect.x >= 0 && rect.x + rect.width <= area.width, `off the stage: ${where}`);
            check(rect.y >= 0 && rect.y + rect.height <= height, `off the stage: ${where}`);
            for (const other of rects.slice(0, index)) {
              check(rect.floating || other.floating || !overlap(rect, other), `overlapping: ${where}`);
            }
          });
        }
      }
    }
  },

  'three people use most of a desktop'() {
    const { rects } = layOut({ ...DESKTOP, count: 3, gap: 10 });
    const covered = rects.reduce((sum, { width, height }) => sum + width * height, 0);
    check(covered > 0.7 * DESKTOP.width * DESKTOP.height, `only ${covered} pixels`);
  },

  'two people on a phone: the other one fills the screen'() {
    const [other, self] = layOut({ ...PHONE, count: 2, gap: 6 }).rects;
    equal([other.width, other.height], [PHONE.width, PHONE.height]);
    check(self.floating && self.width < PHONE.width / 2, 'oneself is not in the corner');
  },

  'whoever is pinned gets most of the stage'() {
    for (const area of [DESKTOP, PHONE]) {
      const { width, height } = layOut({ ...area, count: 12, gap: 8, pinned: 4 }).rects[4];
      check(width * height > 0.6 * area.width * area.height, `${width}×${height}`);
    }
  },

  'a crowd on a phone scrolls instead of shrinking beyond recognition'() {
    const { rects, height } = layOut({ ...PHONE, count: 40, gap: 6 });
    check(rects.every(({ width }) => width >= 120), 'tiles are too small');
    check(height > PHONE.height, 'nothing to scroll');
  },

  'an id is a number on the wire exactly where the number brings it back'() {
    equal(['0', '7', '007', '-1', '1e3', ' 5', '', 'anna', '9007199254740993'].map(wireId), [
      0, 7, '007', '-1', '1e3', ' 5', '', 'anna', '9007199254740993',
    ]);
    equal(outgoing.join({ room: 'demo', userId: '1' }), { type: 'join', room: 'demo', userId: 1, notices: true, features: ['videoWants', 'videoQuality', 'sendLayers'] });
  },

  'what cannot be decoded is read with whose it is and for whom'() {
    const read = (message) => readMessage(JSON.stringify({ userId: 1, watcherId: 2, ...message }));
    const both = { kind: 'decoding', id: '1', watcher: '2' };
    equal(read({ type: 'mediaUndecodable', media: 'video', codec: 'AV1' }), { ...both, media: 'video', undecodable: 'AV1' });
    equal(read({ type: 'mediaUndecodable', media: 'audio' }), { ...both, media: 'audio', undecodable: '' });
    equal(read({ type: 'mediaDecodable', media: 'video' }), { ...both, media: 'video', undecodable: null });
  },

  'who speaks is read as texts, and nonsense as nobody'() {
    const read = (userIds) => readMessage(JSON.stringify({ type: 'speakers', userIds }));
    equal(read([1, 'anna']), { kind: 'speakers', ids: ['1', 'anna'] });
    equal(read('anna'), { kind: 'speakers', ids: [] });
  },

  'what hosts have decided is read, and nonsense as nothing'() {
    const read = (message) => readMessage(JSON.stringify({ type: 'ownState', ...message }));
    const guest = { kind: 'own', isHost: false, muted: { audio: false, video: false } };
    equal(read({ role: 'guest', mutedByHost: ['audio'] }), { ...guest, muted: { audio: true, video: false } });
    equal(read({ role: 'host', mutedByHost: ['video', 'smell'] }), { ...guest, isHost: true, muted: { audio: false, video: true } });
    equal([read({}), read({ role: 7, mutedByHost: 'audio' })], [guest, guest]);
  },

  'whoever leaves no longer counts as speaking, and comes again silent'() {
    const real = globalThis.WebSocket;
    let socket;
    globalThis.WebSocket = class {
      static OPEN = 1;
      readyState = 1;
      constructor() {
        socket = this;
      }
      send() {}
      close() {}
    };
    const receive = (message) => socket.onmessage({ data: JSON.stringify(message) });
    const client = new RoomClient({ room: 'r', userId: '1', url: 'ws://nowhere.test' });
    const seen = [];
    client.addEventListener('speakers', ({ detail }) => seen.push(detail.ids));
    try {
      client.join();
      socket.onopen();
      receive({ type: 'existingParticipants', participants: [{ id: 2, name: 'Ben' }, { id: 3, name: 'Anna' }, { id: 4, name: 'Carl' }] });
      receive({ type: 'speakers', userIds: [2, 3] });
      receive({ type: 'participantLeft', userId: 4 });
      receive({ type: 'participantLeft', userId: 3 });
      equal(client.speakers, ['2']);
      receive({ type: 'newParticipantArrived', participant: { id: 3, name: 'Anna' } });
      equal([client.speakers, seen], [['2'], [[], ['2', '3'], ['2']]]);
    } finally {
      client.leave();
      globalThis.WebSocket = real;
    }
  },

  'people are read with either name of their fields'() {
    const read = (participant) => readMessage(JSON.stringify({ type: 'newParticipantArrived', participant }))?.participant;
    equal(read({ id: 0, name: 'Ada', prefix: 'Dr.', postfix: 'PhD' }), { id: '0', name: 'Dr. Ada PhD' });
    equal(read({ userId: 'x', name: 'Ada', prefix: '', suffix: '' }), { id: 'x', name: 'Ada' });
    equal(read({ name: 'nobody' }), undefined);
  },

  'candidates are read in both spellings'() {
    for (const key of ['candidate', 'candicate']) {
      const frame = JSON.stringify({ type: 'iceCandidate', userId: 3, [key]: { candidate: 'c' } });
      equal(readMessage(frame), { kind: 'candidate', id: '3', candidate: { candidate: 'c' } });
    }
  },

  'whoever leaves a call says what the call API understands from them'() {
    const code = (isCaller, hasBegun, isOver = false) => leavingCode({ isCaller, hasBegun, isOver });
    equal([code(true, false), code(true, true), code(false, false), code(false, true)], [1000, 2, 2, 2]);
    equal([code(true, false, true), code(false, true, true)], [null, null]);
  },

  'heartbeats come three times as often as they have to, and at most once a second'() {
    equal([30, 3, 1, 0, undefined].map(heartbeatMs), [10_000, 1000, 1000, 1000, 1000]);
  },

  'the record of a call is told in sentences that exist'() {
    const member = (uid, status, jointime = null, leavetime = null) => ({ uid, status, jointime, leavetime });
    const event = (uid, code) => ({ uid, code, desp: '', createtime: '2026-01-02 03:04:05' });
    const record = { src_uid: '1', dst_uid: ['2', '3'], members: [member('1', 0), member('2', 2), member('3', 0)], events: [event('2', 1003)] };
    equal([titleOf(record, '1'), titleOf(record, '3')], [['calls.own', { names: '2, 3' }], ['calls.theirs', { name: '1' }]]);
    equal(titleOf({ ...record, dst_uid: [] }, '1'), ['calls.ownAlone']);
    equal([declinedBy(record), declinedBy({ ...record, events: [] })], [['calls.hasDeclined', { names: '2' }], null]);
    equal([stateOf(record), stateOf(record, ['Robot'])], [['calls.ringsAt', { names: '3' }], ['calls.talking', { names: 'Robot' }]]);
    const begun = { ...record, starttime: '2026-01-02 03:04:05' };
    equal(stateOf(begun), ['calls.begun', { time: '03:04:05' }]);
    const endings = ['ended', 'cancelled', 'no answer', 'declined', 'busy', 'lost', 'failed', 'as no version says'];
    const over = endings.map((ending) => stateOf({ ...begun, endtime: '2026-01-02 03:04:06', ending }, ['2'])[0]);
    equal(new Set(over).size, 7);
    for (const key of over) check(t(key) !== key, key);
    const [from, to] = ['2026-01-02 03:04:05', '2026-01-02 03:05:06'];
    const people = [member('1', 0), member('2', 0), member('2', 1), member('2', 2), member('2', 1, from), member('2', 2, from, to)];
    equal(people.map((one) => personOf(one, '1')[0]), ['calls.waits', 'calls.isCalled', 'calls.hasAnswered', 'calls.isOut', 'calls.isThere', 'calls.wasThere']);
    for (const code of [1, 2, 3, 1000, 1001, 1002, 1003, 1006, 1007, 1004]) check(t(...meaningOf(code)).length > 2, code);
    equal(t(...meaningOf(1004)).includes('1004'), true);
  },

  'a refusal is explained by its field, and the problem of one source hides no other'() {
    const refused = refusal({ success: false, msg: '字段验证错误 call_time: it is over', data: { call_time: 'it is over' } }, 200);
    equal([refused.message, refused.field], ['call_time: it is over', 'call_time']);
    equal(refusal({ msg: 'all is lost' }, 200).message, 'all is lost');
    equal(refusal({}, 503).message, 'HTTP 503');
    const errors = [refused, new Refused('x', 'toString', 200), new Refused('x', 'uid', 401), new Unreachable('x'), new TypeError('x')];
    equal(errors.map(sentenceFor), ['calls.badTime', 'calls.refused', 'calls.badKey', 'calls.unreachable', 'calls.failed']);
    const [line, place] = [new ProblemLine(), document.createElement('p')];
    line.showAt(place);
    line.show('poll', new Unreachable('Failed to fetch'));
    check(place.textContent.includes(t('calls.unreachable')), place.textContent);
    line.show('own', refused);
    check(place.textContent.includes(t('calls.badTime')), place.textContent);
    line.clear('own');
    check(!place.hidden && place.textContent.includes(t('calls.unreachable')), place.textContent);
    line.clear('poll');
    check(place.hidden, 'a problem is left');
  },

  'a request that fails again and again takes one line'() {
    const list = document.createElement('ol');
    const log = new RequestLog(list, document.createElement('p'));
    const failed = { success: false, msg: 'no' };
    for (let times = 0; times < 3; times += 1) {
      log.add('call/msg', { uid: '1' }, failed);
      log.add('call/record', { channel: 'a' }, failed);
    }
    log.add('call/msg', { uid: '1' }, { success: true, data: [] });
    log.add('call/msg', { uid: '1' }, { success: true, data: [] });
    equal(list.children.length, 4);
    equal([...list.querySelectorAll('[data-failed]')].map(({ dataset }) => dataset.failed), ['3', '3']);
  },

  'a list that is built anew keeps the focus, or gives it to its title'() {
    const title = Object.assign(document.createElement('h2'), { id: 'title-of-list' });
    const list = document.createElement('ul');
    list.setAttribute('aria-labelledby', title.id);
    document.body.append(title, list);
    const row = (name) => {
      const button = document.createElement('button');
      button.dataset.focus = name;
      return button;
    };
    redraw(list, [row('a'), row('b')]);
    check(document.activeElement === document.body, 'a list takes the focus');
    list.lastChild.focus();
    redraw(list, [row('b'), row('c')]);
    check(document.activeElement === list.firstChild, 'the focus is lost');
    redraw(list, [row('c')]);
    check(document.activeElement === title, 'the title has no focus');
    title.remove();
    list.remove();
  },

  'what is no message of the protocol is nothing'() {
    for (const frame of ['', 'null', '[]', '{"type":7}', '{"type":"constructor"}', '{"type":"__proto__"}', '{"type":"new"}']) {
      equal(readMessage(frame), null);
    }
  },

  'rates are those of the last interval, also after a counter starts again'() {
    const report = (timestamp, bytesReceived, packetsReceived, packetsLost) =>
      new Map([
        ['t', { id: 't', type: 'transport', timestamp }],
        ['v', { id: 'v', type: 'inbound-rtp', kind: 'video', timestamp, bytesReceived, packetsReceived, packetsLost }],
      ]);
    const first = summarize(report(1000, 5000, 50, 0), null);
    const second = summarize(report(3000, 105_000, 140, 10), first);
    equal([second.video.bitsPerSecond, second.video.packetsPerSecond, second.video.lossPercent], [400_000, 45, 10]);
    const restarted = summarize(report(4000, 1000, 10, 0), second);
    equal([restarted.video.bitsPerSecond, restarted.video.lossPercent], [8000, 0]);
  },

  'quality falls with loss, delay and pictures that stall'() {
    const video = { direction: 'in', packetsPerSecond: 100, lossPercent: 0, jitterMs: 5, fps: 25 };
    const judge = (changes, rttMs = 20) => quality({ rttMs, audio: null, video: { ...video, ...changes } }, 'connected');
    equal([judge({}), judge({ lossPercent: 4 }), judge({ lossPercent: 20 })], [3, 2, 1]);
    equal([judge({ jitterMs: 60 }), judge({}, 400), judge({}, 900)], [2, 2, 1]);
    equal([judge({ fps: 1 }), judge({ fps: 1, packetsPerSecond: 3 })], [1, 3]);
    equal([quality(null, 'failed'), quality(null, 'connecting')], [0, null]);
  },

  'initials stand for names of many kinds'() {
    equal(['Ada Lovelace', 'nikola', '陈小明', '王伟', 'Ana María de la Cruz', '  ', '👩‍🚀 Zed'].map(initials), [
      'AL', 'N', '小明', '王伟', 'AC', '?', '👩Z',
    ]);
  },

  'chat text stays text, and addresses of the web become links'() {
    const body = textBody('<img src=x onerror=alert(1)> see https://example.org/a?b=1), http://x.test. javascript:alert(1)');
    equal(body.querySelectorAll('img').length, 0);
    const links = [...body.querySelectorAll('a')];
    equal(links.map(({ href }) => href), ['https://example.org/a?b=1', 'http://x.test/']);
    check(links.every(({ rel, target }) => rel.includes('noopener') && target === '_blank'), 'a link that reaches back');
    check(body.textContent.startsWith('<img src=x') && body.textContent.endsWith('javascript:alert(1)'), body.textContent);
  },

  'a file is a link only where its address is one of the web'() {
    equal(fileBody({ fileName: 'a.pdf', url: '/files/1/a.pdf' }).tagName, 'A');
    for (const url of ['javascript:alert(1)', 'data:text/html,x', 'blob:x', 'http://']) {
      equal(fileBody({ fileName: '<b>x</b>', url }).querySelectorAll('a, b').length, 0);
      equal(fileBody({ fileName: 'x', url }).tagName, 'P');
    }
  },

  'pictures are shown without a click only from this server'() {
    const picture = (url) => fileBody({ fileName: 'a.png', url }).querySelectorAll('img').length;
    equal([picture('/files/1/a.png'), picture('https://elsewhere.test/a.png')], [1, 0]);
    equal(fileBody({ fileName: 'a.svg', url: '/files/1/a.svg' }).querySelectorAll('img').length, 0);
  },

  'user and room together join at once, anything less leads to the lobby'() {
    equal(readEntry('?userId=0&groupId=demo&type=audio&userName=Ada').direct, true);
    equal(readEntry('?userId=0&groupId=demo&type=audio').audioOnly, true);
    equal(['', '?userId=1', '?groupId=demo', '?userId=%20&groupId=demo'].map((query) => readEntry(query).direct), [
      false, false, false, false,
    ]);
  },

  'a link with the names of the call API joins its channel at once'() {
    const entry = readEntry('?appID=970CA35de60c44645bbae8a215061b33&channel=ch_4aY875LP4o&uid=1234');
    equal([entry.room, entry.userId, entry.direct], ['ch_4aY875LP4o', '1234', true]);
    equal(readEntry('?channel=a&groupId=b&uid=1&userId=2').room, 'b');
  },

  'an access token is known by its version, and names nobody'() {
    equal(['006970CA35de', 'eyJhbGciOiJIUzI1NiJ9.e30.x', '', undefined].map(isAccessToken), [true, false, false, false]);
    equal(ownerOf('006970CA35de60c44645bbae8a215061b33IACV0fZUBw'), '');
  },

  'an invitation says where, not who'() {
    const link = new URL(inviteLink(readEntry('?userId=1&userName=Ada&groupId=a%26b&groupName=Tea')));
    equal([...link.searchParams], [['groupId', 'a&b'], ['groupName', 'Tea']]);
    equal(['ch_4aY875LP4o', 'ch_4aY875LP4', 'ch_4aY875LP4oo', 'ch_4aY875LP4_', 'demo'].map(isChannel), [true, false, false, false, false]);
  },

  'an answer that another one has overtaken is not shown'() {
    const order = new Order();
    const [first, second, third] = [order.ask(), order.ask(), order.ask()];
    equal([second(), first(), third()], [true, false, true]);
  },

  'a call rings for whoever is called, and not in that call'() {
    const record = { src_uid: '1' };
    const row = { channel: 'a', status: 0 };
    equal([isToAnswer(row, record, '2', ''), isToAnswer(row, record, '2', 'b')], [true, true]);
    equal([isToAnswer(row, record, '2', 'a'), isToAnswer(row, record, '1', '')], [false, false]);
    equal([isToAnswer({ ...row, status: 1 }, record, '2', ''), isToAnswer(row, undefined, '2', '')], [false, false]);
  },

  'device errors become words that can be explained'() {
    const named = (name, message = '') => mediaProblem(Object.assign(new Error(message), { name }));
    equal(
      [named('NotAllowedError'), named('NotAllowedError', 'Permission denied by system'), named('NotFoundError'), named('NotReadableError')],
      ['denied', 'deniedBySystem', 'notFound', 'inUse'],
    );
    equal(permissionGuide('Mozilla/5.0 (Macintosh) AppleWebKit/605 Safari/605', 5), 'safariPhone');
    equal(permissionGuide('Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/153.0', 0), 'firefox');
  },
};
