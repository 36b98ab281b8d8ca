//! Formats that one browser sends and another decodes: lists that differ, and formats that somebody lacks.

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, enter_with};
use crate::harness::turn;
use crate::support::server::Server;

/// All formats, in the browser's order.
const ALL: &str = "[['video/', '']]";
const BASELINE_FIRST: &str = "[['video/H264', '42001f'], ['video/', '']]";
const CONSTRAINED_AND_VP8: &str = "[['video/H264', '42e01f'], ['video/VP8', '']]";
const VP9: &str = "[['video/VP9', 'profile-id=0']]";
const VP8: &str = "[['video/VP8', '']]";

const NOTICE: &str = "This browser cannot show 1’s video";

/// Lets connections of a page offer these formats only, in this order: those that it sends, and those that it receives. With
/// `insists`, preferences that the page itself sets later have no effect.
fn prefers(sends: &str, receives: &str, insists: bool) -> String {
    format!(
        "(() => {{
            const add = RTCPeerConnection.prototype.addTransceiver;
            const prefer = RTCRtpTransceiver.prototype.setCodecPreferences;
            const list = (capabilities, wanted) => {{
                const is = ([mime, parameters]) => (codec) =>
                    codec.mimeType.startsWith(mime) && (codec.sdpFmtpLine ?? '').includes(parameters);
                const found = [...wanted, ['video/rtx', '']].flatMap((one) => capabilities.filter(is(one)));
                return [...new Set(found)];
            }};
            RTCPeerConnection.prototype.addTransceiver = function (...args) {{
                const transceiver = add.apply(this, args);
                if (transceiver.receiver.track.kind !== 'video') return transceiver;
                const sends = transceiver.direction !== 'recvonly';
                const {{ codecs }} = (sends ? RTCRtpSender : RTCRtpReceiver).getCapabilities('video');
                prefer.call(transceiver, list(codecs, sends ? {sends} : {receives}));
                return transceiver;
            }};
            if ({insists}) RTCRtpTransceiver.prototype.setCodecPreferences = () => {{}};
            // A notice that is on a tile for a moment only counts too.
            window.noticesSeen = new Set();
            const look = () => {{
                for (const one of document.querySelectorAll('.tile-notices p')) noticesSeen.add(one.textContent);
            }};
            new MutationObserver(look).observe(document, {{ childList: true, subtree: true }});
        }})();"
    )
}

async fn enter(chromium: &Chromium, server: &Server, user: u32, script: &str) -> Page {
    let options = Options {
        script,
        ..Options::default()
    };
    enter_with(chromium, server, user, options).await
}

/// Format and parameters of the video that the page decodes.
async fn decoded(page: &Page) -> Vec<String> {
    formats(page, "inbound-rtp").await
}

/// Format and parameters of the video that the page sends, of all layers. The decoded formats do not show this: a subscriber
/// gets the video under the payload type of the format of its own that fits best.
async fn sent(page: &Page) -> Vec<String> {
    let mut formats = formats(page, "outbound-rtp").await;
    formats.dedup();
    formats
}

/// The formats in the streams of this type of statistics.
async fn formats(page: &Page, streams: &str) -> Vec<String> {
    let body = "const codecs = [];
        for (const peer of probe.alive()) {
            const stats = await peer.getStats();
            for (const one of stats.values()) {
                if (one.type !== args[0] || one.kind !== 'video' || !one.codecId) continue;
                const { mimeType, sdpFmtpLine = '' } = stats.get(one.codecId);
                codecs.push(`${mimeType} ${sdpFmtpLine}`);
            }
        }
        return codecs;";
    page.run(body, &[streams.into()]).await
}

async fn notices_seen(page: &Page) -> Vec<String> {
    page.eval("[...noticesSeen]").await
}

