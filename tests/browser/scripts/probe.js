// Watches a page from inside, without its help: its peer connections, its sockets, its errors, and when pictures came.
// Times are milliseconds since the page began to load (performance.now).
(() => {
  const peers = [];
  const sent = [];
  const received = [];
  const errors = [];
  const connected = [];
  const firstFrames = [];
  let socket = null;

  addEventListener('error', (event) => errors.push(String(event.message)));
  addEventListener('unhandledrejection', (event) => errors.push(String(event.reason)));

  // Looks at a receiver until it has decoded a picture.
  async function watchFirstFrame(peer, receiver) {
    const trackAt = performance.now();
    while (peer.connectionState !== 'closed') {
      for (const report of (await receiver.getStats()).values()) {
        if (report.type === 'inbound-rtp' && report.framesDecoded > 0) {
          firstFrames.push({ track: receiver.track.id, peer: peers.indexOf(peer), trackAt, at: performance.now() });
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...args) {
      super(...args);
      peers.push(this);
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState === 'connected') connected.push({ peer: peers.indexOf(this), at: performance.now() });
      });
      this.addEventListener('track', ({ track, receiver }) => {
        if (track.kind === 'video') watchFirstFrame(this, receiver);
      });
    }
  };

  const keep = (list, text) => {
    if (typeof text !== 'string') return;
    let message = text;
    try { message = JSON.parse(text); } catch { /* not JSON: kept as text */ }
    list.push({ at: performance.now(), message });
  };
  window.WebSocket = class extends window.WebSocket {
    constructor(...args) {
      super(...args);
      socket = this;
      this.addEventListener('message', ({ data }) => keep(received, data));
    }
    send(data) {
      keep(sent, data);
      super.send(data);
    }
  };

  const alive = () => peers.filter((peer) => peer.connectionState !== 'closed');

  // All reports of one type and kind, over all live connections; each names its connection.
  async function reports(type, kind) {
    const found = [];
    for (const peer of alive()) {
      for (const report of (await peer.getStats()).values()) {
        if (report.type === type && report.kind === kind) found.push({ ...report, peer: peers.indexOf(peer) });
      }
    }
    return found;
  }

  const inbound = (kind) => reports('inbound-rtp', kind);
  const outbound = (kind) => reports('outbound-rtp', kind);
  const streamOf = (report) => `${report.peer} ${report.id}`;

  // The number of received streams of a kind that have grown by at least so much in a figure since the last `mark`.
  let marked = new Map();
  let growths = [];
  async function mark() {
    marked = new Map([...(await inbound('video')), ...(await inbound('audio'))].map((one) => [streamOf(one), one]));
  }
  async function grown(kind, figure, by) {
    const growth = (report) => (report[figure] ?? 0) - (marked.get(streamOf(report))?.[figure] ?? 0);
    const found = await inbound(kind);
    growths = found.map((report) => `${kind} ${streamOf(report)} ${report.ssrc} ${figure} ${report[figure]}: ${growth(report)}`);
    return found.filter((report) => growth(report) >= by).length;
  }

  // Sends a message on the page's own signaling connection.
  const signal = (message) => socket.send(JSON.stringify(message));

  const shown = (entry) => `${Math.round(entry.at)} ${JSON.stringify(entry.message).slice(0, 160)}`;
  const summary = () => ({
    errors,
    peers: peers.map((peer) => `${peer.connectionState} ice:${peer.iceConnectionState} signaling:${peer.signalingState}`),
    sent: sent.slice(-30).map(shown),
    received: received.slice(-30).map(shown),
    firstFrames,
    growths,
  });

  window.probe = { peers, sent, received, errors, connected, firstFrames, alive, reports, inbound, outbound, mark, grown, signal, summary };
})();
