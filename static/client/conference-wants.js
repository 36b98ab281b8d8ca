/**
 * Sends a conference what a page wants of videos, in the words of its requests. Pure but for the request, which is given.
 */

/** Id of the tile that shows a screen, whoever shares it. */
export const SCREEN = 'screen';

export class ConferenceWants {
  #ask;
  #presenter;
  /** @type {import('./video-wants.js').Wants | null} */
  #wants = null;
  #isOpen = false;
  #isAsking = false;
  /** What the server knows, as a text. */
  #sent = '';

  /**
   * @param {(fields: object) => Promise<any>} ask
   * @param {() => string | null} presenter who shares a screen
   */
  constructor(ask, presenter) {
    this.#ask = ask;
    this.#presenter = presenter;
  }

  /** @param {import('./video-wants.js').Wants} wants */
  set(wants) {
    this.#wants = wants;
    this.send();
  }

  /** The server knows nothing of this client yet, and takes what it wants. */
  beginAnew() {
    this.#isOpen = true;
    this.#sent = '';
    this.send();
  }

  /** Sends what is news. One request follows the other, so that the newest is the last. */
  async send() {
    if (!this.#isOpen || this.#isAsking || !this.#wants) return;
    const fields = fieldsOf(this.#wants, this.#presenter());
    const text = JSON.stringify(fields);
    if (text === this.#sent) return;
    this.#isAsking = true;
    this.#sent = text;
    try {
      await this.#ask(fields);
    } catch (error) {
      // Servers that do not know the request send everything. Whatever is news is tried again.
      console.debug('patchbay: not said what is wanted', error);
    }
    this.#isAsking = false;
    this.send();
  }
}

/** @param {import('./video-wants.js').Wants} wants @param {string | null} presenter */
export function fieldsOf({ heights, onStage, lastN }, presenter) {
  const { [SCREEN]: screen, ...cameras } = heights;
  const stage = onStage.map((id) => (id === SCREEN ? presenter : id)).filter((id) => id !== null);
  return {
    heights: cameras,
    ...(screen !== undefined && { screens: { '*': screen } }),
    onStage: [...new Set(stage)],
    ...(lastN !== undefined && { lastN }),
  };
}
