/**
 * A meeting, or a call, on the screen: puts the conference client, the devices and the parts of the screen together, and
 * carries out what the person asks for. MeetingEvents shows the events of the conference.
 */
import { SCREEN } from '../client/conference-wants.js';
import { VideoWants } from '../client/video-wants.js';
import { byId, covers } from '../common/dom.js';
import { label, onLanguageChange } from '../common/i18n.js';
import { Chat } from '../room/chat.js';
import { copyText } from '../room/clipboard.js';
import { DeviceNotices } from '../room/device-notices.js';
import { explainProblem } from '../room/help-dialog.js';
import { MoreMenu } from '../room/more-menu.js';
import { Notices } from '../room/notices.js';
import { Panels } from '../room/panels.js';
import { LowData } from '../room/low-data.js';
import { listenForShortcuts } from '../room/shortcuts.js';
import { Stage } from '../room/stage.js';
import { Toolbar } from '../room/toolbar.js';
import { keepAwake } from '../room/wake-lock.js';
import { showCalling, showMeeting, showWaiting } from './screens.js';
import { MeetingEvents } from './meeting-events.js';
import { PeopleList } from './people-list.js';
import { PictureQuality } from './picture-quality.js';

const PANELS = ['chat', 'people', 'settings'];
/** Pictures that stop are noticed this often. */
const LOOK_MS = 300;

export class Meeting {
  /** @type {import('../client/conference-client.js').ConferenceClient | null} */
  client = null;
  media;
  notices = new Notices();
  stage;
  chat;
  panels;
  people;
  /** @type {VideoWants | null} */
  wants = null;
  lowData;

  #toolbar;
  #menu;
  #deviceNotices;
  #title = '';
  #isOutgoing = false;
  #hasMet = false;
  #self = { id: '', track: null, stream: null };
  #timer = 0;
  /** @type {PictureQuality | null} */
  #pictureQuality = null;
  #sound = byId('sound');
  #resolve = () => {};

