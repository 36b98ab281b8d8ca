/**
 * One person on the stage: picture or initials, name, and signs for speaking, muted and connection quality.
 */
import { h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { label, language, say, t } from '../common/i18n.js';

/** A picture is shown whole, with bars, if cropping would take more than this part of it: 16:9 just fits a square. */
const MAX_CROP = 0.44;
/** The widest picture of a camera here; a wider one is most likely a screen, whose edges matter. */
const CAMERA_MAX_WIDTH = 1280;

export class Tile {
  element;
  video;
  audio;
  #name = '';
  #parts;
  #isSelf;
  #contained = false;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {string} options.name
   * @param {boolean} [options.isSelf]
   * @param {() => void} options.onPin
   */
  constructor({ id, name, isSelf = false, onPin }) {
    this.#isSelf = isSelf;
    this.video = h('video', { muted: true, autoplay: true, playsInline: true });
    this.audio = isSelf ? null : h('audio', { autoplay: true });
    const bars = h('span.bars', { role: 'img' }, h('i'), h('i'), h('i'));
    const pinButton = h('button.tile-pin.icon-button', { type: 'button' }, icon('pin'));
    this.#parts = {
      avatar: h('div.avatar', { 'aria-hidden': 'true' }),
      name: h('span.tile-name'),
      muted: h('span.tile-muted', { hidden: true }, icon('micOff')),
      speaking: say(h('span.visually-hidden', { hidden: true }), 'tile.speaking'),
      status: h('p.tile-status', { hidden: true }, h('span.spinner', { 'aria-hidden': 'true' }), h('span')),
      notices: h('div.tile-notices', { role: 'status' }),
      badge: h('p.tile-badge', { hidden: true }),
      bars,
      pinButton,
    };
    label(this.#parts.muted, 'tile.muted');
    this.#parts.muted.setAttribute('role', 'img');
    this.element = h(
      'article.tile',
      { data: { participant: id }, onclick: onPin },
      this.video,
      this.#parts.avatar,
      this.#parts.status,
      this.#parts.notices,
      this.#parts.badge,
      h('footer.tile-plate', {}, this.#parts.muted, this.#parts.name, this.#parts.speaking, bars),
      pinButton,
    );
    if (this.audio) this.element.append(this.audio);
    if (isSelf) this.element.classList.add('self');
    this.element.style.setProperty('--hue', hueOf(id));
    this.setName(name);
    this.setPinned(false);
    this.setQuality(null);
    this.setVideoShown(false);
    this.video.addEventListener('resize', () => this.fit());
  }

  get name() {
    return this.#name;
  }

  setName(name) {
    this.#name = name;
    const shown = this.#isSelf ? t('tile.you', { name }) : name;
    this.#parts.name.textContent = shown;
    this.#parts.name.title = shown;
    this.element.setAttribute('aria-label', shown);
    this.#parts.avatar.textContent = initials(name);
  }

  /** @param {MediaStream | null} stream */
  setStream(stream) {
    for (const player of [this.video, this.audio]) {
      if (player && player.srcObject !== stream) player.srcObject = stream;
    }
  }

  /** Starts sound that the browser has stopped. @returns {Promise<boolean>} false when it wants a click first */
  async play() {
    this.video.play().catch(() => {});
    try {
      await this.audio?.play();
      return true;
    } catch (error) {
      return error.name !== 'NotAllowedError';
    }
  }

  /** Before the first picture is there, the initials stay. */
  setVideoShown(shown) {
    const hasPicture = this.#isSelf || this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.element.classList.toggle('no-video', !(shown && hasPicture));
  }

  setMirrored(mirrored) {
    this.element.classList.toggle('mirrored', mirrored);
  }

  setMuted(muted) {
    this.#parts.muted.hidden = !muted;
  }

  setSpeaking(speaks) {
    this.element.classList.toggle('speaking', speaks);
    this.#parts.speaking.hidden = !speaks;
  }

  /** @param {0 | 1 | 2 | 3 | null} quality */
  setQuality(quality) {
    const { bars } = this.#parts;
    bars.hidden = quality === null;
    if (quality === null || bars.dataset.quality === String(quality)) return;
    bars.dataset.quality = quality;
    label(bars, `quality.${quality}`);
    bars.title = t(`quality.${quality}`);
  }

  /** @param {string | null} key the text about the connection's state, or null */
  setStatus(key) {
    const { status } = this.#parts;
    status.hidden = key === null;
    if (key) say(status.lastElementChild, key);
  }

  /** @param {string[]} keys the texts about media of this person that cannot be shown or played here */
  setNotices(keys) {
    this.#parts.notices.replaceChildren(...keys.map((key) => say(h('p'), key, { name: this.#name })));
  }

  /**
   * Says how much of the video comes and why not more. It is no live region: a notice of the page says what people need to know at once.
   * @param {import('./quality-badge.js').Badge | null} badge
   */
  setBadge(badge) {
    const { badge: element } = this.#parts;
    const summary = badge ? JSON.stringify([badge, language()]) : '';
    if (element.dataset.shown === summary) return;
    element.dataset.shown = summary;
    element.hidden = badge === null;
    const parts = badge ? [badge.short, badge.long].filter(Boolean) : [];
    element.replaceChildren(...parts.map(({ key, values }, index) => say(h(index === 0 ? 'span.short' : 'span.long'), key, values)));
    element.title = parts.map(({ key, values }) => t(key, values)).join(' · ');
  }

  setPinned(pinned) {
    this.element.classList.toggle('pinned', pinned);
    this.#parts.pinButton.setAttribute('aria-pressed', String(pinned));
    label(this.#parts.pinButton, pinned ? 'tile.unpin' : 'tile.pin', { name: this.#name });
  }

  /** Shared screens are never cropped. */
  setContained(contained) {
    this.#contained = contained;
    this.fit();
  }

  /** @param {import('./tiling.js').Rect} rect */
  place({ x, y, width, height, floating = false }) {
    const { style, classList } = this.element;
    style.transform = `translate(${x}px, ${y}px)`;
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.setProperty('--size', `${Math.min(width, height)}px`);
    classList.toggle('floating', floating);
    classList.toggle('small', width < 180 || height < 110);
    this.fit(width / height);
  }

  fit(aspect = this.element.clientWidth / this.element.clientHeight) {
    const { videoWidth, videoHeight } = this.video;
    const ratio = videoWidth && videoHeight && aspect ? videoWidth / videoHeight / aspect : 1;
    const lost = 1 - Math.min(ratio, 1 / ratio);
    const { classList } = this.element;
    const isScreen = this.#contained || videoWidth > CAMERA_MAX_WIDTH;
    classList.toggle('contain', isScreen || classList.contains('pinned') || (lost > MAX_CROP && !classList.contains('floating')));
  }

  remove() {
    this.setStream(null);
    this.element.remove();
  }
}

/** One or two characters that stand for a name. @param {string} name */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  if (words.length === 0) return '?';
  const first = (word) => [...word][0] ?? '';
  const isHan = /\p{Script=Han}/u.test(words[0]);
  // People know a Chinese name by its last characters, which say more than the family name.
  if (isHan && words.length === 1) return [...words[0]].slice(-2).join('');
  return (words.length === 1 ? first(words[0]) : first(words[0]) + first(words.at(-1))).toUpperCase();
}

/** The same colour for the same person everywhere. */
export function hueOf(id) {
  let hash = 7;
  for (const character of String(id)) hash = (hash * 31 + character.codePointAt(0)) % 1009;
  return Math.round((hash * 137.5) % 360);
}
