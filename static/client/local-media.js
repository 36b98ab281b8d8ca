/**
 * This page's camera, microphone and screen. It asks for them, remembers which of them the person wants on,
 * and survives refusals and unplugged devices.
 *
 * A muted microphone stays open (so that talking while muted can be noticed) but is not sent; a camera that is
 * off is closed, and its light goes out. A problem with one device never keeps the other from working.
 */
import { captureIsPossible, mediaProblem, problemWithoutCapture } from './media-errors.js';

const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const KINDS = ['audio', 'video'];
export const DEVICE_KIND = { audio: 'audioinput', video: 'videoinput' };
const PERMISSION_NAME = { audio: 'microphone', video: 'camera' };

/**
 * Events: `change` (a track, a switch or a problem changed), `devices` (the list of devices changed).
 */
export class LocalMedia extends EventTarget {
  /** The devices that the person wants on; a track may be missing all the same. */
  wanted = { audio: true, video: true };
  /** @type {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} */
  tracks = { audio: null, video: null };
  /** @type {MediaStreamTrack | null} */
  screenTrack = null;
  /** @type {{audio: string | null, video: string | null}} see MediaProblem */
  problems = { audio: null, video: null };
  /** Chosen devices; empty means the browser's choice. */
  deviceIds = { audio: '', video: '' };

  #pending = null;
  #onDeviceChange = () => this.dispatchEvent(new Event('devices'));

  constructor({ audio = true, video = true, deviceIds = {} } = {}) {
    super();
    this.wanted = { audio, video };
    this.deviceIds = { ...this.deviceIds, ...deviceIds };
    navigator.mediaDevices?.addEventListener?.('devicechange', this.#onDeviceChange);
  }

  /** The track that others should hear: null while muted. */
  get sendingAudio() {
    return this.wanted.audio ? this.tracks.audio : null;
  }

  /** The track that others should see: the screen before the camera; null while both are off. */
  get sendingVideo() {
    return this.screenTrack ?? (this.wanted.video ? this.tracks.video : null);
  }

  get canShareScreen() {
    return Boolean(navigator.mediaDevices?.getDisplayMedia);
  }

  /** Opens every device that is wanted and not open. Never throws: `problems` says what is missing. */
  async open() {
    // One request at a time: a second one would raise a second prompt.
    this.#pending = (this.#pending ?? Promise.resolve()).then(() => this.#open());
    return this.#pending;
  }

  /** @param {'audio' | 'video'} kind */
  async setWanted(kind, on) {
    this.wanted[kind] = on;
    if (!on && kind === 'video') this.#closeTrack('video');
    this.#changed();
    if (on) await this.open();
  }

  async selectDevice(kind, deviceId) {
    this.deviceIds[kind] = deviceId;
    this.problems[kind] = null;
    // Some phones cannot open a second camera while the first one is open.
    this.#closeTrack(kind);
    this.#changed();
    if (this.wanted[kind] || kind === 'audio') await this.open();
  }

  /** @returns {Promise<MediaDeviceInfo[]>} labels are empty until permission was given */
  async devices() {
    return (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
  }

  /** Asks which screen to share. @returns {Promise<string | null>} a problem, or null */
  async startScreen() {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: false });
      this.screenTrack = stream.getVideoTracks()[0];
      this.screenTrack.addEventListener('ended', () => this.stopScreen());
      this.#changed();
      return null;
    } catch (error) {
      return mediaProblem(error);
    }
  }

  stopScreen() {
    if (!this.screenTrack) return;
    this.screenTrack.stop();
    this.screenTrack = null;
    this.#changed();
  }

  /** Releases every device. */
  close() {
    this.stopScreen();
    for (const kind of KINDS) this.#closeTrack(kind);
    this.#changed();
  }

  async #open() {
    const missing = KINDS.filter((kind) => this.wanted[kind] && this.tracks[kind]?.readyState !== 'live');
    if (missing.length === 0) return;
    if (!captureIsPossible()) {
      for (const kind of missing) this.problems[kind] = problemWithoutCapture();
      this.#changed();
      return;
    }
    const refusal = await this.#request(missing);
    // If both are requested together, one missing or refused device hides the other: request each alone if
    // that causes no second prompt.
    if (refusal && missing.length > 1) {
      for (const kind of missing) {
        if (refusal === 'denied' && (await permission(kind)) !== 'granted') this.problems[kind] = refusal;
        else this.problems[kind] = await this.#request([kind]);
      }
    } else {
      for (const kind of missing) this.problems[kind] = refusal;
    }
    this.#changed();
    this.dispatchEvent(new Event('devices'));
  }

  async #request(kinds) {
    try {
      this.#adopt(await navigator.mediaDevices.getUserMedia(this.#constraints(kinds, true)));
      return null;
    } catch (error) {
      // A remembered device may be missing: any other one is better than none.
      const chosen = kinds.some((kind) => this.deviceIds[kind]);
      if (!chosen || !['OverconstrainedError', 'NotFoundError'].includes(error.name)) return mediaProblem(error);
    }
    try {
      this.#adopt(await navigator.mediaDevices.getUserMedia(this.#constraints(kinds, false)));
      return null;
    } catch (error) {
      return mediaProblem(error);
    }
  }

  #constraints(kinds, chosen) {
    const deviceId = (kind) => (chosen && this.deviceIds[kind] ? { deviceId: { exact: this.deviceIds[kind] } } : {});
    return {
      audio: kinds.includes('audio') && { ...AUDIO, ...deviceId('audio') },
      video: kinds.includes('video') && { ...VIDEO, ...deviceId('video') },
    };
  }

  #adopt(stream) {
    for (const track of stream.getTracks()) {
      const { kind } = track;
      this.#closeTrack(kind);
      // The person may have switched the camera off while the browser was still asking.
      if (kind === 'video' && !this.wanted.video) {
        track.stop();
        continue;
      }
      this.tracks[kind] = track;
      this.problems[kind] = null;
      track.addEventListener('ended', () => this.#ended(kind, track));
    }
  }

  /** A device was unplugged, or the browser took it back. Another one may be there. */
  async #ended(kind, track) {
    if (this.tracks[kind] !== track) return;
    this.tracks[kind] = null;
    this.problems[kind] = 'lost';
    this.#changed();
    if (this.wanted[kind]) await this.open();
  }

  #closeTrack(kind) {
    const track = this.tracks[kind];
    this.tracks[kind] = null;
    track?.stop();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

async function permission(kind) {
  try {
    return (await navigator.permissions.query({ name: PERMISSION_NAME[kind] })).state;
  } catch {
    return 'unknown';
  }
}
