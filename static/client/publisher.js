/**
 * The media that this page sends: one audio and one video track, over one connection that exists from the moment of
 * joining. Muting, the camera, and screen sharing only swap tracks (`replaceTrack`); nothing is renegotiated for them.
 * Another format is negotiated only if somebody cannot decode the picture.
 */
import { FormatChange, allowAllFormats } from './format-change.js';
import { LayeredVideo } from './layered-video.js';
import { MediaPeer } from './media-peer.js';
import { CAMERA_LAYERS, CAMERA_SINGLE, fitsSimulcast } from './send-layers.js';
import { repeatSound } from './repeated-sound.js';

export class Publisher extends MediaPeer {
  #audio = null;
  #video = null;
  #isScreen = false;
  #simulcast = true;
  #layers = new LayeredVideo();
  #audioSender = null;
  #videoSender = null;
  #stream = new MediaStream();
  #formatChange = new FormatChange(() => this.#offerAllFormats());

  get simulcast() {
    return this.#simulcast;
  }

  /** What the server has asked for, see send-layers.js. */
  get order() {
    return this.#layers.order;
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
    this.#layers.want({ hasTrack: track !== null, isScreen: screen });
    if (track && screen) track.contentHint = 'detail';
    if (!this.pc) return;
    if (this.#needsOtherLayers()) {
      await this.restart();
      return;
    }
    await this.#videoSender?.replaceTrack(track).catch(ignoreClosed);
    await this.#layers.settle();
  }

  /** Sends at most so many layers of the camera, from the smallest on; a screen is sent as ever. */
  async limitLayers(layersMax) {
    this.#layers.want({ layersMax });
    await this.#layers.settle();
  }

  /** Sends what the server asks for, until it asks for something else. @param {import('./send-layers.js').LayerOrder} order */
  async obey(order) {
    this.#layers.obey(order);
    await this.#layers.settle();
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
    const sound = pc.addTransceiver(this.#audio ?? 'audio', options);
    repeatSound(sound);
    this.#audioSender = sound.sender;
    const sendEncodings = this.#simulcast ? CAMERA_LAYERS.map((layer) => ({ ...layer })) : [{ ...CAMERA_SINGLE }];
    this.#videoSender = pc.addTransceiver(this.#video ?? 'video', { ...options, sendEncodings }).sender;
    await this.#layers.begin(this.#videoSender);
  }

  async acceptAnswer(sdp) {
    await super.acceptAnswer(sdp);
    await this.#layers.settle();
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
}

/** A sender whose connection was closed meanwhile needs no new track; the next connection takes it. */
function ignoreClosed(error) {
  console.debug('patchbay: track kept for the next connection', error);
}
