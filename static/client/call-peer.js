/**
 * The WebRTC connection of a call between two: one for both directions. The client offers it once, and again if it needs
 * another way to the server, or another format for the picture. Muting and the camera only swap tracks.
 */
import { allowAllFormats } from './format-change.js';
import { rtcConfiguration } from './ice-servers.js';
import { withQuietSound } from './quiet-sound.js';
import { repeatSound } from './repeated-sound.js';
import { summarize } from './stats.js';

/** One person on a full screen needs more than a tile; phones on mobile networks can still send it. */
const VIDEO = { maxBitrate: 1_500_000 };
const EARLY_CANDIDATES_MAX = 64;

export class CallPeer {
  pc = new RTCPeerConnection(rtcConfiguration());
  /** The media from the other side; tracks are added as they arrive. */
  stream = new MediaStream();
  /** The latest figures, see stats.js; null before the first sample. */
  stats = null;

  #senders;
  #earlyCandidates = [];
  #answered = false;

  /**
   * @param {object} options
   * @param {MediaStreamTrack | null} options.audio @param {MediaStreamTrack | null} options.video null sends nothing
   * @param {boolean} options.audioOnly the call has no picture at all
   * @param {(candidate: RTCIceCandidate) => void} options.onCandidate
   * @param {() => void} options.onState @param {() => void} options.onStream
   */
  constructor({ audio, video, audioOnly, onCandidate, onState, onStream }) {
    const { pc } = this;
    const options = { direction: 'sendrecv', streams: [new MediaStream()] };
    const sound = pc.addTransceiver(audio ?? 'audio', options);
    repeatSound(sound);
    this.#senders = {
      audio: sound.sender,
      video: audioOnly ? null : pc.addTransceiver(video ?? 'video', { ...options, sendEncodings: [{ ...VIDEO }] }).sender,
    };
    pc.onicecandidate = ({ candidate }) => candidate?.candidate && onCandidate(candidate);
    pc.onconnectionstatechange = onState;
    pc.ontrack = ({ track }) => {
      this.stream.addTrack(track);
      onStream();
    };
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.pc.connectionState;
  }

  /** @returns {Promise<string>} */
  async offer() {
    await this.pc.setLocalDescription();
    return this.pc.localDescription.sdp;
  }

  /** Makes an offer that looks for another way to the server. */
  async restartOffer() {
    this.pc.restartIce();
    return this.offer();
  }

  /** Makes an offer of all formats that this browser has: the answer begins with one that the other side can decode. */
  async formatsOffer() {
    if (this.#senders.video) await allowAllFormats(this.pc, this.#senders.video);
    return this.offer();
  }

  async acceptAnswer(sdp) {
    await this.pc.setRemoteDescription({ type: 'answer', sdp: withQuietSound(sdp) });
    this.#answered = true;
    for (const candidate of this.#earlyCandidates.splice(0)) this.#addCandidate(candidate);
  }

  acceptCandidate(candidate) {
    if (!candidate?.candidate) return;
    if (this.#answered) this.#addCandidate(candidate);
    else if (this.#earlyCandidates.length < EARLY_CANDIDATES_MAX) this.#earlyCandidates.push(candidate);
  }

  /** @param {'audio' | 'video'} kind @param {MediaStreamTrack | null} track */
  async setTrack(kind, track) {
    await this.#senders[kind]?.replaceTrack(track).catch((error) => console.debug('patchbay: track kept', error));
  }

  /** Returns the figures of the time since the last call. */
  async sample() {
    const report = await this.pc.getStats().catch(() => null);
    if (report) this.stats = summarize(report, this.stats);
    return this.stats;
  }

  close() {
    this.pc.onicecandidate = this.pc.onconnectionstatechange = this.pc.ontrack = null;
    this.pc.close();
  }

  #addCandidate(candidate) {
    this.pc.addIceCandidate(candidate).catch((error) => console.debug('patchbay: candidate ignored', error));
  }
}
