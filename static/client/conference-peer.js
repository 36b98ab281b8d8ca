/**
 * One WebRTC connection of a conference. Its offer has all candidates, and so has the answer: none is sent later.
 */
import { answerForBrowser, offerForServer } from './conference-sdp.js';
import { describeFrames } from './frame-descriptions.js';
import { rtcConfiguration } from './ice-servers.js';
import { LayeredVideo } from './layered-video.js';
import { withQuietSound } from './quiet-sound.js';
import { repeatSound } from './repeated-sound.js';
import { ALL_LAYERS, CAMERA_LAYERS, CAMERA_SINGLE, SCREEN, fitsSimulcast } from './send-layers.js';
import { summarizeSent } from './stats.js';

/** Candidates that are not found by then are left out. */
const GATHERING_MS = 3000;
/** Voices that come at once: the server sends so many. */
const VOICES = 5;
/** A picture counts as missing when no frame came for this long. A still screen is sent at one frame a second. */
const VIDEO_STALE_MS = 2500;

export class ConferencePeer {
  pc = new RTCPeerConnection(rtcConfiguration());
  /** The id of the call, once the server has answered. */
  call = '';
  /** The sound that arrives: a track for each voice. */
  sound = new MediaStream();

  /** Where voices arrive. The first one also sends one's own. */
  #ears = [];
  /** The SSRCs of voices, by their places. */
  #voices = [];
  /** Where pictures arrive. The first one also sends one's own. */
  #places = [];
  #answer = '';
  /** What is sent of one's own video. */
  #layers = new LayeredVideo();
  #begun = Promise.resolve();
  /** The figures that were taken last. */
  #figures = null;
  /** Descriptions are set one after the other, and what is sent is changed between them. */
  #last = Promise.resolve();

  /**
   * @param {object} options
   * @param {'main' | 'send' | 'receive'} options.use camera and microphone with what comes back; or one's own screen; or
   *        somebody else's
   * @param {number} [options.pictures] the most pictures that arrive
   * @param {MediaStreamTrack | null} [options.audio] @param {MediaStreamTrack | null} [options.video] null sends nothing
   * @param {number} [options.layersMax] the most layers of the camera that are sent
   * @param {() => void} options.onState
   */
  constructor({ use, pictures = 1, audio = null, video = null, layersMax = ALL_LAYERS, onState }) {
    const { pc } = this;
    const streams = [new MediaStream()];
    const direction = { main: 'sendrecv', send: 'sendonly', receive: 'recvonly' }[use];
    if (use === 'main') {
      const sound = pc.addTransceiver(audio ?? 'audio', { direction, streams });
      repeatSound(sound);
      this.#ears.push(sound);
    }
    const sendEncodings = encodings(use, video);
    const first = pc.addTransceiver(video ?? 'video', { direction, streams, ...(sendEncodings && { sendEncodings }) });
    const further = Array.from({ length: pictures - 1 }, () => pc.addTransceiver('video', { direction: 'recvonly' }));
    if (use !== 'send') [first, ...further].forEach(describeFrames);
    this.#places = [first, ...further].map((transceiver) => ({ transceiver, ssrc: null, rtx: null, picture: pictureOf(transceiver) }));
    if (use === 'send' && video) video.contentHint = 'detail';
    this.#layers.want({ hasTrack: video !== null, isScreen: use === 'send', layersMax });
    if (use !== 'receive') this.#begun = this.#layers.begin(first.sender);
    while (use === 'main' && this.#ears.length < VOICES) this.#ears.push(pc.addTransceiver('audio', { direction: 'recvonly' }));
    for (const { receiver } of this.#ears) this.sound.addTrack(receiver.track);
    pc.onconnectionstatechange = onState;
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.pc.connectionState;
  }

  /** The picture with this SSRC; without one, the only picture. @returns {MediaStream | null} null if it does not arrive here */
  picture(ssrc = null) {
    return this.#place(ssrc)?.picture ?? null;
  }

  /** Whether that picture is arriving now. */
  hasPicture(ssrc = null) {
    const sources = this.#place(ssrc)?.transceiver.receiver.getSynchronizationSources() ?? [];
    return this.state === 'connected' && sources.some(({ timestamp }) => now(timestamp) - timestamp < VIDEO_STALE_MS);
  }

  /** @returns {Promise<string>} */
  async offer() {
    await this.#begun;
    await this.#inTurn(() => this.pc.setLocalDescription());
    await gathered(this.pc);
    const { sdp } = this.pc.localDescription;
    return this.#isWhole ? sdp : offerForServer(sdp);
  }

  /** Makes an offer that looks for another way to the server. */
  restartOffer() {
    this.pc.restartIce();
    return this.offer();
  }

  /** @param {string} sdp the server's answer @param {number[]} [voices] the SSRCs of the voices that it sends */
  async accept(sdp, voices = []) {
    await this.#inTurn(() => {
      this.#answer = sdp;
      this.#voices = voices;
      return this.#answered();
    });
  }

