//! How much of each video comes, and is sent: what the page asks for, what it obeys, what it shows, and the switch for low data. In
//! most of these tests a script in the page speaks for the server, so they are of the page alone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, enter, enter_with};
use crate::harness::turn;
use crate::support::server::Server;

const AS_SERVER: &str = include_str!("scripts/as_server.js");
/// The time after which a page that measures nothing anew would have sent what it has to say.
const QUIET: Duration = Duration::from_millis(1500);

fn spoken_to() -> Options<'static> {
    Options {
        camera: "fps=30",
        script: AS_SERVER,
        ..Options::default()
    }
}

/// Time after which a picture that does not come is said to be missing, and a second until the page looks at it.
const BADGE_PATIENCE: Duration = Duration::from_secs(5);

async fn say(page: &Page, message: Value) {
    page.run::<()>("asServer.say(args[0]); return null;", &[message]).await;
}

async fn set_hidden(page: &Page, hidden: bool) {
    page.run::<()>("asServer.setHidden(args[0]); return null;", &[hidden.into()])
        .await;
}

async fn no_errors(page: &Page) {
    let errors: Vec<String> = page.eval("probe.errors").await;
    assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_wants_of_each_video_what_its_tile_shows_and_nothing_in_a_hidden_tab() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (_two, _three) = (enter(&chromium, &server, 2).await, enter(&chromium, &server, 3).await);
    let page = enter_with(&chromium, &server, 1, spoken_to()).await;
    page.sees_and_hears(2).await;
    // Three equal tiles of a page of 1280 × 800, two of them in the upper row, less a tenth.
    let equal = "(() => { const { heights } = asServer.last(); return Object.keys(heights).join() === '*' && heights['*'] > 200 && heights['*'] < 400; })()";
    page.until("both tiles want the same", SIGNAL_PATIENCE, equal).await;

    page.run::<()>(
        "document.querySelector('[data-participant=\"2\"] .tile-pin').click(); return null;",
        &[],
    )
    .await;
    let pinned = "(() => { const { heights, onStage } = asServer.last(); \
        return onStage.join() === '2' && (heights['2'] ?? heights['*']) > 400 && (heights['3'] ?? heights['*']) < 200; })()";
    page.until("the large tile wants more than the small one", SIGNAL_PATIENCE, pinned)
        .await;
    let before: Value = page.eval("asServer.last()").await;

    set_hidden(&page, true).await;
    let nothing = "JSON.stringify(asServer.last().heights) === '{\"*\":0}'";
    page.until("a hidden tab wants nothing", SIGNAL_PATIENCE, nothing).await;
    let back = "const since = performance.now();
        asServer.setHidden(false);
        return asServer.wants.at(-1).at >= since && asServer.last().onStage.join() === '2';";
    assert!(
        page.run::<bool>(back, &[]).await,
        "a tab that is shown waits for nothing"
    );
    assert_eq!(
        page.eval::<Value>("asServer.last()").await,
        before,
        "it wants what it wanted before"
    );

    let count: usize = page.eval("asServer.wants.length").await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(
        page.eval::<usize>("asServer.wants.length").await,
        count,
        "no news, no message"
    );
    no_errors(&page).await;
}

