/**
 * Another person in the room: who they are, and the connection on which their media arrives.
 */
import { describeFrames } from './frame-descriptions.js';
import { MediaPeer } from './media-peer.js';
import { lasting } from './video-quality.js';

/** A picture counts as missing when no frame came for this long. A still screen is sent at one frame a second. */
const VIDEO_STALE_MS = 2500;
/** Audio comes every 20 to 60 ms while the microphone is on, also in silence. */
const AUDIO_STALE_MS = 1200;

export class Participant extends MediaPeer {
  /** Display name; text from someone else, to be shown as text only. */
  name;
  /** @type {MediaStream} new for every connection; both tracks are added as they arrive */
  stream = new MediaStream();
  /** The latest figures, see stats.js; null before the first sample. */
  stats = null;
  /** The time, by `performance.now()`, when the first picture of the current connection was shown; null before. */
  firstFrameAt = null;
  /** Whether nothing that they send reaches the server; they are still in the room and may come back. */
  isLost = false;
  /** The formats that are sent and that this browser cannot decode; null where there is none. */
  undecodable = { audio: null, video: null };
  /**
   * What the server sends of their video, and why not more, since when; null where it has said nothing.
   * @type {(import('./video-quality.js').VideoQuality & {since: number}) | null}
   */
  videoQuality = null;

  #onStream;
  #startedAt = 0;
  #receivers = {};

  /** @param {{id: string, name: string, send: Function, onState: () => void, onStream: () => void}} options */
  constructor({ name, onStream, ...peer }) {
    super(peer);
    this.name = name;
    this.#onStream = onStream;
  }

  async prepare(pc) {
    this.stream = new MediaStream();
    this.#receivers = {};
    this.#startedAt = performance.now();
    this.firstFrameAt = null;
    this.undecodable = { audio: null, video: null };
    pc.addTransceiver('audio', { direction: 'recvonly' });
    describeFrames(pc.addTransceiver('video', { direction: 'recvonly' }));
    pc.ontrack = ({ track, receiver }) => {
      this.#receivers[track.kind] = receiver;
      this.stream.addTrack(track);
      this.#onStream();
    };
  }

  /** Takes what the server says about their video. */
  setVideoQuality(quality) {
    this.videoQuality = lasting(quality, this.videoQuality, performance.now());
  }

  /** The page calls this at the first frame that was shown, because only the page can see that. */
  sawFrame() {
    this.firstFrameAt ??= performance.now();
  }

  /** The time from the offer to the first picture; null before that. */
  get firstFrameMs() {
    return this.firstFrameAt === null ? null : this.firstFrameAt - this.#startedAt;
  }

  /** Loudness now, 0 to 1, as the sender measured it; 0 when nothing is known. */
  get audioLevel() {
    const source = this.#latestSource('audio');
    if (!source || Date.now() - sourceTime(source) > AUDIO_STALE_MS) return 0;
    return source.audioLevel ?? this.stats?.audio?.level ?? 0;
  }

  /** Whether audio is arriving at all: false means muted, or no microphone. */
  get hasAudio() {
    return this.#isFresh('audio', AUDIO_STALE_MS);
  }

  /** Whether a picture is arriving: false means the camera is off, or there is none. */
  get hasVideo() {
    return this.#isFresh('video', VIDEO_STALE_MS) || (this.stats?.video?.packetsPerSecond ?? 0) > 0;
  }

  /** Whether the picture is a shared screen, as far as the browser tells. */
  get isScreen() {
    return this.hasVideo && (this.stats?.video?.isScreen ?? false);
  }

  #isFresh(kind, limitMs) {
    if (this.state !== 'connected') return false;
    const source = this.#latestSource(kind);
    return Boolean(source) && Date.now() - sourceTime(source) < limitMs;
  }

  #latestSource(kind) {
    const sources = this.#receivers[kind]?.getSynchronizationSources?.() ?? [];
    return sources.reduce((latest, one) => (!latest || one.timestamp > latest.timestamp ? one : latest), null);
  }
}

/** Browsers disagree whether the timestamp counts from 1970 or from the page's start. */
function sourceTime({ timestamp }) {
  return timestamp < 1e12 ? performance.timeOrigin + timestamp : timestamp;
}
