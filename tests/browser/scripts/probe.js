// Watches a page from inside, without its help: its peer connections, its sockets, its errors, and when pictures came.
// Times are milliseconds since the page began to load (performance.now).
(() => {
  const peers = [];
  const sent = [];
  const received = [];
  const errors = [];
  const firstFrames = [];

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
      this.addEventListener('message', ({ data }) => keep(received, data));
    }
    send(data) {
      keep(sent, data);
      super.send(data);
    }
  };

  const alive = () => peers.filter((peer) => peer.connectionState !== 'closed');

  // All inbound-rtp reports of one kind, over all live connections.
  async function inbound(kind) {
    const found = [];
    for (const peer of alive()) {
      for (const report of (await peer.getStats()).values()) {
        if (report.type === 'inbound-rtp' && report.kind === kind) found.push(report);
      }
    }
    return found;
  }

  async function outbound(kind) {
    const found = [];
    for (const peer of alive()) {
      for (const report of (await peer.getStats()).values()) {
        if (report.type === 'outbound-rtp' && report.kind === kind) found.push(report);
      }
    }
    return found;
  }

  const shown = (entry) => `${Math.round(entry.at)} ${JSON.stringify(entry.message).slice(0, 160)}`;
  const summary = () => ({
    errors,
    peers: peers.map((peer) => `${peer.connectionState} ice:${peer.iceConnectionState} signaling:${peer.signalingState}`),
    sent: sent.slice(-30).map(shown),
    received: received.slice(-30).map(shown),
    firstFrames,
  });

  window.probe = { peers, sent, received, errors, firstFrames, alive, inbound, outbound, summary };
})();
