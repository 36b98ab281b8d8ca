/**
 * What hosts of the meeting have decided about the person at this page: they have muted them, or turned their camera off, and
 * decide when that ends. The server forwards nothing of it meanwhile, so nothing is sent either.
 */

const KINDS = ['audio', 'video'];

export class HostDecisions {
  #client;
  #media;
  #notices;

  /**
   * @param {object} options
   * @param {import('../client/room-client.js').RoomClient} options.client
   * @param {import('../client/local-media.js').LocalMedia} options.media
   * @param {import('./notices.js').Notices} options.notices
   */
  constructor({ client, media, notices }) {
    this.#client = client;
    this.#media = media;
    this.#notices = notices;
  }

  /** Call when they have changed. @param {import('../client/room-client.js').OwnState} before */
  changed(before) {
    const { isHost, muted } = this.#client.own;
    if (isHost && !before.isHost) this.#notices.toast('meet.youAreHost');
    for (const kind of KINDS) {
      if (muted[kind]) this.#turnOff(kind);
      else if (before.muted[kind]) this.#notices.toast(kind === 'audio' ? 'meet.mayTalk' : 'host.mayBeSeen');
    }
    const key = muted.audio && muted.video ? 'host.mutedBoth' : muted.audio ? 'meet.youAreMuted' : muted.video ? 'host.mutedCamera' : null;
    if (key) this.#notices.set('host', { key, closable: true });
    else this.#notices.clear('host');
  }

  /** Whether the person may not turn this on, which is said to them. @param {'audio' | 'video'} kind @returns {boolean} */
  forbids(kind) {
    const { muted } = this.#client.own;
    if (muted[kind]) this.#notices.toast(kind === 'audio' ? 'meet.stillMuted' : 'host.stillUnseen');
    return muted[kind];
  }

  #turnOff(kind) {
    if (this.#media.wanted[kind]) this.#media.setWanted(kind, false);
    // The screen is sent in the place of the camera.
    if (kind === 'video') this.#media.stopScreen();
  }
}
