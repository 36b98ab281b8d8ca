/**
 * The call: puts the room client, the devices and the parts of the screen together, and carries out what the
 * person asks for. CallEvents shows the events of the room.
 */
import { StatsMonitor } from '../client/stats-monitor.js';
import { VideoWants } from '../client/video-wants.js';
import { byId, covers } from '../common/dom.js';
import { onLanguageChange } from '../common/i18n.js';
import { Activity } from './activity.js';
import { CallEvents } from './call-events.js';
import { Chat } from './chat.js';
import { copyText } from './clipboard.js';
import { DeviceNotices } from './device-notices.js';
import { inviteLink, isChannel } from './entry.js';
import { FileTransfer } from './file-transfer.js';
import { explainProblem } from './help-dialog.js';
import { HostDecisions } from './host-decisions.js';
import { LowData } from './low-data.js';
import { MoreMenu } from './more-menu.js';
import { Notices } from './notices.js';
import { Panels } from './panels.js';
import { PeoplePanel } from './people-panel.js';
import { listenForShortcuts } from './shortcuts.js';
import { SlowNetwork } from './slow-network.js';
import { Stage } from './stage.js';
import { StatsPanel } from './stats-panel.js';
import { Toolbar } from './toolbar.js';
import { keepAwake } from './wake-lock.js';

export class Call {
  client;
  media;
  notices = new Notices();
  stage;
  chat;
  people;
  panels;
  lowData;
  wants;
  slowNetwork;

  #entry;
  #monitor;
  #activity;
  #toolbar;
  #menu;
  #statsPanel;
  #deviceNotices;
  #decisions;
  #running = false;
  #resolve = () => {};
  #selfStream = { track: null, stream: null };
  #output = '';