  /** @param {import('../client/local-media.js').LocalMedia} media */
  constructor(media) {
    this.media = media;
    const onLarge = (id) => this.wants?.setOnStage(id === null ? [] : [id]);
    this.stage = new Stage(byId('stage'), { onPinned: () => {}, onLarge });
    this.stage.setView('speaker');
    this.people = new PeopleList((ask) => this.attempt(ask));
    this.#toolbar = new Toolbar(byId('call'), (action, button) => this.act(action, button));
    this.#toolbar.setView('speaker');
    for (const button of document.querySelectorAll('#call [data-action="leave"]')) label(button, 'meet.leave');
    this.#menu = new MoreMenu(byId('more-menu'), (action) => this.act(action));
    this.panels = new Panels((open) => this.#panelChanged(open), PANELS);
    this.chat = new Chat({ onSend: (text) => this.#say(text), onUnread: (count) => this.#unreadChanged(count), emptyKey: 'meet.noMessages' });
    this.#deviceNotices = new DeviceNotices(media, this.notices);
    this.lowData = new LowData((lowData) => this.#lowDataChanged(lowData));
    media.addEventListener('change', () => this.#mediaChanged());
    listenForShortcuts((action) => this.act(action), () => this.client !== null && !byId('call').hidden);
    onLanguageChange(() => this.client && this.stage.self?.setName(this.client.name));
  }

  /**
   * Shows a conference into which the client has been let, and stays until it is over.
   * @param {import('../client/conference-client.js').ConferenceClient} client
   * @param {{title: string, isOutgoing: boolean}} about what it is called, and whether it rings at somebody
   * @returns {Promise<{reason: string, sentence: string, hasMet: boolean}>}
   */
  run(client, { title, isOutgoing }) {
    this.client = client;
    [this.#title, this.#isOutgoing, this.#hasMet] = [title, isOutgoing, false];
    byId('room-name').textContent = title;
    this.people.follow(client);
    this.wants = new VideoWants(client, { list: byId('stage') });
    this.#lowDataChanged(this.lowData);
    new MeetingEvents(this);
    this.#pictureQuality = new PictureQuality(this, () => this.#showLowData());
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    keepAwake(true);
    this.#mediaChanged();
    this.#unreadChanged(0);
    this.stateChanged();
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Called when the client has stopped. */
  ended(reason, sentence) {
    clearInterval(this.#timer);
    this.#pictureQuality.stop();
    keepAwake(false);
    this.client = null;
    this.#menu.close();
    this.panels.close();
    this.notices.clearAll();
    byId('toasts').replaceChildren();
    this.chat.clear();
    this.stage.clear();
    this.wants.close();
    this.wants = null;
    this.#self = { id: '', track: null, stream: null };
    this.#sound.srcObject = null;
    this.media.close();
    document.title = 'patchbay';
    this.#resolve({ reason, sentence, hasMet: this.#hasMet });
  }

  /** Shows the screen for what the client is doing now. */
  stateChanged() {
    const { client } = this;
    const others = [...client.people.values()].filter(({ id, isWaiting }) => id !== client.id && !isWaiting).length;
    this.#hasMet ||= others > 0;
    if (client.state === 'waiting') {
      showWaiting(this.#title, () => client.leave());
    } else if (this.#isOutgoing && !this.#hasMet) {
      showCalling(this.#title, () => client.leave());
    } else {
      showMeeting();
      this.#showSelf();
    }
    byId('call').classList.toggle('without-link', client.isCall || this.#isOutgoing);
    byId('alone').hidden = client.isCall || this.#isOutgoing || client.state !== 'inside' || others > 0;
    byId('people-count').textContent = Math.max(1, others + 1);
    byId('locked').hidden = !client.isLocked;
    this.people.render();
    // Whoever called one person has nobody to talk to any more.
    if (client.isCall && this.#hasMet && others === 0) client.leave();
  }

  /** @param {string} action see the page's `data-action` @param {HTMLElement} [button] */
  act(action, button) {
    const actions = {
      mic: () => this.#toggleMicrophone(),
      camera: () => this.#toggleDevice('video'),
      share: () => this.#toggleScreen(),
      view: () => this.#toggleView(),
      invite: () => this.#copyLink(),
      'low-data': () => this.#showLowData(),
      more: () => this.#menu.toggle(button, this.#menuState()),
      leave: () => this.client?.leave(),
      'close-panel': () => this.panels.close(),
      escape: () => this.#menu.close() || this.panels.close() || this.stage.unpin(),
    };
    (actions[action] ?? (() => this.panels.toggle(action)))();
  }

  /** Does something that the server may refuse, and says so. */
  async attempt(ask) {
    try {
      await ask();
      return true;
    } catch (error) {
      console.warn('patchbay: not done', error);
      this.notices.toast('meet.notDone');
      return false;
    }
  }

  /** Shows whose pictures come, and large who speaks or spoke last. */
  picturesChanged() {
    const { client, stage } = this;
    for (const [id, tile] of stage.tiles) {
      if (tile !== stage.self && id !== SCREEN) tile.setStream(client.pictureOf(id));
    }
    const speaker = client.speakers.find((id) => id !== client.id);
    stage.setSpeaker(client.shown.length > 1 && speaker ? speaker : client.shown[0]);
    this.#look();
  }

  /** Starts the sound of the others; the browser may want a click first. */
  async play() {
    if (this.#sound.srcObject !== this.client.sound) this.#sound.srcObject = this.client.sound;
    try {
      await this.#sound.play();
      this.notices.clear('playback');
    } catch (error) {
      if (error.name !== 'NotAllowedError') return;
      this.notices.set('playback', { key: 'playback.blocked', actionKey: 'playback.start', onAction: () => this.play() });
      document.addEventListener('pointerdown', () => this.client && this.play(), { once: true });
    }
  }

  /** @param {string} deviceId the device that plays the sound */
  setOutput(deviceId) {
    this.#sound.setSinkId?.(deviceId).catch((error) => console.warn('patchbay: output', error));
  }

  /** Whoever was muted by a host is heard again only if the server agrees. */
  async #toggleMicrophone() {
    const { client, media } = this;
    if (!media.sendingAudio && client.people.get(client.id)?.isMuted) {
      try {
        await client.commands.mute(client.id, false);
      } catch {
        this.notices.toast('meet.stillMuted');
        return;
      }
    }
    await this.#toggleDevice('audio');
  }

  async #toggleDevice(kind) {
    const { media } = this;
    if (media.wanted[kind] && media.tracks[kind]) {
      await media.setWanted(kind, false);
      return;
    }
    await media.setWanted(kind, true);
    const problem = media.problems[kind];
    if (problem) explainProblem(problem, () => media.open());
  }

  async #toggleScreen() {
    if (this.media.screenTrack) {
      this.media.stopScreen();
      return;
    }
    if (!this.media.canShareScreen) return;
    const problem = await this.media.startScreen();
    if (problem === 'deniedBySystem') explainProblem(problem, () => this.#toggleScreen());
    // A person who closes the browser's own picker has decided so; it is no fault.
    else if (problem && problem !== 'denied') this.notices.toast('share.failed');
  }

  #toggleView() {
    this.stage.setView(this.stage.view === 'grid' ? 'speaker' : 'grid');
    this.#toolbar.setView(this.stage.view);
  }

  /** Shows the switch for little data, with the keyboard on it. */
  #showLowData() {
    this.panels.show('settings');
    this.lowData.focus();
  }

  #lowDataChanged({ mode, layersMax }) {
    this.wants?.setLowData(mode);
    this.stage.setOnlyOne(mode === 'one');
    this.client?.limitLayers(layersMax);
  }

  async #copyLink() {
    const link = `${location.origin}/meet?${new URLSearchParams({ number: this.client.alias })}`;
    this.notices.toast((await copyText(link)) ? 'invite.copied' : 'invite.show', { link });
  }

  #say(text) {
    const { client } = this;
    if (client?.state !== 'inside') return false;
    this.attempt(async () => {
      await client.commands.say(text);
      this.chat.addText({ id: client.id, name: client.name, mine: true, at: new Date(), text });
    });
    return true;
  }

  #mediaChanged() {
    const { client, media } = this;
    const camera = media.wanted.video ? media.tracks.video : null;
    this.#toolbar.setMic({ on: Boolean(media.sendingAudio), problem: media.problems.audio });
    this.#toolbar.setCamera({ on: Boolean(camera), problem: media.problems.video });
    this.#toolbar.setShare({ on: Boolean(media.screenTrack), possible: media.canShareScreen });
    if (!client) return;
    client.setAudio(media.sendingAudio);
    client.setVideo(camera);
    this.#share();
    this.#showSelf();
    this.#deviceNotices.update();
  }

  #share() {
    const { client, media, notices } = this;
    const { screenTrack } = media;
    if (screenTrack && !client.isSharing) {
      this.attempt(() => client.setScreen(screenTrack)).then((isDone) => isDone || media.stopScreen());
      notices.set('sharing', { key: 'share.on', actionKey: 'share.stop', onAction: () => media.stopScreen() });
    } else if (!screenTrack && client.isSharing) {
      client.setScreen(null);
      notices.clear('sharing');
    }
  }

  #showSelf() {
    const { client, media, stage } = this;
    if (!client.id || byId('call').hidden) return;
    if (this.#self.id !== client.id) {
      if (this.#self.id) stage.remove(this.#self.id);
      this.#self.id = client.id;
      stage.add({ id: client.id, name: client.name, isSelf: true });
    }
    const track = media.wanted.video ? media.tracks.video : null;
    if (track !== this.#self.track) Object.assign(this.#self, { track, stream: track && new MediaStream([track]) });
    stage.self.setStream(this.#self.stream);
    stage.self.setVideoShown(track !== null);
    stage.self.setMirrored(track?.getSettings().facingMode !== 'environment');
    stage.self.setMuted(!media.sendingAudio || Boolean(client.people.get(client.id)?.isMuted));
  }

  /** A picture that stops gives way to initials. That of a screen stays, because it may be still, unless no picture is to come. */
  #look() {
    const { client, stage, lowData } = this;
    for (const [id, tile] of stage.tiles) {
      if (tile !== stage.self) tile.setVideoShown(id === SCREEN ? lowData.mode !== 'sound' : client.hasPictureOf(id));
    }
  }

  #panelChanged(open) {
    this.#toolbar.setPanel(open);
    this.chat.setOpen(open === 'chat');
    // On a phone the panel lies over everybody.
    this.wants?.setCovered(open !== null && covers(byId('panel'), byId('stage')));
  }

  #unreadChanged(count) {
    this.#toolbar.setUnread(count);
    document.title = this.client ? `${count > 0 ? `(${count}) ` : ''}${this.#title} · patchbay` : 'patchbay';
  }

  #menuState() {
    const { screenTrack, canShareScreen: canShare } = this.media;
    return { sharing: Boolean(screenTrack), canShare, canInvite: !this.client.isCall, view: this.stage.view, hasStats: false };
  }
}
