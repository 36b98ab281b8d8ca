/**
 * Before the call: name, room and devices, with one's own picture.
 */
import { LevelMeter, loudness } from '../client/level-meter.js';
import { isFromElsewhere } from '../common/consent.js';
import { byId } from '../common/dom.js';
import { icon, setIcon } from '../common/icons.js';
import { label, say } from '../common/i18n.js';
import { remember, remembered } from '../common/preferences.js';
import { explainProblem } from './help-dialog.js';
import { hueOf, initials } from './tile.js';

const METER_MS = 60;

/**
 * @param {import('../client/local-media.js').LocalMedia} media
 * @param {{name: string, room: string}} entry the values that are known already
 * @returns {Promise<{name: string, room: string, pin: string}>} when the person joins; the PIN only of hosts
 */
export async function runLobby(media, entry) {
  const [name, room] = [byId('lobby-name'), byId('lobby-room')];
  name.value = entry.name || remembered('name');
  room.value = entry.room;
  (name.value && !room.value ? room : name).focus();

  const view = new Preview(media, () => name.value);
  name.addEventListener('input', () => view.showAvatar());
  const [isHost, pin] = [byId('lobby-host'), byId('lobby-pin')];
  const askPin = () => {
    byId('lobby-pin-field').hidden = !isHost.checked;
    pin.required = isHost.checked;
    pin.value = '';
    if (isHost.checked) pin.focus();
  };
  isHost.checked = false;
  isHost.addEventListener('change', askPin);
  if (!isFromElsewhere) media.open();

  return new Promise((resolve) => {
    byId('lobby-form').onsubmit = (event) => {
      event.preventDefault();
      if (!name.value.trim() || !room.value.trim()) return;
      view.close();
      remember('name', name.value.trim());
      remember('microphone', media.wanted.audio ? 'on' : 'off');
      remember('camera', media.wanted.video ? 'on' : 'off');
      const entered = isHost.checked ? pin.value.trim() : '';
      // Nobody needs it in the page any longer.
      pin.value = '';
      resolve({ name: name.value.trim(), room: room.value.trim(), pin: entered });
    };
  });
}

class Preview {
  #media;
  #nameOf;
  #meter = new LevelMeter();
  #timer;
  /** Nothing is opened before the first press. */
  #isUntouched = isFromElsewhere;
  #onChange = () => this.#show();
  #buttons = { audio: byId('preview-mic'), video: byId('preview-camera') };

  constructor(media, nameOf) {
    this.#media = media;
    this.#nameOf = nameOf;
    for (const [kind, button] of Object.entries(this.#buttons)) {
      button.replaceChildren(icon(kind === 'audio' ? 'mic' : 'camera'));
      button.onclick = () => this.#press(kind);
    }
    media.addEventListener('change', this.#onChange);
    this.#timer = setInterval(() => this.#showLevel(), METER_MS);
    this.#show();
  }

  close() {
    clearInterval(this.#timer);
    this.#meter.stop();
    this.#media.removeEventListener('change', this.#onChange);
    byId('preview-video').srcObject = null;
  }

  showAvatar() {
    const avatar = byId('preview-avatar');
    avatar.textContent = initials(this.#nameOf());
    avatar.style.setProperty('--hue', hueOf(this.#nameOf()));
  }

  async #press(kind) {
    const { wanted, tracks, problems } = this.#media;
    this.#isUntouched = false;
    if (wanted[kind] && tracks[kind]) {
      await this.#media.setWanted(kind, false);
      return;
    }
    await this.#media.setWanted(kind, true);
    const problem = problems[kind];
    if (problem) explainProblem(problem, () => this.#media.open());
  }

  #show() {
    const { tracks, wanted, problems } = this.#media;
    const video = byId('preview-video');
    const shown = wanted.video ? tracks.video : null;
    if (video.srcObject?.getVideoTracks()[0] !== shown) video.srcObject = shown && new MediaStream([shown]);
    video.parentElement.classList.toggle('no-video', !shown);
    this.showAvatar();
    this.#meter.listen(wanted.audio ? tracks.audio : null);

    const on = { audio: Boolean(wanted.audio && tracks.audio), video: Boolean(shown) };
    for (const [kind, button] of Object.entries(this.#buttons)) {
      const names = kind === 'audio' ? ['mic', 'mic.mute', 'mic.unmute', 'mic.problem'] : ['camera', 'camera.stop', 'camera.start', 'camera.problem'];
      setIcon(button.firstElementChild, on[kind] ? names[0] : `${names[0]}Off`);
      button.classList.toggle('off', !on[kind]);
      button.classList.toggle('problem', Boolean(problems[kind]));
      label(button, problems[kind] ? names[3] : on[kind] ? names[1] : names[2]);
    }
    const text = byId('preview-text');
    const problem = problems.video ?? problems.audio;
    if (problem) say(text, `help.${problem}.title`);
    else if (!shown && this.#isUntouched) say(text, 'lobby.elsewhere');
    else if (!shown) say(text, wanted.video ? 'lobby.asking' : 'lobby.cameraOff');
    else say(text, 'nothing');
  }

  #showLevel() {
    byId('meter-bar').style.transform = `scaleX(${loudness(this.#meter.level).toFixed(3)})`;
  }
}
