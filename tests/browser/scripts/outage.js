// A client of its own in a page of the server: publishes as user args[0], watches user args[1], each connection
// by way of a relay, and restarts ICE when a connection has failed.
const [self, other] = args;
const socket = new WebSocket(`wss://${location.host}/groupcall`);
const send = (message) => socket.send(JSON.stringify(message));
await new Promise((resolve) => { socket.onopen = resolve; });

class Connection {
  mediaPort = 0;
  restarts = 0;
  #relay;
  #before = 0;

  constructor(id) {
    this.id = id;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#relay = new Promise((resolve) => { this.setRelay = resolve; });
    this.pc.onconnectionstatechange = () => {
      if (this.pc.connectionState !== 'failed') return;
      this.restarts += 1;
      this.pc.restartIce();
      this.offer();
    };
  }

  async offer() {
    await this.pc.setLocalDescription();
    send({ type: 'receiveVideoFrom', userId: this.id, sdpOffer: this.pc.localDescription.sdp });
  }

  async answered(sdp) {
    this.mediaPort = Number(/a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) /.exec(sdp)[1]);
    const port = await this.#relay;
    // The relay is the only way: the server's other addresses are left out.
    const one = sdp.replace(/a=candidate:\S+ 1 udp \d+ (?!127\.0\.0\.1 )\S+ .*\r\n/g, '');
    const relayed = one.replace(/(a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1) \d+ /g, `$1 ${port} `);
    if (this.pc.signalingState === 'have-local-offer') await this.pc.setRemoteDescription({ type: 'answer', sdp: relayed });
  }

  // Whether more frames were encoded or decoded, and sent or received, than when this was last asked.
  async frames() {
    let frames = 0;
    for (const report of (await this.pc.getStats()).values()) {
      if (report.type === 'inbound-rtp' && report.kind === 'video') frames += report.framesDecoded;
      if (report.type === 'remote-inbound-rtp' && report.kind === 'video') frames += report.roundTripTimeMeasurements;
    }
    const grown = frames > this.#before;
    this.#before = frames;
    return grown;
  }
}

const publish = new Connection(self);
const watch = new Connection(other);
window.outage = { publish, watch, grown: (name) => window.outage[name].frames() };
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === 'receiveVideoAnswer') (message.userId === self ? publish : watch).answered(message.sdpAnswer);
};
send({ type: 'join', room: 'demo', userId: self });
const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
for (const track of media.getTracks()) publish.pc.addTransceiver(track, { direction: 'sendonly' });
for (const kind of ['audio', 'video']) watch.pc.addTransceiver(kind, { direction: 'recvonly' });
await publish.offer();
await watch.offer();
return null;
