/**
 * The video that one connection sends: keeps the encodings of its sender at what is wanted of them (send-layers.js).
 */
import { ALL_LAYERS, NO_ORDER, merged, setEncodings } from './send-layers.js';

export class LayeredVideo {
  #sender = null;
  #wish = { hasTrack: false, isScreen: false, layersMax: ALL_LAYERS, order: NO_ORDER };
  #settled = Promise.resolve();

  /** What the server has asked for, see send-layers.js. */
  get order() {
    return this.#wish.order;
  }

  /** Notes what is wanted from now on, see `setEncodings`. `settle` carries it out. @param {object} change */
  want(change) {
    Object.assign(this.#wish, change);
  }

  /** Notes what the server asks for, until it asks for something else. @param {import('./send-layers.js').LayerOrder} order */
  obey(order) {
    this.want({ order: merged(this.order, order) });
  }

  /** Takes the sender of a new connection. Call before its offer is made. */
  async begin(sender) {
    const { isScreen, layersMax, order } = this.#wish;
    this.#sender = sender;
    // What a former connection still waits for does not concern this one.
    this.#settled = Promise.resolve();
    if (isScreen || order !== NO_ORDER || layersMax < ALL_LAYERS) await this.settle();
  }

  /**
   * Brings the sender to what is wanted now. Call after each answer, too: not every browser keeps what was set before. One change
   * follows the other, because each needs what the browser says just before it.
   */
  settle() {
    this.#settled = this.#settled.then(() => this.#apply());
    return this.#settled;
  }

  async #apply() {
    const sender = this.#sender;
    const parameters = sender?.getParameters();
    if (!parameters?.encodings?.length) return;
    const before = JSON.stringify(parameters);
    setEncodings(parameters.encodings, this.#wish);
    parameters.degradationPreference = this.#wish.isScreen ? 'maintain-resolution' : 'balanced';
    if (JSON.stringify(parameters) === before) return;
    // Not every browser lets all of this be changed; then it sends with the former settings.
    await sender.setParameters(parameters).catch((error) => console.debug('patchbay: encodings kept', error));
  }
}