  /** Gives each picture a place, and keeps those that have one. @param {{ssrc: number, rtx?: number}[]} streams */
  async setPictures(streams) {
    if (this.#places.length === 1) return;
    const isWanted = (place) => streams.some(({ ssrc }) => ssrc === place.ssrc);
    const fresh = streams.filter(({ ssrc }) => !this.#place(ssrc));
    if (fresh.length === 0) return;
    for (const { ssrc, rtx = null } of fresh) {
      const free = this.#places.find((place) => place.ssrc === null) ?? this.#places.find((place) => !isWanted(place));
      if (free) Object.assign(free, { ssrc, rtx });
    }
    const renegotiate = async () => {
      // An answer that is still to come brings them.
      if (this.pc.signalingState !== 'stable' || !this.#answer) return;
      await this.pc.setLocalDescription();
      await this.#answered();
    };
    await this.#inTurn(renegotiate).catch((error) => console.warn('patchbay: the pictures stay as they were', error));
  }

  /** @param {'audio' | 'video'} kind @param {MediaStreamTrack | null} track */
  async setTrack(kind, track) {
    const transceiver = kind === 'audio' ? this.#ears[0] : this.#places[0].transceiver;
    await transceiver?.sender.replaceTrack(track).catch((error) => console.debug('patchbay: track kept', error));
    if (kind === 'audio') return;
    this.#layers.want({ hasTrack: track !== null });
    await this.#settle();
  }

  /** Sends at most so many layers of the camera, from the smallest on. @param {number} layersMax */
  async limitLayers(layersMax) {
    this.#layers.want({ layersMax });
    await this.#settle();
  }

  /** What the server has asked for, see send-layers.js. */
  get order() {
    return this.#layers.order;
  }

  /** Sends what the server asks for, until it asks for something else. @param {import('./send-layers.js').LayerOrder} order */
  async obey(order) {
    this.#layers.obey(order);
    await this.#settle();
  }

  /** Figures of what is sent, see stats.js. null where there are none. */
  async sentFigures() {
    const report = await this.pc.getStats().catch(() => null);
    if (report) this.#figures = summarizeSent(report, this.#figures);
    return this.#figures;
  }

  close() {
    this.pc.onconnectionstatechange = null;
    this.pc.close();
  }

  async #answered() {
    const audio = this.#voices.map((ssrc) => ({ ssrc }));
    const video = this.#places.map(({ ssrc, rtx }) => (ssrc === null ? null : { ssrc, rtx }));
    const sdp = this.#isWhole ? this.#answer : answerForBrowser(this.pc.localDescription.sdp, this.#answer, { audio, video });
    await this.pc.setRemoteDescription({ type: 'answer', sdp: withQuietSound(sdp) });
    await this.#layers.settle();
  }

  /** Beside a description that is being set, browsers may refuse to change what is sent. */
  #settle() {
    return this.#inTurn(() => this.#layers.settle());
  }

  /** Whether the server knows all sections. */
  get #isWhole() {
    return this.#ears.length === 0 && this.#places.length === 1;
  }

  #inTurn(act) {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }

  #place(ssrc) {
    return ssrc === null ? this.#places[0] : this.#places.find((place) => place.ssrc === ssrc);
  }
}

/** What is sent of a video: a camera in layers, so that each viewer gets the one that fits. */
function encodings(use, video) {
  if (use === 'receive') return undefined;
  if (use === 'send') return [{ ...SCREEN }];
  return !video || fitsSimulcast(video) ? CAMERA_LAYERS.map((layer) => ({ ...layer })) : [{ ...CAMERA_SINGLE }];
}

function pictureOf({ receiver }) {
  return new MediaStream([receiver.track]);
}

/** Browsers disagree whether the time of a source counts from 1970 or from the page's start. */
function now(timestamp) {
  return timestamp < 1e12 ? performance.now() : performance.timeOrigin + performance.now();
}

function gathered(pc) {
  return new Promise((resolve) => {
    const look = () => pc.iceGatheringState === 'complete' && resolve();
    pc.addEventListener('icegatheringstatechange', look);
    setTimeout(resolve, GATHERING_MS);
    look();
  });
}
