// A third-party client in a page of the server: publishes as user args[0], watches user args[1], and restarts ICE when a
// connection comes into the state args[2], then again every args[3] milliseconds, if that is not 0, until it is connected.
const [self, other, restartsWhen, againMs] = args;
const socket = new WebSocket(`wss://${location.host}/groupcall`);
const send = (message) => socket.send(JSON.stringify(message));
await new Promise((resolve) => { socket.onopen = resolve; });

class Connection {
  restarts = 0;
  #timer = 0;

  constructor(id) {
    this.id = id;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.pc.onconnectionstatechange = () => {
      const { connectionState } = this.pc;
      if (connectionState === restartsWhen && !this.#timer) this.#restart();
      if (connectionState !== 'connected') return;
      clearTimeout(this.#timer);
      this.#timer = 0;
    };
    // Not every browser decodes pictures that are shown nowhere.
    this.pc.ontrack = ({ track }) => {
      const shown = document.body.appendChild(document.createElement(track.kind));
      shown.srcObject = new MediaStream([track]);
      shown.play();
    };
  }

  #restart() {
    if (againMs) this.#timer = setTimeout(() => this.#restart(), againMs);
    this.restarts += 1;
    this.pc.restartIce();
    this.offer();
  }

  async offer() {
    await this.pc.setLocalDescription();
    send({ type: 'receiveVideoFrom', userId: this.id, sdpOffer: this.pc.localDescription.sdp });
  }

  async answered(sdp) {
    if (this.pc.signalingState === 'have-local-offer') await this.pc.setRemoteDescription({ type: 'answer', sdp });
  }
}

const publish = new Connection(self);
const watch = new Connection(other);
window.outage = { publish, watch };
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
