// Tests of the pages' pure parts that deal with how much of each video is sent, run in a browser as those in page_logic.js.
import { ConferenceWants, fieldsOf } from '/static/client/conference-wants.js';
import { RoomClient } from '/static/client/room-client.js';
import { ALL_LAYERS, CAMERA_LAYERS, NO_ORDER, merged, setEncodings } from '/static/client/send-layers.js';
import { heightFor, wantsOf } from '/static/client/wants.js';
import { outgoing, readMessage } from '/static/client/wire.js';
import { badgeFor } from '/static/room/quality-badge.js';
import { NetworkJudge, noticeFor } from '/static/room/slow-network.js';

function equal(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} instead of ${b}`);
}

/** What is sent of each layer: 0, or its bits per second. */
function rates(wish) {
  const encodings = CAMERA_LAYERS.map((layer) => ({ ...layer, active: true }));
  return ratesOf(encodings, wish);
}

function ratesOf(encodings, wish) {
  setEncodings(encodings, { hasTrack: true, isScreen: false, layersMax: ALL_LAYERS, order: NO_ORDER, ...wish });
  return encodings.map(({ active, maxBitrate }) => (active ? maxBitrate : 0));
}

const order = (layers, maxBitrate = null) => ({ order: { layers, maxBitrate } });

/** A socket that opens when the test says so, and keeps what is sent. */
function withSocket(test) {
  const real = globalThis.WebSocket;
  const sent = [];
  let socket;
  globalThis.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor() {
      socket = this;
    }
    send(text) {
      sent.push(JSON.parse(text));
    }
    close() {}
  };
  const receive = (message) => socket.onmessage({ data: JSON.stringify(message) });
  const client = new RoomClient({ room: 'r', userId: '1', url: 'ws://nowhere.test' });
  try {
    test({ client, receive, open: () => socket.onopen(), sentOf: (type) => sent.filter((one) => one.type === type) });
  } finally {
    client.leave();
    globalThis.WebSocket = real;
  }
}

export const cases = {
  'a tile wants the height of the picture that it shows, in pixels of the screen'() {
    const tile = { width: 640, height: 360, videoWidth: 1280, videoHeight: 720, isCropped: true };
    equal([heightFor(tile, 1), heightFor(tile, 2), heightFor(tile, 3)], [320, 650, 650]);
    // A wide picture that covers an upright tile is higher than one that fits into it.
    const upright = { ...tile, width: 300, height: 600 };
    equal([heightFor(upright, 1), heightFor({ ...upright, isCropped: false }, 1)], [540, 150]);
    // Before the first picture, and of a tile without a place.
    equal([heightFor({ ...tile, videoWidth: 0, videoHeight: 0 }, 1), heightFor({ ...tile, width: 0 }, 1)], [320, 0]);
    equal(heightFor({ ...tile, width: 4, height: 2 }, 1), 10);
  },

  'what most tiles want is said once, and whoever comes next gets it'() {
    const heights = new Map([['a', 640], ['b', 120], ['c', 120], ['d', 0]]);
    const page = { heights, onStage: ['a'], lowData: 'off', isAway: false };
    equal(wantsOf(page), { heights: { '*': 120, a: 640, d: 0 }, onStage: ['a'] });
    equal(wantsOf({ ...page, onStage: ['d', 'x'] }).onStage, []);
    equal(wantsOf({ ...page, heights: new Map() }), { heights: {}, onStage: [] });
    equal(wantsOf({ ...page, heights: new Map([['a', 0]]) }), { heights: { a: 0 }, onStage: [] });
  },

  'nothing is wanted while nobody looks, and little with low data'() {
    const heights = new Map([['a', 640], ['b', 120]]);
    const page = { heights, onStage: ['a'], lowData: 'off', isAway: true };
    equal(wantsOf(page), { heights: { '*': 0 }, onStage: [] });
    equal(wantsOf({ ...page, isAway: false, lowData: 'one' }), { heights: { '*': 0, a: 360 }, onStage: ['a'], lastN: 1 });
    equal(wantsOf({ ...page, lowData: 'one' }), { heights: { '*': 0 }, onStage: [], lastN: 1 });
    equal(wantsOf({ ...page, isAway: false, lowData: 'sound' }), { heights: { '*': 0 }, onStage: [], lastN: 0 });
  },

  'what is wanted is told to a server that knows it, once, and again after a reconnection'() {
    withSocket(({ client, receive, open, sentOf }) => {
      const wants = { heights: { '*': 180, 7: 720 }, onStage: ['7', 'x'] };
      const message = { type: 'videoWants', heights: { 7: 720, '*': 180 }, onStage: [7, 'x'] };
      client.join();
      open();
      client.wantVideos(wants);
      equal([sentOf('videoWants'), client.wantedHeight('7')], [[], null]);
      receive({ type: 'existingParticipants', participants: [], features: ['videoWants', 7] });
      client.wantVideos(structuredClone(wants));
      equal([sentOf('videoWants'), client.wantedHeight('7'), client.wantedHeight('8')], [[message], 720, 180]);
      client.wantVideos({ ...wants, lastN: 0 });
      equal(sentOf('videoWants').at(-1), { ...message, lastN: 0 });
      receive({ type: 'existingParticipants', participants: [], features: ['videoWants'] });
      equal(sentOf('videoWants').length, 3);
    });
  },

  'a server that does not know it is told nothing'() {
    withSocket(({ client, receive, open, sentOf }) => {
      client.wantVideos({ heights: { '*': 180 }, onStage: [] });
      client.join();
      open();
      for (const features of [undefined, 'videoWants', ['videoQuality']]) {
        receive({ type: 'existingParticipants', participants: [], features });
        equal([sentOf('videoWants'), client.canWantVideos], [[], false]);
      }
    });
  },

  'what the server says of a video is kept with its person, and since when'() {
    withSocket(({ client, receive, open }) => {
      const seen = [];
      client.addEventListener('videoquality', ({ detail }) => seen.push(detail.participant.id));
      client.join();
      open();
      receive({ type: 'existingParticipants', participants: [{ id: 2, name: 'Ben' }] });
      const say = (rest) => receive({ type: 'videoQuality', sender: 2, height: 180, wanted: 720, state: 'reduced', reason: 'bandwidth', ...rest });
      const quality = () => client.participants.get('2').videoQuality;
      say({});
      const { since } = quality();
      say({ height: 360 });
      equal([quality().height, quality().since], [360, since]);
      say({ state: 'paused', height: 'x', reason: undefined });
      const { height, state, reason } = quality();
      equal([height, state, reason], [null, 'paused', null]);
      receive({ type: 'videoQuality', sender: 3 });
      equal(seen, ['2', '2', '2']);
    });
  },

  'an order to send layers is read, whatever else is in it'() {
    const read = (order) => readMessage(JSON.stringify({ type: 'sendLayers', ...order })).order;
    equal(read({ layers: { q: true, h: 'no', f: false }, maxBitrate: 9 }), { layers: { q: true, f: false }, maxBitrate: 9 });
    equal([read({}), read({ layers: null, maxBitrate: -1 }), read({ layers: [true], maxBitrate: '9' })].map(({ maxBitrate }) => maxBitrate), [null, null, null]);
  },

  'a camera sends the layers that are asked for, and the largest of them within the bound'() {
    equal(rates({}), [150_000, 500_000, 1_700_000]);
    equal(rates(order({ q: true, h: true, f: false }, 300_000)), [150_000, 300_000, 0]);
    equal(rates(order({ f: false, z: true })), [150_000, 500_000, 0]);
    equal(rates(order({ q: false, h: false, f: false }, 9)), [0, 0, 0]);
    equal(rates(order({}, 9_000_000)), [150_000, 500_000, 1_700_000]);
    equal(rates({ ...order({}), hasTrack: false }), [0, 0, 0]);
    equal(rates({ layersMax: 1, ...order({ f: true }) }), [150_000, 0, 0]);
    equal(rates({ layersMax: 2 }), [150_000, 500_000, 0]);
  },

  'a layer that an order does not name stays as it was, and the bound goes with the next order'() {
    const first = merged(NO_ORDER, { layers: { f: false }, maxBitrate: 5 });
    equal(merged(first, { layers: { h: false }, maxBitrate: null }), { layers: { f: false, h: false }, maxBitrate: null });
  },

  'a screen stays legible: never small, and sharp while anybody looks'() {
    const screen = (one) => rates({ isScreen: true, ...one });
    equal(screen({}), [0, 500_000, 2_500_000]);
    equal(screen(order({ q: true, h: false, f: false })), [0, 500_000, 2_500_000]);
    equal(screen(order({ q: false, h: false, f: true }, 800_000)), [0, 0, 800_000]);
    equal(screen(order({ q: false, h: false, f: false })), [0, 0, 0]);
    equal(screen({ layersMax: 1 }), [0, 500_000, 2_500_000]);
  },

  'a picture too small for layers is one encoding, which obeys as well'() {
    const single = (wish) => ratesOf([{ active: true }], wish);
    equal([single({}), single(order({}, 200_000)), single(order({ '': false })), single({ layersMax: 1 })], [[900_000], [200_000], [0], [150_000]]);
    equal(single({ isScreen: true, layersMax: 1, ...order({ q: false }) }), [2_500_000]);
    const small = [{ active: true }];
    ratesOf(small, { layersMax: 1 });
    equal(small[0].scaleResolutionDownBy, 2);
  },

  'a tile says what is missing once it lasts, and nothing of what is as it should be'() {
    const badge = (quality, lasts, wantedSince = 0) => {
      const found = badgeFor(quality && { height: 180, since: 1000, reason: 'bandwidth', ...quality }, { now: 1000 + lasts, wantedSince });
      return found && [found.short.key, found.long?.key ?? null];
    };
    equal([badge(null, 9000), badge({ state: 'full' }, 9000)], [null, null]);
    equal([badge({ state: 'reduced' }, 2000), badge({ state: 'reduced' }, 3000)], [null, ['tile.height', 'tile.reduced.bandwidth']]);
    equal(badge({ state: 'reduced', reason: 'sender' }, 3000), ['tile.height', 'tile.reduced.sender']);
    equal(badge({ state: 'reduced', reason: null }, 3000), ['tile.height', null]);
    equal(badge({ state: 'reduced', height: null }, 9000), null);
    equal([badge({ state: 'paused' }, 500), badge({ state: 'paused' }, 900)], [null, ['tile.paused', 'tile.tooSlow']]);
    equal(badge({ state: 'paused', reason: 'sender' }, 9000), null);
    const tooMany = ['tile.paused', 'tile.tooMany'];
    equal([badge({ state: 'unwanted' }, 2000), badge({ state: 'unwanted' }, 3000)], [null, tooMany]);
    equal([badge({ state: 'unwanted' }, 9000, 8000), badge({ state: 'unwanted' }, 9000, 7000)], [null, tooMany]);
    equal(badge({ state: 'unwanted' }, 9000, Infinity), null);
  },

  'a slow connection is spoken of when it lasts, and not again soon after it was closed'() {
    const judge = new NetworkJudge();
    const reduced = [{ state: 'reduced', reason: 'bandwidth' }, { state: 'full', reason: null }];
    const look = (second, videos = [], own = {}) => {
      judge.look({ now: second * 1000, videos, ownVideo: null, availableBitsPerSecond: null, ...own });
      return judge.problem;
    };
    equal([look(0, reduced), look(4, reduced), look(5, reduced)], [null, null, 'receiving']);
    const paused = [...reduced, { state: 'paused', reason: 'bandwidth' }];
    equal([look(6, paused), look(11, paused)], ['receiving', 'paused']);
    equal([look(12), look(19), look(20)], ['paused', 'paused', null]);
    equal([look(21, [{ state: 'paused', reason: 'sender' }]), look(40, [{ state: 'paused', reason: 'sender' }])], [null, null]);
    const own = { ownVideo: { limitedBy: 'bandwidth' }, availableBitsPerSecond: 100_000 };
    equal([look(50, [], own), look(61, [], own), look(62, [], own)], [null, null, 'sending']);
    judge.dismiss(63_000);
    equal([look(80, reduced, own), look(90, reduced, own), look(362, reduced, own), look(363, reduced, own)], [null, null, null, 'receiving']);
  },

  'the notice names those who are paused, if they are few'() {
    equal(noticeFor(null, ['A']), null);
    equal(noticeFor('paused', ['A', 'B']), { key: 'network.paused', values: { names: 'A · B' } });
    equal(noticeFor('paused', ['A', 'B', 'C', 'D']), { key: 'network.pausedMany', values: { count: 4 } });
    equal([noticeFor('paused', []).key, noticeFor('receiving', ['A']).key, noticeFor('sending', []).key], ['network.receiving', 'network.receiving', 'network.sending']);
  },

  'a height is asked for with ids as they are on the wire'() {
    equal(outgoing.videoWants({ heights: { '*': 0 }, onStage: ['007', '7'] }), { type: 'videoWants', heights: { '*': 0 }, onStage: ['007', 7] });
  },

  'a conference is sent the height of a screen beside those of cameras'() {
    const wants = { heights: { '*': 180, a: 0, screen: 720 }, onStage: ['screen', 'b'] };
    equal(fieldsOf(wants, 'b'), { heights: { '*': 180, a: 0 }, screens: { '*': 720 }, onStage: ['b'] });
    equal(fieldsOf({ heights: { '*': 0 }, onStage: ['screen'], lastN: 1 }, null), { heights: { '*': 0 }, onStage: [], lastN: 1 });
  },

  async 'a conference is sent what is news, one after the other, and all of it after a new connection'() {
    const asked = [];
    const wants = new ConferenceWants((fields) => new Promise((resolve, reject) => asked.push({ height: fields.heights['*'], resolve, reject })), () => null);
    const want = (height) => wants.set({ heights: { '*': height }, onStage: [] });
    const answer = async (how) => {
      asked.at(-1)[how](new Error('refused'));
      await new Promise((resolve) => setTimeout(resolve));
    };
    const heights = () => asked.map(({ height }) => height);
    want(90);
    equal(heights(), []);
    wants.beginAnew();
    want(180);
    want(360);
    equal(heights(), [90]);
    await answer('resolve');
    equal(heights(), [90, 360]);
    await answer('reject');
    want(360);
    equal(heights(), [90, 360]);
    wants.beginAnew();
    equal(heights(), [90, 360, 360]);
  },
};
