/**
 * One WebRTC connection of a conference. Its offer has all candidates, and so has the answer: none is sent later.
 */

/** Candidates that are not found by then are left out. */
const GATHERING_MS = 3000;
/** One person on a large picture needs more than a tile; phones on mobile networks can still send it. */
const CAMERA = { maxBitrate: 1_200_000 };
/** Text must stay sharp: fewer frames, more bits. */
const SCREEN = { maxBitrate: 2_500_000, maxFramerate: 15 };
/** A picture counts as missing when no frame came for this long. A still screen is sent at one frame a second. */
const VIDEO_STALE_MS = 2500;

export class ConferencePeer {
  pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  /** The id of the call, once the server has answered. */
  call = '';
  /** What arrives; tracks are added as they come. */
  sound = new MediaStream();
  picture = new MediaStream();

  #transceivers = {};

  /**
   * @param {object} options
   * @param {'main' | 'send' | 'receive'} options.use camera and microphone with what comes back; or one's own screen; or
   *        somebody else's
   * @param {MediaStreamTrack | null} [options.audio] @param {MediaStreamTrack | null} [options.video] null sends nothing
   * @param {() => void} options.onState @param {() => void} [options.onTrack]
   */
  constructor({ use, audio = null, video = null, onState, onTrack = () => {} }) {
    const { pc } = this;
    const streams = [new MediaStream()];
    const direction = { main: 'sendrecv', send: 'sendonly', receive: 'recvonly' }[use];
    if (use === 'main') this.#transceivers.audio = pc.addTransceiver(audio ?? 'audio', { direction, streams });
    const sendEncodings = use === 'receive' ? undefined : [{ ...(use === 'send' ? SCREEN : CAMERA) }];
    this.#transceivers.video = pc.addTransceiver(video ?? 'video', { direction, streams, ...(sendEncodings && { sendEncodings }) });
    if (use === 'send' && video) video.contentHint = 'detail';
    pc.onconnectionstatechange = onState;
    pc.ontrack = ({ track }) => {
      (track.kind === 'audio' ? this.sound : this.picture).addTrack(track);
      onTrack();
    };
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.pc.connectionState;
  }

  /** Whether a picture is arriving now. */
  get hasPicture() {
    const sources = this.#transceivers.video.receiver.getSynchronizationSources();
    return this.state === 'connected' && sources.some(({ timestamp }) => now(timestamp) - timestamp < VIDEO_STALE_MS);
  }

  /** @returns {Promise<string>} */
  async offer() {
    await this.pc.setLocalDescription();
    await gathered(this.pc);
    return this.pc.localDescription.sdp;
  }

  /** Makes an offer that looks for another way to the server. */
  restartOffer() {
    this.pc.restartIce();
    return this.offer();
  }

  async accept(sdp) {
    await this.pc.setRemoteDescription({ type: 'answer', sdp });
  }

  /** @param {'audio' | 'video'} kind @param {MediaStreamTrack | null} track */
  async setTrack(kind, track) {
    await this.#transceivers[kind]?.sender.replaceTrack(track).catch((error) => console.debug('patchbay: track kept', error));
  }

  close() {
    this.pc.onconnectionstatechange = this.pc.ontrack = null;
    this.pc.close();
  }
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
