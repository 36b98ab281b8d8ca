// Hears what a page receives: how loud each piece of the sound is, of 2,048 samples, and when it is played. Times are those of
// the sound's own clock, in seconds.
(() => {
  const RATE = 48000;
  const PIECE = 2048;
  // Power of a sound 45 dB below full scale: what is less is silence.
  const AUDIBLE = 10 ** -4.5;
  const heard = [];
  let report = null;

  function listen(track) {
    const context = new AudioContext({ sampleRate: RATE });
    const source = context.createMediaStreamSource(new MediaStream([track]));
    const ear = context.createScriptProcessor(PIECE, 1, 1);
    ear.onaudioprocess = ({ inputBuffer, playbackTime }) => {
      const samples = inputBuffer.getChannelData(0);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      heard.push({ at: playbackTime, power });
    };
    source.connect(ear);
    ear.connect(context.destination);
  }

  // Called with what a connection has counted when it is closed.
  function keepReport(stats) {
    report = [...stats.values()].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio') ?? report;
  }

  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...args) {
      super(...args);
      this.addEventListener('track', ({ track }) => {
        if (track.kind === 'audio') listen(track);
      });
    }

    close() {
      this.getStats().then(keepReport).finally(() => super.close());
    }
  };

  const loud = () => heard.filter(({ power }) => power > AUDIBLE);

  // Whether something was heard, and then nothing for three seconds.
  const isOver = () => report !== null && loud().length > 0 && heard.at(-1).at - loud().at(-1).at > 3;

  // From the first sound to the last: how long it was, how loud in dB below full scale, and its longest pause.
  function summary() {
    const pieces = loud();
    const [first, last] = [pieces[0].at, pieces.at(-1).at];
    const whole = heard.filter(({ at }) => at >= first && at <= last);
    const mean = whole.reduce((sum, { power }) => sum + power, 0) / whole.length;
    // A piece that is missing was not processed, because the page had no time: it says nothing about the sound.
    let [silent, longest] = [0, 0];
    for (const { power } of whole) {
      silent = power > AUDIBLE ? 0 : silent + 1;
      longest = Math.max(longest, silent);
    }
    return {
      length: last - first + PIECE / RATE,
      loudness: 10 * Math.log10(mean),
      pause: (longest * PIECE) / RATE,
      report,
    };
  }

  window.ears = { isOver, summary };
})();
