// A publisher of one stream with several layers in it, over one socket, and a viewer who says how high its picture is, over
// another.
globalThis.scalable = (() => {
  // Most bits per second, by the height of the pictures.
  const MOST = { 360: 600_000, 720: 1_500_000 };
  const DESCRIPTOR = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';

  // Enters the room; returns how to make a connection there, and to say something.
  const enter = async (name) => {
    const socket = new WebSocket(`wss://${location.host}/groupcall`);
    await new Promise((opened) => socket.addEventListener('open', opened));
    const answers = new Map();
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(data);
      if (message.id === 'receiveVideoAnswer') answers.get(message.name)(message.sdpAnswer);
    });
    const say = (message) => socket.send(JSON.stringify(message));
    say({ id: 'joinRoom', name, room: 'scalable' });
    const offer = async (pc, sender, change = (sdp) => sdp) => {
      await pc.setLocalDescription();
      const answered = new Promise((done) => answers.set(sender, done));
      say({ id: 'receiveVideoFrom', sender, sdpOffer: change(pc.localDescription.sdp) });
      await pc.setRemoteDescription({ type: 'answer', sdp: await answered });
    };
    return { offer, say };
  };

  const of = async (pc, type) => [...(await pc.getStats()).values()].find((report) => report.type === type) ?? {};

  let sending;
  let receiving;
  let viewer;
  return {
    async publish(mimeType, scalabilityMode, height) {
      const media = await navigator.mediaDevices.getUserMedia({ video: { width: (height * 16) / 9, height } });
      const { offer } = await enter('1');
      sending = new RTCPeerConnection();
      const transceiver = sending.addTransceiver(media.getVideoTracks()[0], {
        direction: 'sendonly',
        sendEncodings: [{ scalabilityMode, maxBitrate: MOST[height] }],
      });
      const { codecs } = RTCRtpSender.getCapabilities('video');
      transceiver.setCodecPreferences(codecs.filter((codec) => [mimeType, 'video/rtx'].includes(codec.mimeType)));
      // The server cannot ask for less: what a link does not carry has to be left out.
      await offer(sending, '1', (sdp) => sdp.replace(/^a=rtcp-fb:\d+ goog-remb\r\n/gm, ''));
    },

    // What is sent: the height of the pictures and the layers, as the encoder says.
    async sent() {
      const { frameHeight, scalabilityMode, codecId, bytesSent } = await of(sending, 'outbound-rtp');
      return { frameHeight, scalabilityMode, codecId, bytesSent };
    },

    // Whether it was agreed to describe what frames depend on.
    describes(way) {
      const end = way === 'sends' ? sending.getSenders()[0] : receiving.getReceivers()[0];
      return end.getParameters().headerExtensions.some(({ uri }) => uri === DESCRIPTOR);
    },

    async watch(height, describes) {
      viewer = await enter('2');
      viewer.say({ id: 'videoWants', heights: { '*': height } });
      receiving = new RTCPeerConnection();
      const transceiver = receiving.addTransceiver('video', { direction: 'recvonly' });
      const { receiver } = transceiver;
      if (describes) {
        const extensions = transceiver.getHeaderExtensionsToNegotiate();
        extensions.find(({ uri }) => uri === DESCRIPTOR).direction = 'recvonly';
        transceiver.setHeaderExtensionsToNegotiate(extensions);
      }
      const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
      video.srcObject = new MediaStream([receiver.track]);
      document.documentElement.append(video);
      await viewer.offer(receiving, '1');
    },

    want(height) {
      viewer.say({ id: 'videoWants', heights: { '*': height } });
    },

    async received() {
      const { frameHeight, framesDecoded, framesReceived, freezeCount, totalFreezesDuration, bytesReceived, pliCount } =
        await of(receiving, 'inbound-rtp');
      return { frameHeight, framesDecoded, framesReceived, freezeCount, totalFreezesDuration, bytesReceived, pliCount };
    },

    // The time in milliseconds until pictures of this height are shown.
    async until(height, most) {
      const began = performance.now();
      while (performance.now() - began < most) {
        if ((await this.received()).frameHeight === height) return performance.now() - began;
        await new Promise((later) => setTimeout(later, 20));
      }
      return -1;
    },
  };
})();
