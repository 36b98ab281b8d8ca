// Makes a page offer without BUNDLE, as older clients do: what it sends lacks the group, so the answer has a transport for each
// section. Only a browser that gathers for each section (`max-compat`) can follow that. Runs after the probe.
(() => {
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(configuration) {
      super({ ...configuration, bundlePolicy: 'max-compat' });
    }
  };

  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const message = JSON.parse(data);
    if (message.sdpOffer) message.sdpOffer = message.sdpOffer.replace(/a=group:BUNDLE.*\r\n/, '');
    send.call(this, JSON.stringify(message));
  };

  // Of each connection, a word for each of its transports: what it carries, and whether bytes of both directions have gone over a
  // pair of candidates that no other uses.
  probe.transports = async () => {
    const all = [];
    for (const peer of probe.alive()) {
      const stats = await peer.getStats();
      const of = (type) => [...stats.values()].filter((one) => one.type === type);
      const streams = [...of('inbound-rtp'), ...of('outbound-rtp')];
      const used = new Set();
      const words = of('transport').map(({ id, dtlsState, selectedCandidatePairId }) => {
        const pair = stats.get(selectedCandidatePairId);
        const isOwn = !used.has(selectedCandidatePairId) && pair?.bytesSent > 0 && pair?.bytesReceived > 0;
        used.add(selectedCandidatePairId);
        const carried = new Set(streams.filter((one) => one.transportId === id).map((one) => one.kind));
        return `${[...carried]} ${dtlsState} ${isOwn ? 'alone' : 'not alone'}`;
      });
      all.push(words.sort().join(', '));
    }
    return all;
  };
})();
