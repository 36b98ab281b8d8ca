/**
 * Shows the events of the room: people, their streams, chat, and the state of the connections.
 */
import { badgeFor } from './quality-badge.js';
import { connectionStatus } from './stage.js';

/** People who come back within this time were only reconnecting: nothing is shown for that. */
const RETURN_MS = 4000;
/** A connection that is made faster than this needs no notice. */
const QUICK_MS = 800;
/** A connection to the server that is back within this time needs none either, because the call goes on. */
const CUT_MS = 3000;
/** The close codes with which the server says that it stops or starts again. */
const CLOSE_RESTARTING = [1001, 1012];
/** After this many attempts it no longer counts as a restart. */
const RESTART_ATTEMPTS = 6;
const TOAST_TEXT = 120;

export class CallEvents {
  #call;
  #leaving = new Map();
  #connectingTimer = 0;
  #cutTimer = 0;
  #wasJoined = false;
  #isRestarting = false;
  /** The problem that keeps media from being connected. */
  #problem = null;

  /** @param {import('./call.js').Call} call @param {import('../client/stats-monitor.js').StatsMonitor} monitor */
  constructor(call, monitor) {
    this.#call = call;
    const on = (type, handler) => call.client.addEventListener(type, ({ detail }) => handler(detail));
    on('state', (detail) => this.#state(detail));
    on('cut', ({ isCut }) => this.#cut(isCut));
    on('refused', ({ reason }) => call.ended(reason));
    on('participantjoined', (detail) => this.#joined(detail));
    on('participantleft', (detail) => this.#left(detail));
    on('stream', ({ participant }) => this.#stream(participant));
    on('connection', ({ participant }) => this.#connection(participant));
    on('speakers', ({ ids }) => this.#speakers(ids));
    on('own', ({ before }) => call.decided(before));
    on('decoding', ({ participant }) => this.#decoding(participant));
    on('text', (detail) => this.#text(detail));
    on('file', (detail) => this.#file(detail));
    on('unrecognized', ({ message }) => console.warn('patchbay: the server did not accept', message));
    monitor.addEventListener('sample', () => this.#sample(monitor));
  }

  #state({ state, attempt, code }) {
    const { notices, client } = this.#call;
    clearTimeout(this.#connectingTimer);
    this.#cut(false);
    this.#problem = null;
    if (state === 'joined') {
      notices.clear('connection');
      if (this.#wasJoined) notices.toast('connection.back');
      this.#wasJoined = true;
      this.#isRestarting = false;
    } else if (state === 'reconnecting' || (state === 'connecting' && attempt)) {
      this.#isRestarting = attempt < RESTART_ATTEMPTS && (this.#isRestarting || CLOSE_RESTARTING.includes(code));
      const lost = this.#isRestarting ? 'connection.restarting' : 'connection.lost';
      const key = state === 'connecting' ? 'connection.unreachable' : lost;
      notices.set('connection', { key, busy: true, actionKey: 'connection.retry', onAction: () => client.retryNow() });
      for (const id of client.participants.keys()) this.#call.stage.tiles.get(id)?.setStatus('tile.reconnecting');
    } else if (state === 'connecting') {
      this.#connectingTimer = setTimeout(() => notices.set('connection', { key: 'connection.connecting', busy: true }), QUICK_MS);
    } else {
      this.#wasJoined = false;
      if (state === 'left') this.#call.ended('left');
    }
    this.#call.populationChanged();
  }

  /** The connection to the server is lost, while the call goes on; or it is there again. */
  #cut(isCut) {
    const { notices, client } = this.#call;
    clearTimeout(this.#cutTimer);
    const notice = { key: 'connection.interrupted', busy: true, actionKey: 'connection.retry', onAction: () => client.retryNow() };
    if (isCut) this.#cutTimer = setTimeout(() => notices.set('interruption', notice), CUT_MS);
    else notices.clear('interruption');
  }

  #joined({ participant, initial }) {
    const { stage, notices } = this.#call;
    const { id, name } = participant;
    const tile = stage.add({ id, name });
    tile.setStatus('tile.connecting');
    tile.setSpeaking(this.#call.client.speakers.includes(id));
    this.#call.wants.watch(id, tile.video);
    this.#call.routeSound(tile);
    this.#call.populationChanged();
    const returned = this.#leaving.get(id);
    clearTimeout(returned);
    this.#leaving.delete(id);
    if (!initial && !returned) notices.toast('toast.joined', { name });
  }

  #left({ participant: { id, name } }) {
    const { stage, notices, client } = this.#call;
    this.#call.wants.unwatch(id);
    stage.remove(id);
    this.#call.populationChanged();
    if (client.state !== 'joined') return;
    const timer = setTimeout(() => {
      this.#leaving.delete(id);
      if (client.state === 'joined') notices.toast('toast.left', { name });
    }, RETURN_MS);
    this.#leaving.set(id, timer);
  }

  #stream(participant) {
    const tile = this.#call.stage.tiles.get(participant.id);
    if (!tile) return;
    tile.setStream(participant.stream);
    tile.video.requestVideoFrameCallback?.(() => participant.sawFrame());
    this.#call.play([tile]);
  }

  #connection(participant) {
    const { stage, notices, client } = this.#call;
    if (client.state !== 'joined') return;
    if (participant) {
      this.#decoding(participant);
      stage.tiles.get(participant.id)?.setStatus(connectionStatus(participant));
    }
    const peers = [client.publisher, ...client.participants.values()];
    const problem = peers.find((peer) => peer?.problem)?.problem ?? null;
    if (problem !== this.#problem) {
      this.#problem = problem;
      if (problem) notices.set('connection', { key: `reach.${problem}`, closable: true });
      else notices.clear('connection');
    }
    if (participant || problem) return;
    const state = client.publisher?.state;
    if (state === 'disconnected' || state === 'failed') notices.set('connection', { key: 'connection.media', busy: true });
    else if (state === 'connected') notices.clear('connection');
  }

  #speakers(ids) {
    const { stage } = this.#call;
    for (const [id, tile] of stage.tiles) tile.setSpeaking(ids.includes(id));
  }

  /** Says whose picture or sound comes in a format that this browser lacks: silence would look like a fault of theirs. */
  #decoding({ id, undecodable }) {
    const keys = [];
    if (undecodable.video !== null) keys.push('tile.cannotShow');
    if (undecodable.audio !== null) keys.push('tile.cannotPlay');
    this.#call.stage.tiles.get(id)?.setNotices(keys);
  }

  #text(message) {
    const { chat, panels, notices } = this.#call;
    chat.addText(message);
    if (message.mine || panels.open === 'chat') return;
    const text = message.text.length > TOAST_TEXT ? `${message.text.slice(0, TOAST_TEXT)}…` : message.text;
    notices.toast('chat.toast', { name: message.name, text }, { onClick: () => panels.show('chat') });
  }

  #file(file) {
    const { chat, panels, notices } = this.#call;
    chat.addFile(file);
    if (file.mine || panels.open === 'chat') return;
    notices.toast('file.toast', { name: file.name, file: file.fileName }, { onClick: () => panels.show('chat') });
  }

  #sample(monitor) {
    const { stage, client, lowData, slowNetwork, people, wants } = this.#call;
    stage.self?.setQuality(client.state === 'joined' ? monitor.ownQuality : null);
    const now = performance.now();
    let sharer = null;
    for (const [id, { quality, isScreen, videoQuality }] of client.participants) {
      const tile = stage.tiles.get(id);
      tile?.setQuality(quality ?? null);
      tile?.setContained(isScreen);
      tile?.setBadge(badgeFor(videoQuality, { now, wantedSince: wants.wantedSince(id) }));
      if (isScreen) sharer = id;
    }
    stage.setSharer(sharer);
    people.showPaused();
    const seen = { own: monitor.own, people: [...client.participants.values()], hasLowData: lowData.isOn };
    if (client.state === 'joined') slowNetwork.look(seen);
  }
}
