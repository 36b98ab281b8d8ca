// The least time that a first picture takes in this browser, now: one connection of the page with itself, nothing in
// between. Its camera is on before the time begins, and its second watcher counts, because a late joiner is not the
// first in a room.
const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });

async function firstPicture() {
  const begun = performance.now();
  const [sends, watches] = [new RTCPeerConnection(), new RTCPeerConnection()];
  for (const [from, to] of [[sends, watches], [watches, sends]]) {
    from.onicecandidate = ({ candidate }) => to.addIceCandidate(candidate);
  }
  for (const track of media.getTracks()) sends.addTransceiver(track, { direction: 'sendonly' });
  await sends.setLocalDescription();
  await watches.setRemoteDescription(sends.localDescription);
  await watches.setLocalDescription();
  await sends.setRemoteDescription(watches.localDescription);
  const video = watches.getReceivers().find(({ track }) => track.kind === 'video');
  for (;;) {
    const reports = [...(await video.getStats()).values()];
    if (reports.some(({ type, framesDecoded }) => type === 'inbound-rtp' && framesDecoded > 0)) break;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  const wait = performance.now() - begun;
  for (const end of [sends, watches]) end.close();
  return wait;
}

const waits = [await firstPicture(), await firstPicture()];
for (const track of media.getTracks()) track.stop();
return waits[1];
