// Offers and answers as the web SDKs of the enterprise family write and read them, on top of what this browser writes and reads.
// Both generations give payload types numbers of their own, H264 first.
//
// `newer` sends its sections under the names audio and video, while its browser knows them as 0 and 1, and does not bundle them.
// `older` has pictures first, and sends its sections as they are.
(() => {
  const NUMBERS = [
    { name: 'H264', number: 100, rtx: 107 },
    { name: 'VP8', number: 96, rtx: 108 },
    { name: 'VP9', number: 98, rtx: 109 },
    { name: 'red', number: 106, rtx: 110 },
    { name: 'ulpfec', number: 124 },
  ];
  const NAMES = ['audio', 'video'];

  const linesOf = (text) => text.split('\r\n').filter((line) => line !== '');
  const textOf = (lines) => lines.map((line) => `${line}\r\n`).join('');

  // The first payload type of each codec by its old number, with the new one; retransmissions too.
  function renumbering(lines) {
    const rtpmaps = lines.map((line) => /^a=rtpmap:(\d+) ([^/]+)\//.exec(line)).filter((found) => found !== null);
    const formats = new Map(lines.map((line) => /^a=fmtp:(\d+) (.*)$/.exec(line)).filter(Boolean).map((one) => [one[1], one[2]]));
    const numbers = new Map();
    for (const { name, number, rtx } of NUMBERS) {
      const isWanted = ([, type, codec]) =>
        codec === name && (name !== 'H264' || /packetization-mode=1.*profile-level-id=42e01f/.test(formats.get(type)));
      const found = rtpmaps.find(isWanted);
      if (!found) continue;
      numbers.set(found[1], String(number));
      const again = rtpmaps.find(([, type, codec]) => codec === 'rtx' && formats.get(type) === `apt=${found[1]}`);
      if (again && rtx) numbers.set(again[1], String(rtx));
    }
    return numbers;
  }

  // A section of pictures with the SDK's payload types alone, in its order.
  function renumbered(lines) {
    const numbers = renumbering(lines);
    const order = [...NUMBERS.map(({ number }) => number), ...NUMBERS.map(({ rtx }) => rtx)].map(String);
    const types = [...numbers.values()].sort((one, other) => order.indexOf(one) - order.indexOf(other));
    const kept = lines.flatMap((line) => {
      if (line.startsWith('m=')) return [line.split(' ').slice(0, 3).concat(types).join(' ')];
      const found = /^a=(rtpmap|fmtp|rtcp-fb):(\d+) (.*)$/.exec(line);
      if (!found) return [line];
      const [, what, type, rest] = found;
      if (!numbers.has(type)) return [];
      const of = rest.replace(/^apt=(\d+)$/, (_, old) => `apt=${numbers.get(old)}`);
      return [`a=${what}:${numbers.get(type)} ${of}`];
    });
    return kept;
  }

  function withOwnNumbers(sdp) {
    const sections = sdp.split(/^(?=m=)/m);
    return sections.map((one) => (one.startsWith('m=video') ? textOf(renumbered(linesOf(one))) : one)).join('');
  }

  const gathered = (peer) =>
    new Promise((resolve) => {
      const look = () => peer.iceGatheringState === 'complete' && resolve();
      peer.addEventListener('icegatheringstatechange', look);
      look();
    });

  let peer = null;
  let generation = '';

  // A picture that changes, in the place of a screen.
  function screen() {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [320, 240];
    const context = canvas.getContext('2d');
    setInterval(() => {
      context.fillStyle = `hsl(${performance.now() % 360} 80% 50%)`;
      context.fillRect(0, 0, canvas.width, canvas.height);
    }, 50);
    return canvas.captureStream(20);
  }

  const ownOf = async (ways) => {
    if (ways === 'both') return navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    return ways === 'screen' ? screen() : null;
  };

  // What the SDK sends to the server: with its camera and microphone (`both`), with a screen alone (`screen`), or to receive
  // alone (`receive`).
  async function offer(kind, ways) {
    generation = kind;
    peer = new RTCPeerConnection();
    const stream = new MediaStream();
    const sound = document.body.appendChild(document.createElement('video'));
    sound.autoplay = true;
    sound.srcObject = stream;
    peer.addEventListener('track', ({ track }) => stream.addTrack(track));
    const kinds = generation === 'newer' ? ['audio', 'video'] : ['video', 'audio'];
    const own = await ownOf(ways);
    for (const one of kinds) {
      const track = own?.getTracks().find(({ kind: of }) => of === one);
      if (track) peer.addTrack(track, own);
      else peer.addTransceiver(one, { direction: 'recvonly' });
    }
    const { sdp } = await peer.createOffer();
    const local = withOwnNumbers(sdp);
    const isNewer = generation === 'newer';
    await peer.setLocalDescription({ type: 'offer', sdp: isNewer ? local.replace('a=group:BUNDLE 0 1', 'a=group:BUNDLE 1') : local });
    await gathered(peer);
    const sent = peer.localDescription.sdp;
    return isNewer ? sent.replace(/^a=mid:(\d)$/gm, (_, mid) => `a=mid:${NAMES[mid]}`).replace(/^a=msid:.*\r\n/gm, '') : sent;
  }

  async function accept(answer) {
    const isNewer = generation === 'newer';
    const sdp = isNewer ? answer.replace(/^a=mid:(\w+)\r$/gm, (_, name) => `a=mid:${NAMES.indexOf(name)}\r`) : answer;
    await peer.setRemoteDescription({ type: 'answer', sdp });
  }

  // How many streams of a kind go out, and their codecs.
  const sends = async (kind) => {
    const stats = await peer.getStats();
    const streams = [...stats.values()].filter((one) => one.type === 'outbound-rtp' && one.kind === kind);
    return streams.map((one) => `${stats.get(one.codecId)?.mimeType} ${one.packetsSent > 0}`).join();
  };

  // How many pictures of the newest connection have been decoded.
  const decoded = async () => {
    const streams = [...(await peer.getStats()).values()].filter((one) => one.type === 'inbound-rtp' && one.kind === 'video');
    return streams.reduce((sum, one) => sum + (one.framesDecoded ?? 0), 0);
  };

  // The energy of the sound that was played of a stream of the newest connection.
  const energy = async (ssrc) => {
    const streams = [...(await peer.getStats()).values()].filter((one) => one.type === 'inbound-rtp' && one.ssrc === ssrc);
    return streams[0]?.totalAudioEnergy ?? 0;
  };

  // Silences the microphone, or not.
  const mute = (isMuted) => {
    for (const { track } of peer.getSenders()) if (track?.kind === 'audio') track.enabled = !isMuted;
  };

  window.sdk = { offer, accept, sends, decoded, energy, mute };
})();
