//! The media that Chromium sends, and how they arrive: every codec, simulcast, sync, and a new offer on a live
//! connection.

use std::time::Duration;

use serde_json::Value;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::room::{MEDIA_PATIENCE, enter, enter_with};
use crate::harness::turn;
use crate::support::server::Server;

/// Makes every connection of the page send video with one codec alone, by a script that runs before the page's own.
fn only_codec(mime: &str) -> String {
    format!(
        "(() => {{
            const createOffer = RTCPeerConnection.prototype.createOffer;
            const setLocal = RTCPeerConnection.prototype.setLocalDescription;
            const prefer = (peer) => {{
                const all = RTCRtpSender.getCapabilities('video').codecs;
                const wanted = all.filter(({{ mimeType }}) => ['{mime}', 'video/rtx'].includes(mimeType));
                for (const transceiver of peer.getTransceivers()) {{
                    if (transceiver.direction === 'sendonly' && transceiver.receiver.track.kind === 'video') {{
                        transceiver.setCodecPreferences(wanted);
                    }}
                }}
            }};
            RTCPeerConnection.prototype.createOffer = function (...args) {{
                prefer(this);
                return createOffer.apply(this, args);
            }};
            RTCPeerConnection.prototype.setLocalDescription = function (...args) {{
                if (args.length === 0 && this.signalingState === 'stable') prefer(this);
                return setLocal.apply(this, args);
            }};
        }})();"
    )
}

async fn arrives_with(mime: &str) {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let script = only_codec(mime);
    let sender = enter_with(
        &chromium,
        &server,
        1,
        Options {
            script: &script,
            ..Options::default()
        },
    )
    .await;
    let receiver = enter(&chromium, &server, 2).await;
    receiver.sees_and_hears(1).await;
    let used = "(await (async () => {
        const codecs = [];
        for (const peer of probe.alive()) {
            const stats = await peer.getStats();
            for (const one of stats.values()) {
                if (one.type === 'inbound-rtp' && one.kind === 'video') codecs.push(stats.get(one.codecId)?.mimeType);
            }
        }
        return codecs;
    })())";
    assert_eq!(receiver.eval::<Vec<String>>(used).await, [mime], "what is decoded");
    sender.sees_and_hears(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_arrives() {
    arrives_with("video/H264").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vp9_arrives() {
    arrives_with("video/VP9").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn av1_arrives() {
    arrives_with("video/AV1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sends_its_sound_twice_and_others_hear_it_once() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (sender, receiver) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    receiver.sees_and_hears(1).await;
    // Statistics name Opus in either case.
    let first = "probe.peers[0].remoteDescription.sdp.match(/m=audio \\S+ \\S+ (\\d+)/)[1]";
    assert_eq!(sender.eval::<String>(first).await, "63", "RED is answered before Opus");
    let sent: f64 = sender
        .eval("(await probe.outbound('audio')).map(({ bytesSent, packetsSent }) => bytesSent / packetsSent)[0]")
        .await;
    let received: f64 = receiver
        .eval("(await probe.inbound('audio')).map(({ bytesReceived, packetsReceived }) => bytesReceived / packetsReceived)[0]")
        .await;
    assert!(
        sent > received * 1.25,
        "{sent} bytes in a packet that is sent, and {received} in one that comes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_simulcast_layers_the_highest_arrives() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let camera = Options {
        camera: "fps=30",
        ..Options::default()
    };
    let sender = enter_with(&chromium, &server, 1, camera).await;
    let receiver = enter(&chromium, &server, 2).await;
    receiver.sees_and_hears(1).await;
    let layers = "(await probe.outbound('video')).filter((one) => one.framesSent > 0).length === 3";
    sender.until("three layers are sent", MEDIA_PATIENCE, layers).await;
    let rids: Vec<String> = sender
        .eval("(await probe.outbound('video')).map((one) => one.rid).sort()")
        .await;
    assert_eq!(rids, ["f", "h", "q"]);
    let size = "(await probe.inbound('video'))[0].frameWidth === 1280";
    receiver.until("the highest layer is shown", MEDIA_PATIENCE, size).await;
    let freezes: u32 = receiver
        .eval("(await probe.inbound('video'))[0].freezeCount ?? 0")
        .await;
    println!("simulcast: {freezes} freezes until the highest layer was shown");
    receiver.sees_and_hears(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_and_video_stay_in_sync() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (_sender, receiver) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    receiver.sees_and_hears(1).await;
    // The time, by the sender's clock, of the media that play now: known once sender reports of both tracks
    // have come.
    let played = "await (async () => {
        const [audio] = await probe.inbound('audio');
        const [video] = await probe.inbound('video');
        return [audio.estimatedPlayoutTimestamp ?? null, video.estimatedPlayoutTimestamp ?? null];
    })()";
    receiver
        .until(
            "both tracks know the sender's clock",
            MEDIA_PATIENCE,
            &format!("({played}).every(Boolean)"),
        )
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut apart = Vec::new();
    for _ in 0..10 {
        let [audio, video]: [f64; 2] = receiver.eval(played).await;
        apart.push((audio - video).abs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    apart.sort_by(f64::total_cmp);
    println!(
        "audio and video play {:.0} ms apart (median), {:.0} ms at most",
        apart[5], apart[9]
    );
    assert!(apart[5] < 200.0, "{apart:?} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_offer_with_ice_restart_keeps_the_picture() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (_sender, receiver) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    receiver.sees_and_hears(1).await;
    let restart = "const participant = patchbay.client.participants.get('1');
        const before = participant.pc.localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1];
        participant.pc.restartIce();
        await participant.pc.setLocalDescription();
        const after = participant.pc.localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1];
        probe.signal({ type: 'receiveVideoFrom', userId: 1, sdpOffer: participant.pc.localDescription.sdp });
        return before !== after;";
    assert!(receiver.run::<bool>(restart, &[]).await, "the browser restarted ICE");
    receiver
        .until(
            "the answer is accepted",
            MEDIA_PATIENCE,
            "patchbay.client.participants.get('1').pc.signalingState === 'stable'",
        )
        .await;
    receiver.sees_and_hears(1).await;
    let state: Value = receiver.eval("probe.alive().map((peer) => peer.connectionState)").await;
    assert_eq!(state, serde_json::json!(["connected", "connected"]));
    let generation: u32 = receiver.eval("patchbay.client.participants.get('1').generation").await;
    assert_eq!(generation, 1, "the connection is still the first");
}
