// Keeps what a page receives of the first video that it watches, four times a second, and how long its picture stood still.
// Times are milliseconds since the page began to load (performance.now).
(() => {
  const samples = [];
  const sample = async () => {
    const videos = (await window.probe.inbound('video')).filter((report) => report.framesDecoded > 0);
    const sounds = await window.probe.inbound('audio');
    if (videos.length > 0) {
      const [video] = videos;
      const sound = sounds[0] ?? {};
      samples.push({
        at: performance.now(),
        height: video.frameHeight ?? 0,
        decoded: video.framesDecoded,
        frozen: video.totalFreezesDuration ?? 0,
        bytes: video.bytesReceived,
        lost: video.packetsLost,
        concealed: (sound.concealedSamples ?? 0) - (sound.silentConcealedSamples ?? 0),
        played: sound.totalSamplesReceived ?? 0,
      });
    }
  };
  let running = false;
  setInterval(async () => {
    if (running || !window.probe) return;
    running = true;
    try { await sample(); } finally { running = false; }
  }, 250);
  window.reception = { samples };
})();