/// Waits until the page sends these layers of its video and no others: those whose number of frames grows.
async fn sends(page: &Page, layers: &[&str]) {
    let growing = "const frames = async () => new Map((await probe.outbound('video')).map((one) => [one.rid ?? '', one.framesSent ?? 0]));
        const before = await frames();
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const grown = [...await frames()].filter(([rid, count]) => count > (before.get(rid) ?? 0) + 3);
        return grown.map(([rid]) => rid).sort();";
    let mut last = Vec::new();
    let seen = tokio::time::timeout(MEDIA_PATIENCE, async {
        while last != layers {
            last = page.run::<Vec<String>>(growing, &[]).await;
        }
    });
    if seen.await.is_err() {
        let asked: Value = page.eval("patchbay.client.publisher?.order").await;
        let set: Value = page
            .eval("patchbay.client.publisher?.pc.getSenders()[1].getParameters().encodings")
            .await;
        panic!("it sends {last:?} instead of {layers:?}; asked for: {asked}; set: {set}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sends_the_layers_that_the_server_asks_for_also_over_its_next_connection() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = enter_with(&chromium, &server, 1, spoken_to()).await;
    sends(&page, &["f", "h", "q"]).await;
    let ask = async |layers: Value, bound: Value| {
        say(
            &page,
            json!({ "type": "sendLayers", "layers": layers, "maxBitrate": bound }),
        )
        .await;
    };
    ask(json!({ "q": true, "h": true, "f": false, "z": true }), json!(300_000)).await;
    sends(&page, &["h", "q"]).await;
    let bound = "patchbay.client.publisher.pc.getSenders()[1].getParameters().encodings.map(({ maxBitrate }) => maxBitrate).join()";
    let bounds: String = page.eval(bound).await;
    assert_eq!(bounds, "150000,300000,1700000", "of the largest layer that is sent");

    // Orders that come in a row are carried out one after the other, and the last one holds.
    for number in 0..10 {
        ask(
            json!({ "q": number % 2 == 0, "h": number % 2 == 1, "f": false }),
            Value::Null,
        )
        .await;
    }
    sends(&page, &["h"]).await;

    page.run::<()>("await patchbay.client.publisher.restart(); return null;", &[])
        .await;
    let connected = "patchbay.client.publisher.generation === 2 && patchbay.client.publisher.state === 'connected'";
    page.until("the next connection stands", MEDIA_PATIENCE, connected)
        .await;
    sends(&page, &["h"]).await;
    ask(json!({ "q": false, "h": false, "f": false }), Value::Null).await;
    sends(&page, &[]).await;
    ask(json!({ "q": true, "h": true, "f": true }), Value::Null).await;
    sends(&page, &["f", "h", "q"]).await;
    no_errors(&page).await;
}

/// A picture that the page takes for a shared screen.
const SHARE: &str = "const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: 1280, height: 720 });
    const context = canvas.getContext('2d');
    setInterval(() => { context.fillStyle = `hsl(${performance.now() % 360} 60% 50%)`; context.fillRect(0, 0, 1280, 720); }, 50);
    const [track] = canvas.captureStream(20).getVideoTracks();
    await patchbay.client.setVideo(track, { screen: true });
    return null;";

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_screen_stays_legible_whatever_is_asked_of_a_camera() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = enter_with(&chromium, &server, 1, spoken_to()).await;
    sends(&page, &["f", "h", "q"]).await;
    let small = json!({ "type": "sendLayers", "layers": { "q": true, "h": false, "f": false } });
    say(&page, small).await;
    sends(&page, &["q"]).await;
    page.run::<()>(SHARE, &[]).await;
    sends(&page, &["f", "h"]).await;
    page.run::<()>(
        "await patchbay.client.setVideo(patchbay.media.tracks.video); return null;",
        &[],
    )
    .await;
    sends(&page, &["q"]).await;
    no_errors(&page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_whose_picture_is_smaller_or_paused_and_why() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (_two, _three) = (enter(&chromium, &server, 2).await, enter(&chromium, &server, 3).await);
    let page = enter_with(&chromium, &server, 1, spoken_to()).await;
    page.sees_and_hears(2).await;
    let badge = |user: u32, text: &str| {
        format!(
            "(() => {{ const badge = document.querySelector('[data-participant=\"{user}\"] .tile-badge'); \
            return (badge.hidden ? '' : badge.innerText.replace(/\\s+/g, ' ')) === '{text}'; }})()"
        )
    };
    let quality = |user: u32, state: &str| json!({ "type": "videoQuality", "sender": user, "height": 180, "wanted": 340, "state": state, "reason": "bandwidth" });
    say(&page, quality(2, "reduced")).await;
    say(&page, quality(3, "paused")).await;
    for (user, text) in [
        (2, "180p Your connection is slow"),
        (3, "Paused Your connection is too slow"),
    ] {
        page.until(text, SIGNAL_PATIENCE, &badge(user, text)).await;
    }
    let notice =
        "document.getElementById('banner').checkVisibility() && document.getElementById('banner-text').textContent";
    let names = format!("({notice} || '').endsWith('Paused: 3')");
    page.until("the page names who is paused", SIGNAL_PATIENCE, &names)
        .await;

    page.press("stats").await;
    let figures = "['Wanted here340p', 'Sent by the server180p · less than wanted · bandwidth', 'paused · bandwidth'].every((one) => \
        document.getElementById('panel-stats').textContent.includes(one))";
    page.until("the figures say it, too", SIGNAL_PATIENCE, figures).await;
    page.press("people").await;
    let notes = "[...document.querySelectorAll('.people-note')].map((one) => one.checkVisibility()).join() === 'false,false,true'";
    page.until("the list says who is paused", SIGNAL_PATIENCE, notes).await;

    say(&page, quality(2, "full")).await;
    say(&page, quality(3, "full")).await;
    for user in [2, 3] {
        page.until("nothing is missing", SIGNAL_PATIENCE, &badge(user, ""))
            .await;
    }
    let is_over = format!("!({notice})");
    page.until("the notice goes when it is over", MEDIA_PATIENCE, &is_over)
        .await;

    // What the server leaves out is said, and what the page itself does not want is not.
    let unwanted = |user: u32| json!({ "type": "videoQuality", "sender": user, "height": 0, "wanted": 340, "state": "unwanted", "reason": "viewer" });
    say(&page, unwanted(3)).await;
    let too_many = "Paused Too many pictures at once";
    page.until(too_many, SIGNAL_PATIENCE, &badge(3, too_many)).await;
    set_hidden(&page, true).await;
    say(&page, unwanted(2)).await;
    tokio::time::sleep(BADGE_PATIENCE).await;
    for user in [2, 3] {
        assert!(
            page.eval::<bool>(&badge(user, "")).await,
            "{user}: a hidden tab misses nothing"
        );
    }
    no_errors(&page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn low_data_is_one_switch_that_is_remembered_and_stays_in_sight() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let _two = enter(&chromium, &server, 2).await;
    let page = enter_with(&chromium, &server, 1, spoken_to()).await;
    page.sees_and_hears(1).await;
    let chip = "(() => { const chip = document.getElementById('low-data-chip'); return chip.checkVisibility() ? chip.innerText : ''; })()";
    assert_eq!(page.eval::<String>(chip).await, "");
    page.press("settings").await;
    page.run::<()>("document.getElementById('set-low-data').focus(); return null;", &[])
        .await;
    // The keyboard alone: the next choice, and the one after it.
    page.keys("\u{e015}").await;
    let one = "JSON.stringify(asServer.last()) === JSON.stringify({ heights: { '*': 0, 2: 360 }, onStage: [2], lastN: 1 })
        || JSON.stringify(asServer.last().onStage) === '[2]' && asServer.last().lastN === 1 && asServer.last().heights['2'] === 360";
    page.until("one picture is wanted", SIGNAL_PATIENCE, one).await;
    sends(&page, &["h", "q"]).await;
    assert_eq!(page.eval::<String>(chip).await, "Low data: one picture");
    page.keys("\u{e015}").await;
    page.until("no picture is wanted", SIGNAL_PATIENCE, "asServer.last().lastN === 0")
        .await;
    sends(&page, &["q"]).await;

    page.reload().await;
    page.until(
        "it is remembered",
        MEDIA_PATIENCE,
        "window.asServer?.last()?.lastN === 0",
    )
    .await;
    assert_eq!(page.eval::<String>(chip).await, "Low data: sound only");
    page.press("low-data").await;
    let on_switch = "document.activeElement.id === 'set-low-data' && document.activeElement.value === 'sound'";
    page.until("the sign leads to the switch", SIGNAL_PATIENCE, on_switch)
        .await;
    page.keys("\u{e013}\u{e013}").await;
    page.until(
        "everything is wanted again",
        SIGNAL_PATIENCE,
        "asServer.last().lastN === null && asServer.last().heights['*'] > 0",
    )
    .await;
    sends(&page, &["f", "h", "q"]).await;
    assert_eq!(page.eval::<String>(chip).await, "");
    no_errors(&page).await;
}

/// Frames that are decoded within a second.
const DECODED: &str = "(await (async () => {
    const frames = async () => (await probe.inbound('video')).reduce((sum, one) => sum + (one.framesDecoded ?? 0), 0);
    const before = await frames();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return (await frames()) - before;
})())";

