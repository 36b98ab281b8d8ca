/**
 * Sends the picture in another format, if somebody cannot decode the present one. The server knows what everybody can
 * decode: it answers a new offer of all formats of this browser with the best one in the first place, and browsers send
 * that one.
 */

/** Several people may report at about the same time that they cannot decode the picture: one new offer is for all of them. */
const GATHER_MS = 200;
/** The next new offer is for people who came later. Sooner, two people without a common format would cause many offers. */
const PAUSE_MS = 10_000;

/** Decides when to offer anew. */
export class FormatChange {
  #offerAnew;
  #timer = 0;
  #offeredAt = -Infinity;

  /** @param {() => void} offerAnew */
  constructor(offerAnew) {
    this.#offerAnew = offerAnew;
  }

  /** Call when somebody cannot decode the picture. */
  want() {
    const pause = Math.max(GATHER_MS, this.#offeredAt + PAUSE_MS - performance.now());
    this.#timer ||= setTimeout(() => this.#offer(), pause);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  #offer() {
    this.#timer = 0;
    this.#offeredAt = performance.now();
    this.#offerAnew();
  }
}

/** Lets the next offer of this sender's section have all formats that the browser can send, in the browser's own order. */
export async function allowAllFormats(pc, sender) {
  const transceiver = pc.getTransceivers().find((one) => one.sender === sender);
  // An empty list means the browser's own.
  transceiver?.setCodecPreferences?.([]);
  const parameters = sender.getParameters();
  if (!parameters.encodings.some((encoding) => encoding.codec)) return;
  for (const encoding of parameters.encodings) delete encoding.codec;
  // A connection that was closed meanwhile makes no more offers.
  await sender.setParameters(parameters).catch((error) => console.debug('patchbay: formats kept', error));
}
