/**
 * The screen of a call between two: the other person large, oneself small, and the state in words. A driver stands for
 * the kind of call (a call by name, a room of two):
 *
 * - `state`, `peerName`, `audioOnly`, `media` ({pc, state, stats, sample()} | null): of the media that arrive
 * - `start()`, `hangUp()`, `accept?()`, `refuse?()`, `setAudio(track)`, `setVideo(track)`
 * - `problem`: why no media have arrived so far, or null
 * - `undecodable` {audio, video}: the formats from the other side that cannot be decoded here, or null
 * - events `state` {state, reason?}, `stream` {stream}, `problem`, `away` {who} and `decoding`, as the call client has
 *   them
 */
import { quality } from '../client/quality.js';
import { h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { label, languageSwitch, onLanguageChange, say, t } from '../common/i18n.js';
import { listenForShortcuts } from '../room/shortcuts.js';
import { hueOf, initials } from '../room/tile.js';
import { Toolbar } from '../room/toolbar.js';
import { keepAwake } from '../room/wake-lock.js';

const SAMPLE_MS = 1000;
/** A picture is shown whole, with bars, if cropping would take more than this part of it. */
const MAX_CROP = 0.44;
const BUSY_STATES = ['connecting', 'calling', 'ringing', 'starting', 'waiting'];

export class CallScreen {
  #driver;
  #media;
  #parts;
  #toolbar;
  #timer = 0;
  #since = 0;
  #texts;
  #selfStream = { track: null, stream: null };

  /**
   * @param {HTMLElement} root
   * @param {object} driver see above
   * @param {import('../client/local-media.js').LocalMedia} media
   * @param {object} texts the sentences: `states` and `endings` map a state or reason to a key; `again` maps a reason to
   *        the key of a button that starts anew, or nothing; `invite` is a link to show while waiting
   */
  constructor(root, driver, media, texts) {
    this.#driver = driver;
    this.#media = media;
    this.#texts = texts;
    this.#build(root);
    this.#toolbar = new Toolbar(root, (action) => this.#act(action));
    label(this.#parts.hangUp, 'call.hangUp');
    driver.addEventListener('state', ({ detail }) => this.#stateChanged(detail));
    driver.addEventListener('problem', () => this.#showHint());
    driver.addEventListener('away', ({ detail }) => this.#awayChanged(detail.who));
    driver.addEventListener('stream', ({ detail }) => this.#streamChanged(detail.stream));
    driver.addEventListener('decoding', () => this.#decodingChanged());
    media.addEventListener('change', () => this.#mediaChanged());
    listenForShortcuts((action) => this.#act(action), () => driver.state !== 'ended');
    onLanguageChange(() => this.#nameChanged());
  }

  start() {
    this.#nameChanged();
    this.#mediaChanged();
    this.#driver.start();
  }

  #build(root) {
    const button = (action, classes = '') => h(`button.control${classes}`, { type: 'button', data: { action } });
    const parts = {
      root,
      remote: h('video.remote', { autoplay: true, playsInline: true }),
      avatar: h('div.call-avatar', { 'aria-hidden': 'true' }),
      name: h('h1.call-name', { tabIndex: -1 }),
      status: h('p.call-status', { role: 'status' }),
      hint: h('p.call-hint'),
      actions: h('div.call-actions'),
      peerName: h('span.call-peer'),
      time: h('span.call-time', { role: 'timer' }),
      bars: h('span.bars', { role: 'img', hidden: true }, h('i'), h('i'), h('i')),
      muted: h('span.call-muted', { role: 'img', hidden: true }, icon('micOff')),
      language: h('select.input.language'),
      self: h('video.self', { autoplay: true, playsInline: true, muted: true }),
      selfOff: h('div.self-off', { 'aria-hidden': 'true' }, icon('cameraOff')),
      note: h('p.call-note', { role: 'status', hidden: true }),
      away: h('p.call-note.call-away', { role: 'status', hidden: true }),
      decodingNote: h('p.call-note.decoding', { role: 'status', hidden: true }),
      camera: button('camera'),
      hangUp: button('leave', '.leave'),
    };
    this.#parts = parts;
    label(parts.language, 'language');
    languageSwitch(parts.language);
    label(parts.muted, 'call.muted');
    parts.camera.hidden = this.#driver.audioOnly;
    parts.selfBox = h('div.self-box', {}, parts.self, parts.selfOff);
    root.className = 'call-screen';
    root.classList.toggle('audio-only', this.#driver.audioOnly);
    root.replaceChildren(
      parts.remote,
      h('header.call-top', {}, h('div.call-plate', {}, parts.peerName, parts.muted, parts.bars, parts.time), parts.language),
      h('section.call-center', {}, parts.avatar, parts.name, parts.status, parts.hint, parts.actions),
      parts.selfBox,
      parts.note,
      parts.away,
      parts.decodingNote,
      h('div.call-controls', { role: 'toolbar' }, button('mic'), parts.camera, parts.hangUp),
    );
    label(root.querySelector('.call-controls'), 'toolbar.label');
    parts.remote.addEventListener('resize', () => this.#fit());
    addEventListener('resize', () => this.#fit());
  }

  #act(action) {
    if (action === 'mic') this.#toggle('audio');
    else if (action === 'camera' && !this.#driver.audioOnly) this.#toggle('video');
    else if (action === 'leave') this.#driver.hangUp();
  }

  #toggle(kind) {
    const { wanted, problems } = this.#media;
    if (problems[kind] && wanted[kind]) this.#media.open();
    else this.#media.setWanted(kind, !wanted[kind]);
  }

  #stateChanged({ state, reason }) {
    const { root, actions, time, bars, muted } = this.#parts;
    this.#nameChanged();
    this.#decodingChanged();
    root.dataset.state = state;
    root.dataset.reason = reason ?? '';
    const key = state === 'ended' ? this.#texts.endings[reason] ?? this.#texts.endings.failed : this.#texts.states[state];
    say(this.#parts.status, key ?? 'nothing', this.#values());
    root.classList.toggle('busy', BUSY_STATES.includes(state));
    actions.replaceChildren(...this.#buttonsFor(state, reason));
    actions.querySelector('.primary')?.focus();
    this.#showHint();
    keepAwake(state !== 'ended');
    if (state === 'talking') {
      this.#since = performance.now();
      this.#timer ||= setInterval(() => this.#tick(), SAMPLE_MS);
      this.#tick();
    } else {
      clearInterval(this.#timer);
      this.#timer = 0;
      time.textContent = '';
      bars.hidden = muted.hidden = true;
      root.classList.remove('has-picture');
    }
    if (state === 'ended') this.#media.close();
  }

  /** Shows below the state the link to send while nobody is there, or the problem between the two. */
  #showHint() {
    const { hint } = this.#parts;
    const { state, problem } = this.#driver;
    if (state === 'waiting' && this.#texts.invite) {
      delete hint.dataset.i18n;
      hint.textContent = this.#texts.invite;
    } else {
      say(hint, state === 'starting' && problem ? `reach.${problem}` : 'nothing');
    }
  }

  #buttonsFor(state, reason) {
    const button = (key, classes, onclick) => say(h(`button.button${classes}`, { type: 'button', onclick }), key);
    if (state === 'ringing' && this.#driver.accept) {
      return [
        button('call.accept', '.primary', () => this.#driver.accept()),
        button('call.refuse', '.danger', () => this.#driver.refuse()),
      ];
    }
    if (state !== 'ended') return [];
    const again = this.#texts.again(reason);
    const home = say(h('a.button.plain', { href: '/' }), 'notice.home');
    return again ? [button(again, '.primary', () => this.#again()), home] : [home];
  }

  async #again() {
    await this.#media.open();
    this.#driver.start();
  }

  #streamChanged(stream) {
    const { remote } = this.#parts;
    if (remote.srcObject !== stream) remote.srcObject = stream;
    remote.play().catch((error) => error.name === 'NotAllowedError' && this.#offerSound());
  }

  /** Some browsers want a click before they play sound. */
  #offerSound() {
    const { actions, remote } = this.#parts;
    const start = say(h('button.button.primary', { type: 'button' }), 'playback.start');
    start.addEventListener('click', () => {
      remote.play().catch(() => {});
      start.remove();
    });
    actions.replaceChildren(start);
  }

  #mediaChanged() {
    const parts = this.#parts;
    const { problems, wanted, sendingAudio, sendingVideo } = this.#media;
    this.#toolbar.setMic({ on: wanted.audio && !problems.audio, problem: wanted.audio ? problems.audio : null });
    this.#toolbar.setCamera({ on: wanted.video && !problems.video, problem: wanted.video ? problems.video : null });
    this.#driver.setAudio(sendingAudio);
    if (!this.#driver.audioOnly) this.#driver.setVideo(sendingVideo);
    if (this.#selfStream.track !== sendingVideo) {
      this.#selfStream = { track: sendingVideo, stream: sendingVideo && new MediaStream([sendingVideo]) };
      parts.self.srcObject = this.#selfStream.stream;
    }
    parts.selfBox.classList.toggle('off', !sendingVideo);
    const kinds = ['audio', 'video'].filter((kind) => problems[kind] && wanted[kind]);
    parts.note.hidden = kinds.length === 0;
    if (kinds.length) {
      const names = { audio: 'devices.microphone', video: 'devices.camera' };
      const devices = kinds.map((kind) => t(names[kind])).join(t('and'));
      say(parts.note, 'problem.line', { devices, reason: t(`problem.${problems[kinds[0]]}`) });
    }
  }

  /** @param {'self' | 'other' | null} who */
  #awayChanged(who) {
    const { away } = this.#parts;
    away.hidden = who === null;
    if (who) say(away, who === 'self' ? 'call.reconnecting' : 'call.otherLost', this.#values());
  }

  /** Says which media from the other side this browser cannot show or play: silence would look like a fault of theirs. */
  #decodingChanged() {
    const { decodingNote } = this.#parts;
    const { audio, video } = this.#driver.undecodable;
    decodingNote.hidden = this.#driver.state === 'ended' || (audio === null && video === null);
    if (!decodingNote.hidden) say(decodingNote, video === null ? 'tile.cannotPlay' : 'tile.cannotShow', this.#values());
  }

  async #tick() {
    const parts = this.#parts;
    const seconds = Math.floor((performance.now() - this.#since) / 1000);
    parts.time.textContent = clock(seconds);
    const { media } = this.#driver;
    const stats = await media?.sample();
    if (this.#driver.state !== 'talking' || !stats) return;
    const now = quality(stats, media.state);
    parts.bars.hidden = now === null;
    if (now !== null && parts.bars.dataset.quality !== String(now)) {
      parts.bars.dataset.quality = now;
      label(parts.bars, `quality.${now}`);
    }
    parts.muted.hidden = (stats.audio?.packetsPerSecond ?? 0) > 0 || seconds < 3;
    const hasPicture = (stats.video?.packetsPerSecond ?? 0) > 0 && parts.remote.videoWidth > 0;
    parts.root.classList.toggle('has-picture', hasPicture);
    this.#fit();
  }

  /** A picture whose shape differs from the screen's is cropped a little, or shown whole. */
  #fit() {
    const { remote } = this.#parts;
    const shown = remote.clientWidth / remote.clientHeight;
    const ratio = remote.videoWidth && shown ? remote.videoWidth / remote.videoHeight / shown : 1;
    remote.classList.toggle('contain', 1 - Math.min(ratio, 1 / ratio) > MAX_CROP);
  }

  #nameChanged() {
    const { name, peerName, avatar } = this.#parts;
    const shown = this.#driver.peerName || t('call.other');
    name.textContent = peerName.textContent = shown;
    avatar.replaceChildren(this.#driver.peerName ? initials(shown) : icon('people'));
    avatar.style.setProperty('--hue', hueOf(shown));
    document.title = `${shown} · patchbay`;
  }

  #values() {
    return { name: this.#driver.peerName || t('call.other') };
  }
}

/** `0:07`, `12:34`, `1:02:03`. */
function clock(seconds) {
  const two = (number) => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
