// Tells what a page has played so far of all sound and of the videos that it watches.
(() => {
  // How often the picture was looked at, and how often it was lower than ever before.
  const looks = { all: 0, lower: 0, highest: 0 };
  setInterval(async () => {
    const heights = (await window.probe.inbound('video')).map((report) => report.frameHeight ?? 0);
    const height = Math.max(0, ...heights);
    looks.highest = Math.max(looks.highest, height);
    looks.all += 1;
    looks.lower += height < looks.highest ? 1 : 0;
  }, 250);
  const total = (reports, figure) => reports.reduce((sum, report) => sum + (report[figure] ?? 0), 0);
  window.played = async () => {
    const sound = (await window.probe.inbound('audio')).filter((report) => report.totalSamplesReceived > 0);
    const video = (await window.probe.inbound('video')).filter((report) => report.framesDecoded > 0);
    const encoded = (await window.probe.outbound('video')).map((report) => report.framesEncoded ?? 0);
    const kinds = ['video', 'audio'].map((kind) => window.probe.reports('remote-outbound-rtp', kind));
    const trips = (await Promise.all(kinds)).flat();
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
      received: total(video, 'framesReceived'),
      dropped: total(video, 'framesDropped'),
      freezes: total(video, 'freezeCount'),
      frozen: total(video, 'totalFreezesDuration'),
      nacks: total(video, 'nackCount'),
      looks: looks.all,
      looksLower: looks.lower,
      height: Math.max(0, ...video.map((report) => report.frameHeight ?? 0)),
      encoded: Math.max(0, ...encoded),
    };
  };
})();
