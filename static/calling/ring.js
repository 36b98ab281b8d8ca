/**
 * The sound of an incoming call. Browsers that want a touch of the page first stay silent; the page shows the call
 * all the same.
 */

/** Two tones, as telephones have them, for one second of every three. */
const TONES_HZ = [440, 480];
const PERIOD_MS = 3000;
const RING_S = 1;
const LOUDNESS = 0.06;

export class Ring {
  #context = null;
  #timer = 0;

  start() {
    this.stop();
    try {
      this.#context = new AudioContext();
    } catch {
      return;
    }
    this.#once();
    this.#timer = setInterval(() => this.#once(), PERIOD_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#context?.close();
    this.#context = null;
  }

  #once() {
    const context = this.#context;
    const now = context.currentTime;
    const gain = context.createGain();
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(LOUDNESS, now + 0.05);
    gain.gain.setValueAtTime(LOUDNESS, now + RING_S - 0.1);
    gain.gain.linearRampToValueAtTime(0, now + RING_S);
    gain.connect(context.destination);
    for (const frequency of TONES_HZ) {
      const tone = new OscillatorNode(context, { frequency });
      tone.connect(gain);
      tone.start(now);
      tone.stop(now + RING_S);
    }
  }
}
