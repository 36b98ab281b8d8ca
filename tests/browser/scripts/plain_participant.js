// Enters a meeting with room for one picture. The page that this runs in shows nothing of its own.
const { ConferenceClient } = await import('/static/client/conference-client.js');
const [number, name] = args;
const own = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
const client = new ConferenceClient({ alias: number, name });
const video = Object.assign(document.createElement('video'), { autoplay: true, muted: true });
const sound = Object.assign(document.createElement('audio'), { autoplay: true });
document.body.replaceChildren(video, sound);
client.addEventListener('layout', () => {
  const picture = client.pictureOf(client.shown[0]);
  if (video.srcObject !== picture) video.srcObject = picture;
});
client.addEventListener('sound', () => {
  sound.srcObject = client.sound;
});
client.setAudio(own.getAudioTracks()[0]);
client.setVideo(own.getVideoTracks()[0]);
globalThis.patchbay = { client };
globalThis.plain = { changes: faces.watch(video) };
await client.enter('');
return null;
