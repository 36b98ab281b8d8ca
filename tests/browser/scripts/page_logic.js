// The pages' pure parts, run where they live: in a browser. Each case has a sentence for a name and throws when it fails.
import { quality } from '/static/client/quality.js';
import { mediaProblem, permissionGuide } from '/static/client/media-errors.js';
import { summarize } from '/static/client/stats.js';
import { outgoing, readMessage, wireId } from '/static/client/wire.js';
import { fileBody, textBody } from '/static/room/chat-entry.js';
import { inviteLink, readEntry } from '/static/room/entry.js';
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

export const cases = {
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
    equal(outgoing.join({ room: 'demo', userId: '1' }), { type: 'join', room: 'demo', userId: 1 });
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

  'an invitation says where, not who'() {
    const link = new URL(inviteLink(readEntry('?userId=1&userName=Ada&groupId=a%26b&groupName=Tea')));
    equal([...link.searchParams], [['groupId', 'a&b'], ['groupName', 'Tea']]);
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

/** @returns {{ran: number, failures: string[]}} */
export function runAll() {
  const failures = [];
  for (const [name, run] of Object.entries(cases)) {
    try {
      run();
    } catch (error) {
      failures.push(`${name}: ${error.message}`);
    }
  }
  return { ran: Object.keys(cases).length, failures };
}
