// What goes over the transports of the page's connections. Runs after the probe.
(() => {
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
