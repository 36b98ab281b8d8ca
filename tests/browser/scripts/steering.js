// A client of other people's making, which knows nothing of this server's own messages: it publishes a camera in three encodings
// over one socket, and watches over another. It counts what it sends in each encoding, ten times a second.
globalThis.steering = (() => {
  const LAYERS = [
    { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
    { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
    { rid: 'h', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
  ];
  const samples = [];
  const received = [];
  let connection;

  // Enters the room; returns how to make a connection there.
  const enter = async (name, also = {}) => {
    const socket = new WebSocket(`wss://${location.host}/groupcall`);
    await new Promise((opened) => socket.addEventListener('open', opened));
    const answers = new Map();
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(data);
      received.push(message.id);
      if (message.id === 'receiveVideoAnswer') answers.get(message.name)(message.sdpAnswer);
    });
    socket.send(JSON.stringify({ id: 'joinRoom', name, room: 'steering', ...also }));
    const offer = async (pc, sender) => {
      await pc.setLocalDescription();
      const answered = new Promise((done) => answers.set(sender, done));
      socket.send(JSON.stringify({ id: 'receiveVideoFrom', sender, sdpOffer: pc.localDescription.sdp }));
      await pc.setRemoteDescription({ type: 'answer', sdp: await answered });
    };
    return { offer, socket };
  };

  const count = async () => {
    const bytes = { at: performance.now() };
    for (const report of (await connection.getStats()).values()) {
      if (report.type !== 'outbound-rtp') continue;
      if (report.kind === 'video') bytes.target = report.targetBitrate;
      bytes[report.kind === 'audio' ? 'sound' : (report.rid ?? 'one')] = report.bytesSent;
    }
    samples.push(bytes);
  };

  return {
    received,
    samples,

    async publish(simulcast) {
      const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 1280, height: 720 } });
      const { offer } = await enter('1');
      const pc = (connection = new RTCPeerConnection());
      for (const track of media.getAudioTracks()) pc.addTransceiver(track, { direction: 'sendonly' });
      const options = simulcast ? { sendEncodings: LAYERS } : {};
      pc.addTransceiver(media.getVideoTracks()[0], { direction: 'sendonly', ...options });
      await offer(pc, '1');
      setInterval(count, 100);
    },

    // Watches; the time of the first picture is kept.
    async watch() {
      const { offer, socket } = await enter('2');
      const pc = new RTCPeerConnection();
      pc.addTransceiver('audio', { direction: 'recvonly' });
      const { receiver } = pc.addTransceiver('video', { direction: 'recvonly' });
      const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
      video.srcObject = new MediaStream([receiver.track]);
      document.documentElement.append(video);
      const viewer = { began: performance.now() };
      video.requestVideoFrameCallback(() => (viewer.shown = performance.now()));
      viewer.want = (height) => socket.send(JSON.stringify({ id: 'videoWants', heights: { '*': height } }));
      viewer.leave = () => (socket.close(), pc.close(), video.remove());
      await offer(pc, '1');
      viewer.offered = performance.now();
      globalThis.steering.viewer = viewer;
    },

    // Rates in kb/s between two times.
    rates(from, to) {
      const within = samples.filter(({ at }) => at >= from && at <= to);
      const [first, last] = [within[0], within.at(-1)];
      const of = (rid) => ((last[rid] ?? 0) - (first[rid] ?? 0)) * 8 / (last.at - first.at);
      return Object.fromEntries(Object.keys(last).filter((key) => key !== 'at' && key !== 'target').map((rid) => [rid, of(rid)]));
    },

    // The time of the last packet in an encoding after that, in milliseconds.
    stopped(rid, since) {
      const after = samples.filter(({ at }) => at > since);
      const last = after.findLast((one, at) => at > 0 && (one[rid] ?? 0) > (after[at - 1][rid] ?? 0));
      return last ? last.at - since : 0;
    },

    // The time of the first packet in an encoding after that, in milliseconds.
    resumed(rid, since) {
      const before = samples.filter(({ at }) => at <= since).at(-1)[rid] ?? 0;
      const first = samples.find((one) => one.at > since && (one[rid] ?? 0) > before + 500);
      return first ? first.at - since : -1;
    },
  };
})();
