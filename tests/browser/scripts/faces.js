// A person who is known by the colour of their camera and the pitch of their voice, in the place of this browser's devices. Pictures
// are small, so that several browsers decode them on two cores. And eyes, by which a page tells the colour of what a video shows.
(() => {
  const [WIDTH, HEIGHT, FRAMES_PER_S] = [160, 96, 15];
  // Far enough from one another that no encoder makes one of them look like another one.
  const COLOURS = { red: [220, 30, 30], green: [30, 160, 40], blue: [40, 60, 230], yellow: [230, 220, 40] };
  const NEAR = 60;

  let voice = null;

  // The whole picture in one colour; a corner changes, because a still canvas gives no frames.
  function camera(colour) {
    const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
    const pen = canvas.getContext('2d');
    let isLight = false;
    const draw = () => {
      pen.fillStyle = `rgb(${COLOURS[colour]})`;
      pen.fillRect(0, 0, WIDTH, HEIGHT);
      isLight = !isLight;
      pen.fillStyle = isLight ? 'white' : 'black';
      pen.fillRect(0, 0, 16, 16);
    };
    draw();
    setInterval(draw, 1000 / FRAMES_PER_S);
    return canvas.captureStream(FRAMES_PER_S).getVideoTracks()[0];
  }

  function microphone(pitch) {
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: pitch });
    voice = new GainNode(context, { gain: 0 });
    const out = new MediaStreamAudioDestinationNode(context);
    tone.connect(voice).connect(out);
    tone.start();
    return out.stream.getAudioTracks()[0];
  }

  function become(colour, pitch) {
    const devices = {};
    const open = { audio: () => microphone(pitch), video: () => camera(colour) };
    navigator.mediaDevices.getUserMedia = async (constraints) => {
      const wanted = Object.keys(open).filter((kind) => constraints[kind]);
      return new MediaStream(wanted.map((kind) => (devices[kind] ??= open[kind]()).clone()));
    };
  }

  // Begins to speak, or stops. Returns the time, in milliseconds since 1970.
  function speak(isLoud) {
    const at = Date.now();
    voice.gain.value = isLoud ? 0.3 : 0;
    return at;
  }

  const glass = Object.assign(document.createElement('canvas'), { width: 8, height: 8 }).getContext('2d', { willReadFrequently: true });

  // The colour in the middle of a video; nothing if it is none of the known ones.
  function colourOf(video) {
    if (!video?.videoWidth) return null;
    glass.drawImage(video, 0, 0, 8, 8);
    const seen = glass.getImageData(5, 5, 1, 1).data;
    const isNear = (colour) => COLOURS[colour].every((value, channel) => Math.abs(value - seen[channel]) < NEAR);
    return Object.keys(COLOURS).find(isNear) ?? null;
  }

  // Every change of what a video shows: the colour, and when it was seen, in milliseconds since 1970.
  function watch(video) {
    const changes = [];
    setInterval(() => {
      const colour = colourOf(video);
      if (colour !== null && colour !== changes.at(-1)?.colour) changes.push({ colour, at: Date.now() });
    }, 10);
    return changes;
  }

  window.faces = { become, speak, colourOf, watch };
})();
