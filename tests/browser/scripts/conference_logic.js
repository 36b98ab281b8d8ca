// Tests of what a client of a conference makes of events, and of its connections: with a server and connections of the tests.
import { ConferenceClient } from '/static/client/conference-client.js';
import { ConferencePeer } from '/static/client/conference-peer.js';
import { answerForBrowser } from '/static/client/conference-sdp.js';

function equal(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} instead of ${b}`);
}

/** Time for everything that waits for nothing. */
const settled = () => new Promise((resolve) => setTimeout(resolve));
/** The same for what asks the server several times. */
const patience = async () => {
  for (let turn = 0; turn < 10; turn += 1) await settled();
};

const SDP = 'v=0\r\nm=audio 9 x 1\r\na=mid:0\r\nm=video 9 x 2\r\na=mid:1\r\n';
const LAYERS = ['q', 'h', 'f'];

/** Connections whose descriptions are set when the test says so, and which refuse changes of what is sent meanwhile. */
class Connection extends EventTarget {
  static made = [];
  static isSlow = false;
  iceGatheringState = 'complete';
  signalingState = 'stable';
  connectionState = 'new';
  localDescription = null;
  /** The descriptions that are being set. */
  waiting = [];
  encodings = LAYERS.map((rid) => ({ rid, active: true }));

  constructor() {
    super();
    Connection.made.push(this);
  }
  addTransceiver(kind, { direction }) {
    const sender = {
      getParameters: () => ({ encodings: structuredClone(this.encodings) }),
      setParameters: async ({ encodings }) => {
        if (this.waiting.length > 0) throw new DOMException('a description is being set', 'InvalidStateError');
        this.encodings = encodings;
      },
      replaceTrack: async () => {},
    };
    return { direction, sender, receiver: { track: kind, getSynchronizationSources: () => [] } };
  }
  async setLocalDescription() {
    await this.#set();
    this.localDescription = { sdp: SDP };
    this.signalingState = 'have-local-offer';
  }
  async setRemoteDescription() {
    await this.#set();
    this.signalingState = 'stable';
  }
  restartIce() {}
  close() {}
  #set() {
    return new Promise((resolve) => (Connection.isSlow ? this.waiting.push(resolve) : resolve()));
  }
  /** The descriptions are set. */
  async go() {
    for (const resolve of this.waiting.splice(0)) resolve();
    await settled();
  }
  get sent() {
    return this.encodings.filter(({ active }) => active).map(({ rid }) => rid).join();
  }
}

/** What a browser has, as the tests need it. */
async function withFakes(test) {
  const names = ['RTCPeerConnection', 'RTCRtpSender', 'MediaStream', 'EventSource', 'fetch'];
  const real = names.map((name) => globalThis[name]);
  const listeners = {};
  const calls = [];
  Connection.made = [];
  Connection.isSlow = false;
  const fakes = [
    Connection,
    {},
    class {
      addTrack() {}
    },
    class {
      addEventListener(name, handler) {
        listeners[name] = handler;
      }
      close() {}
    },
    async (address) => {
      const of = (request) => address.split('?')[0].endsWith(`/${request}`);
      let result = !of('update');
      if (of('new_session')) result = { token: 't', participant_uuid: 'me', expires: '120' };
      if (of('calls')) result = await new Promise((resolve) => calls.push((call) => resolve({ call_uuid: call, sdp: SDP, audio_ssrcs: [] })));
      return new Response(JSON.stringify({ status: result ? 'success' : 'failed', result }));
    },
  ];
  names.forEach((name, index) => (globalThis[name] = fakes[index]));
  const answer = async (call) => {
    calls.shift()(call);
    await patience();
  };
  const say = (name, data) => listeners[name]({ data: JSON.stringify(data) });
  try {
    await test({ say, answer });
  } finally {
    names.forEach((name, index) => (globalThis[name] = real[index]));
  }
}

/** Somebody in a conference, with a camera and a connection that the server has answered. */
async function withClient(test) {
  await withFakes(async ({ say, answer }) => {
    const client = new ConferenceClient({ alias: '1', name: 'Anna', pictures: 4 });
    client.setVideo({ getSettings: () => ({ width: 1280, height: 720 }) });
    await client.enter();
    await patience();
    try {
      await test({ client, say, answer });
    } finally {
      client.leave();
    }
  });
}

const paused = (sender, more = {}) => ['video_quality', { sender, height: 0, state: 'paused', reason: 'bandwidth', ...more }];
const layout = (...participants) => ['layout', { participants, ssrcs: participants.map((_, index) => index + 1) }];

export const cases = {
  async 'what was said of a picture holds only while it comes, whenever it was said'() {
    await withClient(async ({ client, say, answer }) => {
      await answer('first');
      const known = () => ['ben', 'carl', 'screen'].filter((id) => client.qualityOf(id) !== null);
      say(...paused('ben'));
      equal(known(), []);
      say(...layout('ben'));
      equal(known(), ['ben']);
      say(...paused('ben', { feed: 'screen' }));
      say(...layout('carl'));
      // The server sends it before it knows of the change.
      say(...paused('ben'));
      equal(known(), ['screen']);
      say(...layout());
      say(...layout('ben'));
      equal(known(), ['screen']);
      say('presentation_start', { presenter_uuid: 'ben' });
      equal(known(), []);
    });
  },

  async 'what the server says before it has answered a new connection is about the one before'() {
    await withClient(async ({ client, say, answer }) => {
      say('send_layers', { layers: { q: false } });
      say(...layout('ben'));
      await answer('first');
      const [first] = Connection.made;
      equal(first.sent, 'q,h,f');
      say('send_layers', { layers: { h: false, f: false } });
      say(...paused('ben'));
      await settled();
      equal([first.sent, client.qualityOf('ben')?.state], ['q', 'paused']);
      // That connection is lost, and the server has no other way for it: another one is made.
      first.connectionState = 'failed';
      first.onconnectionstatechange();
      await patience();
      const second = Connection.made[1];
      say('send_layers', { layers: { q: false } });
      say(...paused('ben'));
      await settled();
      equal([second.sent, client.qualityOf('ben')], ['q,h,f', null]);
      await answer('second');
      say('send_layers', { layers: { f: false } });
      say(...paused('ben'));
      await settled();
      equal([second.sent, client.qualityOf('ben')?.state], ['q,h', 'paused']);
    });
  },

  async 'what is sent is changed between two descriptions and never beside one'() {
    await withFakes(async () => {
      const peer = new ConferencePeer({ use: 'main', video: { getSettings: () => ({ width: 1280, height: 720 }) }, onState() {} });
      const [pc] = Connection.made;
      await peer.offer();
      await peer.accept(SDP);
      Connection.isSlow = true;
      const changes = [
        [() => peer.obey({ layers: { f: false }, maxBitrate: null }), 'q,h'],
        [() => peer.limitLayers(1), 'q'],
        [() => peer.setTrack('video', null), ''],
      ];
      for (const [change, expected] of changes) {
        const before = pc.sent;
        const offering = peer.restartOffer();
        await settled();
        change();
        await settled();
        equal(pc.sent, before);
        await pc.go();
        await offering;
        equal(pc.sent, expected);
      }
      equal(peer.order.layers, { f: false });
    });
  },

  'layers that are stopped stay stopped when pictures get other places'() {
    const section = (...lines) => ['v=0', 'm=video 9 x 2', 'a=mid:1', ...lines, ''].join('\r\n');
    const answer = section('a=rid:q recv', 'a=simulcast:recv q;~h;~f');
    const streams = { audio: [], video: [{ ssrc: 7 }] };
    const answered = answerForBrowser(section('a=simulcast:send q;~h;~f'), answer, streams);
    equal(answered.match(/a=simulcast:(.*)/)[1].trim(), 'recv q;~h;~f');
  },
};
