/**
 * Figures of every connection, for people who want to know its state and the reasons.
 */
import { byId, h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { locale, say, t } from '../common/i18n.js';

export class StatsPanel {
  #root = byId('panel-stats');
  #cards = new Map();
  #list = h('div.stats-list');
  #client;
  #monitor;
  #isOpen = false;

  /** @param {{client: object, monitor: import('../client/stats-monitor.js').StatsMonitor, onCopy: () => void}} options */
  constructor({ client, monitor, onCopy }) {
    this.#client = client;
    this.#monitor = monitor;
    const copy = h('button.button.small', { type: 'button', onclick: onCopy }, icon('copy'), say(h('span'), 'stats.copy'));
    this.#root.append(this.#list, copy);
    monitor.addEventListener('sample', () => this.#isOpen && this.#render());
  }

  setOpen(open) {
    this.#isOpen = open;
    if (open) this.#render();
  }

  #render() {
    const { publisher, participants, name } = this.#client;
    const entries = [['', t('stats.sending', { name }), this.#monitor.own, publisher]];
    for (const one of participants.values()) entries.push([one.id, one.name, one.stats, one]);
    for (const [id, title, stats, peer] of entries) this.#card(id).update(title, rowsOf(stats, peer, this.#client.wantedHeight(id)));
    const current = new Set(entries.map(([id]) => id));
    for (const [id, card] of this.#cards) {
      if (current.has(id)) continue;
      card.element.remove();
      this.#cards.delete(id);
    }
  }

  #card(id) {
    if (!this.#cards.has(id)) {
      const card = new Card();
      this.#cards.set(id, card);
      this.#list.append(card.element);
    }
    return this.#cards.get(id);
  }
}

/** One connection. Only the texts that changed are touched: people select and copy from here. */
class Card {
  element;
  #title = h('h3');
  #rows = h('dl');

  constructor() {
    this.element = h('section.stats-card', {}, this.#title, this.#rows);
  }

  update(title, rows) {
    if (this.#title.textContent !== title) this.#title.textContent = title;
    const known = [...this.#rows.children];
    rows.forEach(([key, value], index) => {
      const row = known[index] ?? this.#rows.appendChild(h('div', {}, h('dt'), h('dd')));
      const [term, detail] = row.children;
      if (term.dataset.i18n !== key) say(term, key);
      if (detail.textContent !== value) detail.textContent = value;
    });
    known.slice(rows.length).forEach((row) => row.remove());
  }
}

function rowsOf(stats, peer, wantedHeight) {
  const state = peer?.state ?? 'closed';
  const rows = [['stats.state', t(`state.${state}`)]];
  if (!stats) return rows;
  const { video, audio } = stats;
  const receiving = (video ?? audio)?.direction === 'in';
  if (video) {
    rows.push(['stats.video', video.width ? `${video.width}×${video.height} · ${number(video.fps)} fps · ${video.codec}` : t('stats.none')]);
    rows.push(['stats.videoRate', rate(video.bitsPerSecond)]);
    if (video.layers?.length > 1) rows.push(['stats.layers', video.layers.map(({ width, height }) => `${width}×${height}`).join(', ')]);
    if (video.limitedBy) rows.push(['stats.limited', t(`limited.${video.limitedBy === 'cpu' ? 'cpu' : video.limitedBy === 'bandwidth' ? 'bandwidth' : 'other'}`)]);
    rows.push(['stats.videoLoss', `${number(video.lossPercent, 1)} %`]);
  }
  if (audio) {
    rows.push(['stats.audio', `${audio.codec || '—'} · ${rate(audio.bitsPerSecond)}`]);
    rows.push(['stats.audioLoss', `${number(audio.lossPercent, 1)} %`]);
  }
  if (receiving) {
    rows.push(...wishRows(peer.videoQuality ?? null, wantedHeight));
    rows.push(['stats.jitter', both(audio?.jitterMs, video?.jitterMs)]);
    rows.push(['stats.buffer', both(audio?.jitterBufferMs, video?.jitterBufferMs)]);
    if (video) rows.push(['stats.freezes', String(video.freezes)]);
    if (peer.firstFrameMs !== null && peer.firstFrameMs !== undefined) rows.push(['stats.first', milliseconds(peer.firstFrameMs)]);
  }
  rows.push(['stats.rtt', milliseconds(stats.rttMs ?? video?.reportedRttMs)]);
  if (!receiving && peer.order) rows.push(...orderRows(peer.order));
  if (!receiving && stats.availableBitsPerSecond) rows.push(['stats.available', rate(stats.availableBitsPerSecond)]);
  if (stats.path) rows.push(['stats.path', stats.path]);
  if (stats.security) rows.push(['stats.security', stats.security]);
  return rows;
}

/** What this page wants of a video, and what the server sends of it. */
function wishRows(quality, wantedHeight) {
  const rows = [];
  const wanted = quality?.wanted ?? wantedHeight;
  if (wanted !== null) rows.push(['stats.wanted', wanted > 0 ? `${number(wanted)}p` : t('stats.notShown')]);
  if (!quality) return rows;
  const why = quality.reason && quality.state !== 'full' ? ` · ${t(`stats.reason.${quality.reason}`)}` : '';
  const height = quality.height > 0 ? `${number(quality.height)}p · ` : '';
  rows.push(['stats.target', `${height}${t(`stats.target.${quality.state}`)}${why}`]);
  return rows;
}

/** What the server asks this page to send. */
function orderRows({ layers, maxBitrate }) {
  const names = Object.entries(layers).map(([rid, isWanted]) => `${rid || '—'} ${t(isWanted ? 'stats.layerOn' : 'stats.layerOff')}`);
  if (maxBitrate !== null) names.push(`≤ ${rate(maxBitrate)}`);
  return names.length ? [['stats.asked', names.join(', ')]] : [];
}

function number(value, digits = 0) {
  if (value === null || value === undefined) return '—';
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

function rate(bitsPerSecond) {
  return bitsPerSecond >= 1e6 ? `${number(bitsPerSecond / 1e6, 2)} Mbit/s` : `${number(bitsPerSecond / 1e3)} kbit/s`;
}

function milliseconds(value) {
  return value === null || value === undefined ? '—' : `${number(value)} ms`;
}

function both(audio, video) {
  return `${number(audio)} / ${number(video)} ms`;
}
