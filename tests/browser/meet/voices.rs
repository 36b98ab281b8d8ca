//! Everybody who speaks is heard at once.

use super::{ASKS, INSIDE, SCREEN};
use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::{firefox, turn};
use crate::support::server::Server;

const ANNAS_PITCH_HZ: u32 = 600;
const BENS_PITCH_HZ: u32 = 1_500;

/// A script that gives a page a tone in place of its microphone.
fn tone(pitch_hz: u32) -> String {
    format!(
        "(() => {{
            const devices = navigator.mediaDevices;
            const ask = devices.getUserMedia.bind(devices);
            devices.getUserMedia = async (constraints) => {{
                const stream = await ask(constraints);
                const [microphone] = stream.getAudioTracks();
                if (!microphone) return stream;
                const context = new AudioContext();
                const tone = new OscillatorNode(context, {{ frequency: {pitch_hz} }});
                const out = new MediaStreamAudioDestinationNode(context);
                tone.connect(new GainNode(context, {{ gain: 0.3 }})).connect(out);
                tone.start();
                stream.removeTrack(microphone);
                stream.addTrack(out.stream.getAudioTracks()[0]);
                return stream;
            }};
        }})();"
    )
}

/// A script by which a page tells the pitch of each track of the sound that arrives, where there is a tone.
pub(super) const EARS: &str = "(() => {
    const context = new AudioContext();
    const ears = new Map();
    const earOf = (track) => {
        if (!ears.has(track)) {
            const ear = new AnalyserNode(context, { fftSize: 2048 });
            context.createMediaStreamSource(new MediaStream([track])).connect(ear);
            ears.set(track, ear);
        }
        return ears.get(track);
    };
    window.pitches = () => patchbay.client.sound.getTracks().flatMap((track) => {
        const ear = earOf(track);
        const levels = new Float32Array(ear.frequencyBinCount);
        ear.getFloatFrequencyData(levels);
        const loudest = levels.indexOf(Math.max(...levels));
        return levels[loudest] > -40 ? [(loudest * context.sampleRate) / ear.fftSize] : [];
    });
})();";

/// A script that makes a page believe that its connection has failed. It looks for another way to the server.
const FAIL: &str = "
    const [pc] = probe.alive();
    Object.defineProperty(pc, 'connectionState', { value: 'failed', configurable: true });
    pc.onconnectionstatechange();
    return null;";

/// A script that lets the page see again how its connection really is.
const RECOVER: &str = "
    const [pc] = probe.alive();
    delete pc.connectionState;
    pc.onconnectionstatechange();
    return null;";

/// The name by which the server knows the connection's way to it.
const UFRAG: &str = "/a=ice-ufrag:(.*)/.exec(probe.alive()[0].remoteDescription.sdp)[1].trim()";

pub(super) async fn meeting() -> Server {
    let server = Server::start().await;
    let settings = ["--host-pin", "471147", "--guests", "anybody"];
    server
        .command(&[&["conference", "add", "4711"], &settings[..]].concat(), "")
        .await;
    server
}

async fn guest(chromium: &Chromium, server: &Server, name: &str, script: &str) -> Page {
    let options = Options {
        script,
        ..Options::default()
    };
    let page = chromium.page_with(name, options).await;
    page.enter_as_guest(server, name).await;
    page
}

impl Page {
    async fn enter_as_guest(&self, server: &Server, name: &str) {
        self.enter_with_pin(server, name, "").await;
    }

    pub(super) async fn enter_with_pin(&self, server: &Server, name: &str, pin: &str) {
        self.go(&server.page("/meet?lang=en")).await;
        self.until("it asks who is there", SIGNAL_PATIENCE, ASKS).await;
        self.fill("guest-name", name).await;
        self.ask_for("4711").await;
        self.enter(pin).await;
    }

    /// Waits until both tones are heard in the same moment, each by a track of its own, and both are played.
    async fn hears_both_tones(&self) {
        let near =
            |pitch_hz: u32| format!("pitches().filter((pitch) => Math.abs(pitch - {pitch_hz}) < 60).length === 1");
        let both = format!("{} && {}", near(ANNAS_PITCH_HZ), near(BENS_PITCH_HZ));
        self.until("both tones are heard", MEDIA_PATIENCE, &both).await;
        self.plays_both().await;
    }

    /// Waits until two streams are played at once.
    async fn plays_both(&self) {
        self.run::<()>("await probe.mark(); return null;", &[]).await;
        let played = "(await probe.grown('audio', 'totalAudioEnergy', 1e-3)) === 2";
        self.until("both are played", MEDIA_PATIENCE, played).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_speak_at_once_are_both_heard_also_with_another_picture_and_after_an_ice_restart() {
    let _turn = turn().await;
    let server = meeting().await;
    let chromium = Chromium::start();
    let annas = format!("{SCREEN}{}", tone(ANNAS_PITCH_HZ));
    let anna = guest(&chromium, &server, "Anna", &annas).await;
    let ben = guest(&chromium, &server, "Ben", &tone(BENS_PITCH_HZ)).await;
    let chen = guest(&chromium, &server, "Chen", EARS).await;
    chen.hears_both_tones().await;

    anna.press("share").await;
    chen.shows_picture_of("Screen of Anna").await;
    chen.hears_both_tones().await;

    let before: String = chen.eval(UFRAG).await;
    chen.run::<()>(FAIL, &[]).await;
    let is_another = format!("{UFRAG} !== {before:?} && probe.alive()[0].signalingState === 'stable'");
    chen.until("there is another way", SIGNAL_PATIENCE, &is_another).await;
    chen.run::<()>(RECOVER, &[]).await;
    chen.until("it is the same meeting", SIGNAL_PATIENCE, INSIDE).await;
    assert_eq!(
        chen.eval::<usize>("probe.peers.length").await,
        1,
        "it is the same connection"
    );
    chen.hears_both_tones().await;
    for page in [&anna, &ben, &chen] {
        page.has_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_plays_two_who_speak_at_once() {
    let _turn = turn().await;
    let server = meeting().await;
    let chromium = Chromium::start();
    let anna = guest(&chromium, &server, "Anna", &tone(ANNAS_PITCH_HZ)).await;
    let ben = guest(&chromium, &server, "Ben", &tone(BENS_PITCH_HZ)).await;
    let dora = firefox::page("Dora").await;
    dora.enter_as_guest(&server, "Dora").await;
    // Without a device that plays sound, Firefox analyses none.
    dora.plays_both().await;
    for page in [&anna, &ben, &dora] {
        page.has_no_errors().await;
    }
}
