/**
 * The media that this page sends: one audio and one video track, over one connection that exists from the moment of
 * joining. Muting, the camera, and screen sharing only swap tracks (`replaceTrack`); nothing is renegotiated for them.
 * Another format is negotiated only if somebody cannot decode the picture.
 */
import { FormatChange, allowAllFormats } from './format-change.js';
import { MediaPeer } from './media-peer.js';

/** Three layers need at least this much picture; browsers silently drop the upper layers of a smaller one. */
const SIMULCAST_MIN = { long: 960, short: 540 };

/** Layers from small to large: the order of rids tells the server which is which. */
const CAMERA_LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];
const CAMERA_SINGLE = { maxBitrate: 900_000 };
/** Text must stay sharp: fewer frames, more bits, and no use for a quarter-size copy. */
const SCREEN = { maxBitrate: 2_500_000, maxFramerate: 15 };

export class Publisher extends MediaPeer {
  #audio = null;
  #video = null;
  #isScreen = false;
  #simulcast = true;
  #audioSender = null;
  #videoSender = null;
  #stream = new MediaStream();
  #formatChange = new FormatChange(() => this.#offerAllFormats());

  get simulcast() {
    return this.#simulcast;
  }

  /** @param {MediaStreamTrack | null} track null sends nothing: others see us as muted */
  async setAudio(track) {
    this.#audio = track;
    await this.#audioSender?.replaceTrack(track).catch(ignoreClosed);
  }

  /**
   * @param {MediaStreamTrack | null} track
   * @param {{screen?: boolean}} [options]
   */
  async setVideo(track, { screen = false } = {}) {
    this.#video = track;
    this.#isScreen = screen;
    if (track && screen) track.contentHint = 'detail';
    if (!this.pc) return;
    if (this.#needsOtherLayers()) {
      await this.restart();
      return;
    }
    const sender = this.#videoSender;
    await sender?.replaceTrack(track).catch(ignoreClosed);
    if (sender) await this.#applyEncodings(sender);
  }

  /** Call when somebody cannot decode the picture. */
  changeFormat() {
    this.#formatChange.want();
  }

  close() {
    this.#formatChange.stop();
    super.close();
  }

  async prepare(pc) {
    this.#simulcast = !this.#video || fitsSimulcast(this.#video);
    const options = { direction: 'sendonly', streams: [this.#stream] };
    this.#audioSender = pc.addTransceiver(this.#audio ?? 'audio', options).sender;
    const sendEncodings = this.#simulcast ? CAMERA_LAYERS.map((layer) => ({ ...layer })) : [{ ...CAMERA_SINGLE }];
    this.#videoSender = pc.addTransceiver(this.#video ?? 'video', { ...options, sendEncodings }).sender;
    if (this.#isScreen) await this.#applyEncodings(this.#videoSender);
  }

  async #offerAllFormats() {
    const { pc } = this;
    if (!pc || !this.#videoSender) return;
    await allowAllFormats(pc, this.#videoSender);
    await this.offerAgain();
  }

  #needsOtherLayers() {
    if (!this.#video) return false;
    const fits = fitsSimulcast(this.#video);
    return this.#simulcast ? !fits : fits && !this.#isScreen;
  }

  async #applyEncodings(sender) {
    const parameters = sender.getParameters();
    const last = parameters.encodings.length - 1;
    parameters.encodings.forEach((encoding, index) => {
      const normal = this.#simulcast ? CAMERA_LAYERS[index] : CAMERA_SINGLE;
      // Without a track, Firefox would send one black picture a second.
      encoding.active = this.#video !== null && (!this.#isScreen || index > 0 || last === 0);
      encoding.maxBitrate = this.#isScreen && index === last ? SCREEN.maxBitrate : normal?.maxBitrate;
      if (this.#isScreen) encoding.maxFramerate = SCREEN.maxFramerate;
      else delete encoding.maxFramerate;
    });
    parameters.degradationPreference = this.#isScreen ? 'maintain-resolution' : 'balanced';
    // Not every browser lets all of this be changed; then it sends with the former settings.
    await sender.setParameters(parameters).catch((error) => console.debug('patchbay: encodings kept', error));
  }
}

function fitsSimulcast(track) {
  const { width = 0, height = 0 } = track.getSettings();
  return Math.max(width, height) >= SIMULCAST_MIN.long && Math.min(width, height) >= SIMULCAST_MIN.short;
}

/** A sender whose connection was closed meanwhile needs no new track; the next connection takes it. */
function ignoreClosed(error) {
  console.debug('patchbay: track kept for the next connection', error);
}