async fn sends_constrained_baseline(page: &Page) {
    let used = sent(page).await;
    assert!(used.len() == 1 && used[0].contains("42e01f"), "sent: {used:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_begins_with_baseline_is_decoded_by_a_client_of_constrained_baseline_and_vp8() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let sender = enter(&chromium, &server, 1, &prefers(BASELINE_FIRST, ALL, false)).await;
    let receiver = enter(&chromium, &server, 2, &prefers(ALL, CONSTRAINED_AND_VP8, false)).await;
    receiver.sees_and_hears(1).await;
    let used = decoded(&receiver).await;
    assert!(
        used.len() == 1 && used[0].starts_with("video/H264") && used[0].contains("42e01f"),
        "{used:?}"
    );
    sends_constrained_baseline(&sender).await;
    sender.sees_and_hears(1).await;

    // The other order: those who decode it are there when the publisher comes.
    sender.reload().await;
    receiver.sees_and_hears(1).await;
    sender.sees_and_hears(1).await;
    sends_constrained_baseline(&sender).await;
    for page in [&sender, &receiver] {
        assert_eq!(notices_seen(page).await, Vec::<String>::new());
    }
    assert_eq!(server.metric("patchbay_media_undecodable_total").await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn chromiums_baseline_is_decoded_by_a_client_of_constrained_baseline_alone() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let baseline = "[['video/H264', 'packetization-mode=1;profile-level-id=42001f']]";
    let constrained = "[['video/H264', 'packetization-mode=1;profile-level-id=42e01f']]";
    let _sender = enter(&chromium, &server, 1, &prefers(baseline, ALL, true)).await;
    let receiver = enter(&chromium, &server, 2, &prefers(ALL, constrained, true)).await;
    receiver.sees_and_hears(1).await;
    assert_eq!(notices_seen(&receiver).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_somebody_cannot_decode_is_named_on_its_tile_and_then_sent_in_another_format() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let sender = enter(&chromium, &server, 1, &prefers(VP9, ALL, false)).await;
    let receiver = enter(&chromium, &server, 2, &prefers(ALL, CONSTRAINED_AND_VP8, false)).await;
    receiver.sees_and_hears(1).await;
    assert_eq!(notices_seen(&receiver).await, [NOTICE]);
    let over = "document.querySelector('.tile-notices p') === null";
    receiver.until("no notice is left", SIGNAL_PATIENCE, over).await;
    let used = decoded(&receiver).await;
    assert!(used.len() == 1 && !used[0].starts_with("video/VP9"), "{used:?}");
    // The same connection is still in use.
    assert_eq!(sender.eval::<u32>("patchbay.client.publisher.generation").await, 1);
    assert_eq!(notices_seen(&sender).await, Vec::<String>::new());
    server
        .until_metric("patchbay_media_undecodable_total", 1.0, SIGNAL_PATIENCE)
        .await;
    let errors: Vec<String> = sender.eval("probe.errors").await;
    assert_eq!(errors, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_publisher_has_nothing_else_the_tile_goes_on_saying_so_and_the_sound_is_there() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let _sender = enter(&chromium, &server, 1, &prefers(VP9, ALL, true)).await;
    let receiver = enter(&chromium, &server, 2, &prefers(VP8, VP8, true)).await;
    let notice =
        format!("document.querySelector('[data-participant=\"1\"] .tile-notices p')?.textContent === '{NOTICE}'");
    receiver.until("the tile says so", MEDIA_PATIENCE, &notice).await;
    receiver.run::<()>("await probe.mark(); return null;", &[]).await;
    let heard = "(await probe.grown('audio', 'totalAudioEnergy', 1e-4)) === 1";
    receiver.until("the sound is heard", MEDIA_PATIENCE, heard).await;
    assert!(receiver.eval::<bool>(&notice).await, "the notice stays");
}

/// The page of one side of a call, with only these formats in its first offer.
async fn open_call(chromium: &Chromium, server: &Server, side: &str, formats: &str, insists: bool) -> Page {
    let script = prefers(formats, formats, insists);
    let options = Options {
        script: &script,
        ..Options::default()
    };
    let page = chromium.page_with(side, options).await;
    let path = format!("/?userId=anna&sendId=ben&callType={side}&type=video");
    page.go(&server.page(&path)).await;
    page
}

const CALL_NOTE: &str = "document.querySelector('.call-note.decoding:not([hidden])')?.textContent";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_begins_with_a_format_that_both_decode_and_shows_which_one_cannot_be_decoded() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let callee = open_call(&chromium, &server, "callee", CONSTRAINED_AND_VP8, true).await;
    let caller = open_call(&chromium, &server, "caller", BASELINE_FIRST, true).await;
    for page in [&caller, &callee] {
        page.sees_and_hears(1).await;
        let used = decoded(page).await;
        assert!(used[0].contains("42e01f"), "{used:?}");
        assert!(page.eval::<bool>(&format!("{CALL_NOTE} === undefined")).await);
    }
    for page in [&caller, &callee] {
        sends_constrained_baseline(page).await;
    }
    drop((caller, callee));

    let callee = open_call(&chromium, &server, "callee", VP8, true).await;
    let caller = open_call(&chromium, &server, "caller", VP9, true).await;
    for (page, other) in [(&caller, "ben"), (&callee, "anna")] {
        let notice = format!("{CALL_NOTE} === 'This browser cannot show {other}’s video'");
        page.until("the page says so", MEDIA_PATIENCE, &notice).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_the_other_side_of_a_call_cannot_decode_is_then_sent_in_another_format() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    // One of them could do with more formats than they offered at first.
    let callee = open_call(&chromium, &server, "callee", VP8, true).await;
    let caller = open_call(&chromium, &server, "caller", VP9, false).await;
    for page in [&caller, &callee] {
        page.sees_and_hears(1).await;
        page.until(
            "no notice is left",
            SIGNAL_PATIENCE,
            &format!("{CALL_NOTE} === undefined"),
        )
        .await;
        let used = decoded(page).await;
        assert!(used.len() == 1 && used[0].starts_with("video/VP8"), "{used:?}");
        assert_eq!(
            page.eval::<usize>("probe.alive().length").await,
            1,
            "on the connection that was there"
        );
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new());
    }
    let undecodable = server.metric("patchbay_media_undecodable_total").await;
    assert!(undecodable >= Some(1.0), "{undecodable:?}: this shows nothing");
}