#[tokio::test(flavor = "multi_thread")]
async fn the_server_sends_what_the_tile_shows_and_only_sound_to_a_tab_that_nobody_sees() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let camera = Options {
        camera: "fps=30",
        ..Options::default()
    };
    let sender = enter_with(&chromium, &server, 1, camera).await;
    let small = Options {
        window: Some((1000, 800)),
        ..Options::default()
    };
    let viewer = enter_with(&chromium, &server, 2, small).await;
    viewer.sees_and_hears(1).await;
    let tallest = "Math.max(...[...document.querySelectorAll('video')].map(({ clientHeight }) => clientHeight))";
    let tallest: u32 = viewer.eval(tallest).await;
    assert!(tallest < 400, "a tile of {tallest} pixels asks for more than 360 lines");
    // The middle layer is enough, and nobody wants the highest.
    let middle = "(await probe.inbound('video'))[0].frameHeight === 360";
    viewer.until("the middle layer comes", MEDIA_PATIENCE, middle).await;
    let highest = "(await (async () => {
        const sent = async () => (await probe.outbound('video')).find(({ rid }) => rid === 'f').framesSent ?? 0;
        const before = await sent();
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return (await sent()) === before;
    })())";
    sender
        .until("the highest layer is not sent", MEDIA_PATIENCE, highest)
        .await;
    viewer.until("the middle layer goes on", MEDIA_PATIENCE, middle).await;

    let hide = "Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => args[0] });
        document.dispatchEvent(new Event('visibilitychange'));
        return null;";
    viewer.run::<()>(hide, &["hidden".into()]).await;
    viewer
        .until("no picture comes", SIGNAL_PATIENCE, &format!("{DECODED} === 0"))
        .await;
    viewer.run::<()>("await probe.mark(); return null;", &[]).await;
    let heard = "(await probe.grown('audio', 'totalAudioEnergy', 1e-4)) === 1";
    viewer.until("sound goes on", MEDIA_PATIENCE, heard).await;
    viewer.run::<()>(hide, &["visible".into()]).await;
    viewer
        .until("pictures come again", SIGNAL_PATIENCE, &format!("{DECODED} > 5"))
        .await;
    for page in [&sender, &viewer] {
        no_errors(page).await;
    }
}

