/**
 * The stream of a conference's events.
 */

/** What the server says when a session ends that may begin again at once. */
const RESTARTS = ['the server is going down', 'a part of the server was lost; enter again'];

/** @param {string} reason of `disconnect` */
export function isRestart(reason) {
  return RESTARTS.includes(reason);
}

export class ConferenceEvents {
  #handlers;
  #onChange;
  #source = null;

  /**
   * @param {Record<string, (data: any) => void>} handlers by the name of the event
   * @param {(isOpen: boolean | null) => void} onChange false while the browser tries again; null when the server has refused
   */
  constructor(handlers, onChange) {
    this.#handlers = handlers;
    this.#onChange = onChange;
  }

  /** Follows this stream, and no longer the one before. @param {string} address */
  follow(address) {
    this.stop();
    const source = new EventSource(address);
    this.#source = source;
    source.onopen = () => this.#onChange(true);
    source.onerror = () => {
      if (source === this.#source) this.#onChange(source.readyState === EventSource.CLOSED ? null : false);
    };
    for (const [name, handle] of Object.entries(this.#handlers)) {
      source.addEventListener(name, ({ data }) => source === this.#source && handle(read(data)));
    }
  }

  stop() {
    this.#source?.close();
    this.#source = null;
  }
}

/** The data of an event: an object, a list, or nothing. */
function read(data) {
  try {
    return JSON.parse(data) ?? {};
  } catch {
    return {};
  }
}
