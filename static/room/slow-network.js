/**
 * Finds out that one's own connection is slow, and says so: seldom, late enough not to speak of moments, and with what can be
 * done about it. NetworkJudge is pure.
 */
import { isPausedByPath } from '../client/video-quality.js';

/** So long it has to be slow before anything is said … */
const SLOW_MS = 5000;
/** … or, of what one sends, where every connection begins slowly … */
const SLOW_SENDING_MS = 12_000;
/** … and so long it has to be well before the notice goes. */
const WELL_MS = 8000;
/** A notice that was closed does not come back sooner. */
const SILENCE_MS = 300_000;
/** With less than this a camera is seen at a quarter of its size. */
const SENDING_MIN_BPS = 250_000;
/** The names of more people than this make no sentence. */
const NAMES_MAX = 3;

/** @typedef {'paused' | 'receiving' | 'sending' | null} Problem from the one that people notice most */

export class NetworkJudge {
  /** @type {Problem} what is to be said now */
  problem = null;
  #since = { paused: null, receiving: null, sending: null };
  #wellSince = null;
  #silentUntil = 0;

  /**
   * @param {object} seen
   * @param {number} seen.now by `performance.now()`
   * @param {{state: string, reason: string | null}[]} seen.videos what the server says of each video
   * @param {{limitedBy?: string} | null} seen.ownVideo figures of what is sent, see stats.js
   * @param {number | null} seen.availableBitsPerSecond for sending
   */
  look({ now, videos, ownVideo, availableBitsPerSecond }) {
    const short = videos.filter(({ reason }) => reason === 'bandwidth');
    const isSendingSlow = ownVideo?.limitedBy === 'bandwidth' && availableBitsPerSecond !== null && availableBitsPerSecond < SENDING_MIN_BPS;
    const paused = this.#lasts('paused', short.some(({ state }) => state === 'paused'), now) >= SLOW_MS;
    const receiving = this.#lasts('receiving', short.some(({ state }) => state === 'paused' || state === 'reduced'), now) >= SLOW_MS;
    const sending = this.#lasts('sending', isSendingSlow, now) >= SLOW_SENDING_MS;
    this.#conclude(paused ? 'paused' : receiving ? 'receiving' : sending ? 'sending' : null, now);
  }

  /** Call when the person has closed the notice. */
  dismiss(now) {
    this.problem = null;
    this.#silentUntil = now + SILENCE_MS;
  }

  #lasts(what, isSo, now) {
    if (!isSo) this.#since[what] = null;
    else this.#since[what] ??= now;
    return isSo ? now - this.#since[what] : -1;
  }

  #conclude(problem, now) {
    if (problem !== null) {
      this.#wellSince = null;
      if (now >= this.#silentUntil) this.problem = problem;
    } else if (this.problem !== null) {
      this.#wellSince ??= now;
      if (now - this.#wellSince >= WELL_MS) this.problem = null;
    }
  }
}

export class SlowNetwork {
  #notices;
  #onLessData;
  #judge = new NetworkJudge();
  #shown = '';

  /** @param {{notices: import('./notices.js').Notices, onLessData: () => void}} options onLessData: the person wants to use less data */
  constructor({ notices, onLessData }) {
    this.#notices = notices;
    this.#onLessData = onLessData;
  }

  /**
   * @param {object} seen
   * @param {object | null} seen.own figures of what is sent
   * @param {{name: string, videoQuality: import('../client/video-quality.js').VideoQuality | null}[]} seen.people those who are shown
   * @param {boolean} seen.hasLowData
   */
  look({ own, people, hasLowData }) {
    const known = people.filter(({ videoQuality }) => videoQuality);
    this.#judge.look({
      now: performance.now(),
      videos: known.map(({ videoQuality }) => videoQuality),
      ownVideo: own?.video ?? null,
      availableBitsPerSecond: own?.availableBitsPerSecond ?? null,
    });
    const paused = known.filter(({ videoQuality }) => isPausedByPath(videoQuality));
    this.#show(noticeFor(this.#judge.problem, paused.map(({ name }) => name)), hasLowData);
  }

  #show(notice, hasLowData) {
    const summary = notice ? JSON.stringify([notice, hasLowData]) : '';
    if (summary === this.#shown) return;
    this.#shown = summary;
    if (!notice) {
      this.#notices.clear('network');
      return;
    }
    const action = hasLowData ? {} : { actionKey: 'lowData.open', onAction: () => this.#onLessData() };
    const onClose = () => {
      this.#judge.dismiss(performance.now());
      this.#shown = '';
    };
    this.#notices.set('network', { ...notice, ...action, closable: true, onClose });
  }
}

/** @param {Problem} problem @param {string[]} names whose picture is paused */
export function noticeFor(problem, names) {
  if (problem === null) return null;
  if (problem !== 'paused' || names.length === 0) return { key: problem === 'sending' ? 'network.sending' : 'network.receiving' };
  if (names.length > NAMES_MAX) return { key: 'network.pausedMany', values: { count: names.length } };
  return { key: 'network.paused', values: { names: names.join(' · ') } };
}
