/**
 * Notices that nothing comes through a connection any more. A browser says so itself, but only after five to eight seconds.
 */
const LOOK_MS = 1000;
/** Media come many times a second, and reports about them every second: after so many looks without anything the path is dead. */
const SILENT_LOOKS = 3;
/** A connection that was quiet before, because nobody sends anything, says nothing by being quiet. */
const BUSY_LOOKS = 2;

export class PathWatch {
  #timer;

  /** @param {RTCPeerConnection} pc @param {() => void} onSilent called once each time that the path falls silent */
  constructor(pc, onSilent) {
    const silence = new Silence();
    this.#timer = setInterval(async () => {
      const total = await received(pc).catch(() => null);
      if (total !== null && pc.connectionState === 'connected' && silence.begins(total)) onSilent();
    }, LOOK_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** The rule of when a path is dead. Pure. */
export class Silence {
  #total = 0;
  #busy = 0;
  #silent = 0;

  /** Takes how much has come so far, once for each look. Returns whether the path has just been found dead. */
  begins(total) {
    const grows = total !== this.#total;
    this.#total = total;
    if (grows) {
      this.#busy += 1;
      this.#silent = 0;
      return false;
    }
    this.#silent += 1;
    if (this.#busy >= BUSY_LOOKS && this.#silent < SILENT_LOOKS) return false;
    const isDead = this.#busy >= BUSY_LOOKS;
    this.#busy = this.#silent = 0;
    return isDead;
  }
}

/** How much has come through a connection: bytes of media, and answers to checks. */
export async function received(pc) {
  let sum = 0;
  for (const report of (await pc.getStats()).values()) {
    if (report.type === 'candidate-pair') sum += (report.bytesReceived ?? 0) + (report.responsesReceived ?? 0);
  }
  return sum;
}
