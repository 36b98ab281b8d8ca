// People who publish small pictures and sound, and watch nobody: each with a socket and a connection of their own, in one page.
const [first, count] = args;
const own = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 160, height: 90 } });
globalThis.people = await Promise.all(
  Array.from({ length: count }, async (_, index) => {
    const userId = first + index;
    const socket = new WebSocket(`wss://${location.host}/groupcall`);
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    const say = (message) => socket.send(JSON.stringify(message));
    for (const track of own.getTracks()) {
      pc.addTransceiver(track, { direction: 'sendonly', sendEncodings: track.kind === 'video' ? [{ maxBitrate: 60_000, maxFramerate: 10 }] : [{}] });
    }
    socket.onmessage = async ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'existingParticipants') {
        await pc.setLocalDescription();
        say({ type: 'receiveVideoFrom', userId, sdpOffer: pc.localDescription.sdp });
      }
      if (message.type === 'receiveVideoAnswer') await pc.setRemoteDescription({ type: 'answer', sdp: message.sdpAnswer });
    };
    socket.onopen = () => say({ type: 'join', room: 'demo', userId });
    await new Promise((resolve) => {
      pc.onconnectionstatechange = () => pc.connectionState === 'connected' && resolve();
    });
    return { socket, pc };
  }),
);
return null;
