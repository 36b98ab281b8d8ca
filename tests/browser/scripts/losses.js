// Tells what a page has played so far of all sound and of the videos that it watches.
(() => {
  const total = (reports, figure) => reports.reduce((sum, report) => sum + (report[figure] ?? 0), 0);
  window.played = async () => {
    const sound = (await window.probe.inbound('audio')).filter((report) => report.totalSamplesReceived > 0);
    const video = (await window.probe.inbound('video')).filter((report) => report.framesDecoded > 0);
    const encoded = (await window.probe.outbound('video')).map((report) => report.framesEncoded ?? 0);
    const trips = await window.probe.reports('remote-outbound-rtp', 'video');
    return {
      roundTrip: Math.max(0, ...trips.map((report) => report.roundTripTime ?? 0)),
      samples: total(sound, 'totalSamplesReceived'),
      concealed: total(sound, 'concealedSamples'),
      silent: total(sound, 'silentConcealedSamples'),
      soundPackets: total(sound, 'packetsReceived'),
      soundBytes: total(sound, 'bytesReceived') + total(sound, 'headerBytesReceived'),
      soundLost: total(sound, 'packetsLost'),
      soundWaits: total(sound, 'jitterBufferDelay'),
      emitted: total(sound, 'jitterBufferEmittedCount'),
      decoded: total(video, 'framesDecoded'),
      dropped: total(video, 'framesDropped'),
      freezes: total(video, 'freezeCount'),
      frozen: total(video, 'totalFreezesDuration'),
      nacks: total(video, 'nackCount'),
      height: Math.max(0, ...video.map((report) => report.frameHeight ?? 0)),
      encoded: Math.max(0, ...encoded),
    };
  };
})();
