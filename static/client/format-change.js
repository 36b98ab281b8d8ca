/**
 * Sending the picture in another format, where somebody cannot decode the one that is sent. The server knows what
 * everybody can decode: it answers a new offer of all that this browser has with that in the first place, which is what
 * browsers then send.
 */

/** Several people may say at about the same time that they cannot decode the picture: one new offer is for all of them. */
const GATHER_MS = 200;
/** A next new offer is for those who came later; sooner, two who have no format in common would cause one after the other. */
const PAUSE_MS = 10_000;

/** When to offer anew. */
export class FormatChange {
  #offerAnew;
  #timer = 0;
  #offeredAt = -Infinity;

  /** @param {() => void} offerAnew */
  constructor(offerAnew) {
    this.#offerAnew = offerAnew;
  }

  /** Somebody cannot decode the picture. */
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

/** The next offer of this sender's section has everything that the browser can send, in the browser's own order. */
export async function allowAllFormats(pc, sender) {
  const transceiver = pc.getTransceivers().find((one) => one.sender === sender);
  // An empty list is the browser's own.
  transceiver?.setCodecPreferences?.([]);
  const parameters = sender.getParameters();
  if (!parameters.encodings.some((encoding) => encoding.codec)) return;
  for (const encoding of parameters.encodings) delete encoding.codec;
  // A connection that was closed meanwhile offers nothing any more.
  await sender.setParameters(parameters).catch((error) => console.debug('patchbay: formats kept', error));
}