/// Expression: frames that were sent of the middle and of the highest layer so far.
const UPPER_SENT: &str = "(await probe.outbound('video')).filter(({ rid }) => rid === 'h' || rid === 'f')
    .reduce((sum, { framesSent }) => sum + (framesSent ?? 0), 0)";

#[tokio::test(flavor = "multi_thread")]
async fn a_tile_of_180_lines_stops_the_upper_layers_of_a_page_within_eight_seconds_until_it_grows() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let camera = Options {
        camera: "fps=30",
        ..Options::default()
    };
    let sender = enter_with(&chromium, &server, 1, camera).await;
    let viewer = enter(&chromium, &server, 2).await;
    viewer.sees_and_hears(1).await;
    let highest = "(await probe.inbound('video'))[0].frameHeight === 720";
    viewer.until("the highest layer comes", MEDIA_PATIENCE, highest).await;
    let upper = format!(
        "(await (async () => {{
            const before = {UPPER_SENT};
            await new Promise((resolve) => setTimeout(resolve, 1000));
            return ({UPPER_SENT}) - before;
        }})())"
    );
    sender
        .until("an upper layer is sent", MEDIA_PATIENCE, &format!("{upper} > 10"))
        .await;
    let area = "Object.assign(document.getElementById('stage').style, { flex: 'none', width: args[0], height: args[1] }); return null;";
    viewer.run::<()>(area, &["400px".into(), "150px".into()]).await;
    let within = Duration::from_secs(8 + 1);
    sender
        .until("the upper layers stand still", within, &format!("{upper} === 0"))
        .await;
    let lowest = "(await probe.inbound('video'))[0].frameHeight === 180";
    viewer.until("the lowest layer comes", MEDIA_PATIENCE, lowest).await;
    assert_eq!(sender.eval::<f64>(&upper).await, 0.0, "they stay as they are");
    viewer.run::<()>(area, &["".into(), "".into()]).await;
    sender
        .until(
            "an upper layer is sent again",
            SIGNAL_PATIENCE,
            &format!("{upper} > 10"),
        )
        .await;
    for page in [&sender, &viewer] {
        no_errors(page).await;
    }
}
