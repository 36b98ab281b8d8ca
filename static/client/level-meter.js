/**
 * The loudness of a microphone, from Web Audio: for the meter in the lobby, and to notice that somebody talks while
 * muted.
 */

let context = null;

/** One audio context for the page; browsers allow only a few, and may suspend it until the first click. */
function sharedContext() {
  const AudioContext = globalThis.AudioContext ?? globalThis.webkitAudioContext;
  if (!AudioContext) return null;
  context ??= new AudioContext();
  if (context.state === 'suspended') context.resume().catch(() => {});
  return context;
}

export class LevelMeter {
  #track = null;
  #source = null;
  #analyser = null;
  #samples = null;

  /** @param {MediaStreamTrack | null} track */
  listen(track) {
    if (track === this.#track) return;
    this.stop();
    const audio = track && sharedContext();
    if (!audio) return;
    this.#track = track;
    this.#analyser = audio.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source = audio.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
  }

  stop() {
    this.#source?.disconnect();
    this.#track = this.#source = this.#analyser = null;
  }

  /** Root mean square of the last 20 ms or so, 0 to 1. */
  get level() {
    if (!this.#analyser) return 0;
    context?.state === 'suspended' && context.resume().catch(() => {});
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.sqrt(sum / this.#samples.length);
  }
}

/** Loudness as people hear it: 0 at −60 dB or below, 1 at full scale. */
export function loudness(level) {
  return level > 0 ? Math.min(1, Math.max(0, 1 + Math.log10(level) / 3)) : 0;
}