  /**
   * @param {object} options
   * @param {import('../client/room-client.js').RoomClient} options.client
   * @param {import('../client/local-media.js').LocalMedia} options.media
   * @param {ReturnType<import('./entry.js').readEntry>} options.entry
   */
  constructor({ client, media, entry }) {
    Object.assign(this, { client, media });
    this.#entry = entry;
    this.wants = new VideoWants(client, { list: byId('stage') });
    const onLarge = (id) => this.wants.setOnStage(id === null ? [] : [id]);
    this.stage = new Stage(byId('stage'), { onPinned: () => this.people.render(), onLarge });
    this.people = new PeoplePanel({
      client,
      onPin: (id) => this.stage.togglePin(id),
      isPinned: (id) => this.stage.pinned === id,
    });
    this.#toolbar = new Toolbar(byId('call'), (action, button) => this.act(action, button));
    this.#menu = new MoreMenu(byId('more-menu'), (action) => this.act(action));
    this.panels = new Panels((open) => this.#panelChanged(open));
    this.chat = new Chat({ onSend: (text) => client.sendText(text), onUnread: (count) => this.#unreadChanged(count) });
    new FileTransfer(this.chat, (file) => client.announceFile(file));
    this.lowData = new LowData((lowData) => this.#lowDataChanged(lowData));
    this.slowNetwork = new SlowNetwork({ notices: this.notices, onLessData: () => this.#showLowData() });
    this.#monitor = new StatsMonitor(client);
    this.#statsPanel = new StatsPanel({ client, monitor: this.#monitor, onCopy: () => this.#copyStats() });
    this.#decisions = new HostDecisions({ client, media, notices: this.notices });
    const onMutedTalk = () => this.#decisions.forbids('audio') || this.notices.toast('toast.mutedTalk');
    this.#activity = new Activity({ client, media, stage: this.stage, onMutedTalk });
    this.#deviceNotices = new DeviceNotices(media, this.notices);
    new CallEvents(this, this.#monitor);
    media.addEventListener('change', () => this.#mediaChanged());
    listenForShortcuts((action) => this.act(action), () => this.#running);
    onLanguageChange(() => this.stage.self?.setName(client.name));
  }

  /**
   * Enters the room and stays until it is over.
   * @param {{password?: string, userId?: string}} options
   * @returns {Promise<string>} why it ended: `left`, or a reason of the room client's `refused`
   */
  run(options) {
    this.#running = true;
    byId('room-name').textContent = this.#title();
    byId('call').classList.toggle('without-link', isChannel(this.client.room));
    this.stage.add({ id: options.userId ?? this.client.userId, name: this.client.name, isSelf: true });
    this.client.join(options);
    this.#monitor.start();
    this.#activity.start();
    keepAwake(true);
    this.#mediaChanged();
    this.people.render();
    this.#unreadChanged(0);
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Called when the room client has stopped. */
  ended(reason) {
    if (!this.#running) return;
    this.#running = false;
    this.#monitor.stop();
    this.#activity.stop();
    keepAwake(false);
    this.#menu.close();
    this.panels.close();
    this.notices.clearAll();
    this.stage.clear();
    document.title = 'patchbay';
    this.#resolve(reason);
  }

  /** @param {string} action see the page's `data-action` @param {HTMLElement} [button] */
  act(action, button) {
    const actions = {
      mic: () => this.#toggleDevice('audio'),
      camera: () => this.#toggleDevice('video'),
      share: () => this.#toggleScreen(),
      view: () => this.#toggleView(),
      invite: () => this.#invite(),
      'low-data': () => this.#showLowData(),
      more: () => this.#menu.toggle(button, this.#menuState()),
      leave: () => this.client.leave(),
      'close-panel': () => this.panels.close(),
      escape: () => this.#menu.close() || this.panels.close() || this.stage.unpin(),
    };
    (actions[action] ?? (() => this.panels.toggle(action)))();
  }

  /** Starts everybody's sound; the browser may want a click first. */
  async play(tiles = this.stage.tiles.values()) {
    const results = await Promise.all([...tiles].map((tile) => tile.play()));
    if (results.every(Boolean)) {
      this.notices.clear('playback');
      return;
    }
    this.notices.set('playback', { key: 'playback.blocked', actionKey: 'playback.start', onAction: () => this.play() });
    document.addEventListener('pointerdown', () => this.play(), { once: true });
  }

  /** @param {string} deviceId the device that plays the sound */
  setOutput(deviceId) {
    this.#output = deviceId;
    for (const tile of this.stage.tiles.values()) this.routeSound(tile);
  }

  routeSound({ audio }) {
    if (audio?.setSinkId && this.#output) audio.setSinkId(this.#output).catch((error) => console.warn('patchbay: output', error));
  }

  /** Call when the number of people has changed. */
  populationChanged() {
    this.people.render();
    byId('alone').hidden = this.client.state !== 'joined' || this.client.participants.size > 0;
  }

  /** Call when hosts have decided something about this person. */
  decided(before) {
    this.#decisions.changed(before);
    this.#mediaChanged();
    this.people.render();
  }

  /** Shows the switch for little data, with the keyboard on it. */
  #showLowData() {
    this.panels.show('settings');
    this.lowData.focus();
  }

  #lowDataChanged({ mode, layersMax }) {
    this.wants.setLowData(mode);
    this.stage.setOnlyOne(mode === 'one');
    this.client.limitLayers(layersMax);
  }

  async #toggleDevice(kind) {
    const { media } = this;
    if (media.wanted[kind] && media.tracks[kind]) {
      await media.setWanted(kind, false);
      return;
    }
    if (this.#decisions.forbids(kind)) return;
    await media.setWanted(kind, true);
    const problem = media.problems[kind];
    if (problem) explainProblem(problem, () => media.open());
  }

  async #toggleScreen() {
    if (this.media.screenTrack) {
      this.media.stopScreen();
      return;
    }
    if (!this.media.canShareScreen || this.#decisions.forbids('video')) return;
    const problem = await this.media.startScreen();
    if (problem === 'deniedBySystem') explainProblem(problem, () => this.#toggleScreen());
    // A person who closes the browser's own picker has decided so; it is no fault.
    else if (problem && problem !== 'denied') this.notices.toast('share.failed');
  }

  #toggleView() {
    this.stage.setView(this.stage.view === 'grid' ? 'speaker' : 'grid');
    this.#toolbar.setView(this.stage.view);
  }

  async #invite() {
    const link = inviteLink({ ...this.#entry, room: this.client.room });
    const isPhone = matchMedia('(max-width: 760px) and (pointer: coarse)').matches;
    if (isPhone && navigator.share) {
      await navigator.share({ title: this.#title(), url: link }).catch(() => {});
    } else {
      this.notices.toast((await copyText(link)) ? 'invite.copied' : 'invite.show', { link });
    }
  }

  async #copyStats() {
    const text = JSON.stringify(await globalThis.patchbay.snapshot(), null, 2);
    this.notices.toast((await copyText(text)) ? 'stats.copied' : 'stats.copyFailed');
  }

  #mediaChanged() {
    const { client, media, notices } = this;
    const on = { audio: Boolean(media.sendingAudio), video: Boolean(media.wanted.video && media.tracks.video) };
    const { muted } = client.own;
    this.#toolbar.setMic({ on: on.audio, problem: media.problems.audio, isForbidden: muted.audio });
    this.#toolbar.setCamera({ on: on.video, problem: media.problems.video, isForbidden: muted.video });
    this.#toolbar.setShare({ on: Boolean(media.screenTrack), possible: media.canShareScreen });
    if (!this.#running) return;
    client.setAudio(media.sendingAudio);
    client.setVideo(media.sendingVideo, { screen: Boolean(media.screenTrack) });
    this.#showSelf();
    this.#deviceNotices.update();
    if (media.screenTrack) {
      notices.set('sharing', { key: 'share.on', actionKey: 'share.stop', onAction: () => media.stopScreen() });
    } else {
      notices.clear('sharing');
    }
  }

  #showSelf() {
    const tile = this.stage.self;
    if (!tile) return;
    const track = this.media.sendingVideo;
    if (track !== this.#selfStream.track) this.#selfStream = { track, stream: track && new MediaStream([track]) };
    const isScreen = track !== null && track === this.media.screenTrack;
    tile.setStream(this.#selfStream.stream);
    tile.setVideoShown(track !== null);
    tile.setMirrored(!isScreen && track?.getSettings().facingMode !== 'environment');
    tile.setContained(isScreen);
    tile.setMuted(!this.media.sendingAudio);
  }

  #panelChanged(open) {
    this.#toolbar.setPanel(open);
    this.chat.setOpen(open === 'chat');
    this.#statsPanel.setOpen(open === 'stats');
    // On a phone the panel lies over everybody.
    this.wants.setCovered(open !== null && covers(byId('panel'), byId('stage')));
  }

  #unreadChanged(count) {
    this.#toolbar.setUnread(count);
    document.title = `${count > 0 ? `(${count}) ` : ''}${this.#title()} · patchbay`;
  }

  #menuState() {
    const { screenTrack, canShareScreen: canShare } = this.media;
    return { sharing: Boolean(screenTrack), canShare, canInvite: !isChannel(this.client.room), view: this.stage.view };
  }

  #title() {
    return this.#entry.roomTitle || this.client.room;
  }
}
