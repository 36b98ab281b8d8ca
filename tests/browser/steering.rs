//! Publishers that know nothing of this server's own messages send no more than somebody wants, by the rate that they are told.

use std::collections::HashMap;
use std::time::Duration;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::MEDIA_PATIENCE;
use crate::harness::turn;
use crate::support::server::Server;

const OPTIONS: Options<'static> = Options {
    script: include_str!("scripts/steering.js"),
    camera: "fps=20",
    flags: &[],
    without: &[],
    window: None,
};

/// The time after which what nobody wants has stopped: five seconds, the time between two estimates, and the encoder's.
const STOPPED_AFTER: Duration = Duration::from_millis(8_500);

async fn publisher(chromium: &Chromium, server: &Server, simulcast: bool) -> Page {
    let page = chromium.page_with("publisher", OPTIONS).await;
    page.go(&server.page("/openapi.json")).await;
    page.run::<()>("await steering.publish(args[0]); return null;", &[simulcast.into()])
        .await;
    page
}

async fn watch(page: &Page) {
    page.run::<()>("await steering.watch(); return null;", &[]).await;
}

/// What is sent in each encoding in the next seconds, in kb/s.
async fn rates(page: &Page, time: Duration) -> HashMap<String, f64> {
    let from: f64 = page.eval("performance.now()").await;
    tokio::time::sleep(time).await;
    let rates = page
        .run("return steering.rates(args[0], performance.now());", &[from.into()])
        .await;
    println!("kb/s: {rates:?}");
    rates
}

async fn sends_everything(page: &Page) {
    let sends = "['l', 'm', 'h'].every((rid) => \
                 (steering.rates(performance.now() - 1500, performance.now())[rid] ?? 0) > 50)";
    page.until("all encodings are sent", MEDIA_PATIENCE, sends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_watches_stops_and_is_there_again_when_somebody_comes() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = publisher(&chromium, &server, true).await;
    watch(&page).await;
    sends_everything(&page).await;
    let watched = rates(&page, Duration::from_secs(2)).await;
    page.run::<()>("steering.viewer.leave(); return null;", &[]).await;
    tokio::time::sleep(STOPPED_AFTER).await;
    let unwatched = rates(&page, Duration::from_secs(3)).await;
    let of = |rates: &HashMap<String, f64>, rid: &str| rates.get(rid).copied().unwrap_or(0.0);
    assert!(of(&unwatched, "m") < 1.0 && of(&unwatched, "h") < 1.0, "{unwatched:?}");
    assert!(
        (5.0..160.0).contains(&of(&unwatched, "l")),
        "the lowest goes on: {unwatched:?}"
    );
    let sound = of(&unwatched, "sound") / of(&watched, "sound");
    assert!(sound > 0.8, "of the sound only {sound} is left: {unwatched:?}");
    watch(&page).await;
    page.until("a picture", MEDIA_PATIENCE, "steering.viewer.shown > 0")
        .await;
    let waited: f64 = page.eval("steering.viewer.shown - steering.viewer.offered").await;
    sends_everything(&page).await;
    let mut resumed = Vec::new();
    for rid in ["m", "h"] {
        let body = "return steering.resumed(args[0], steering.viewer.offered);";
        resumed.push(page.run::<f64>(body, &[rid.into()]).await);
    }
    println!("a picture after {waited:.0} ms; m and h are sent again after {resumed:?} ms");
    assert!(waited < 1_500.0, "a picture after {waited} ms");
    assert!(resumed.iter().all(|millis| *millis < 2_000.0), "{resumed:?}");
    let received: Vec<String> = page.eval("steering.received").await;
    assert!(
        !received.contains(&"sendLayers".to_owned()),
        "nobody asked for it: {received:?}"
    );
}

/// Waits until the upper encodings have stood still for two seconds. Returns the longest time after `since` in which one was sent.
async fn upper_stop(page: &Page, since: f64) -> f64 {
    let still = "['m', 'h'].every((rid) => \
                 (steering.rates(performance.now() - 2000, performance.now())[rid] ?? 0) === 0)";
    page.until("the upper encodings stand still", MEDIA_PATIENCE, still)
        .await;
    let mut longest = 0.0;
    for rid in ["m", "h"] {
        let body = "return steering.stopped(args[0], args[1]);";
        longest = page.run::<f64>(body, &[rid.into(), since.into()]).await.max(longest);
    }
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_only_viewer_shows_180_lines_the_upper_encodings_stop_and_come_back_when_they_show_more() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = publisher(&chromium, &server, true).await;
    watch(&page).await;
    sends_everything(&page).await;
    let since: f64 = page.eval("(steering.viewer.want(180), performance.now())").await;
    let stopped = upper_stop(&page, since).await;
    println!("the upper encodings stop after {stopped:.0} ms");
    assert!((4_000.0..8_000.0).contains(&stopped), "after {stopped} ms");
    let small = rates(&page, Duration::from_secs(2)).await;
    let lowest = small.get("l").copied().unwrap_or(0.0);
    assert!(lowest > 50.0, "the lowest goes on: {small:?}");
    let since: f64 = page.eval("(steering.viewer.want(720), performance.now())").await;
    sends_everything(&page).await;
    for rid in ["m", "h"] {
        let body = "return steering.resumed(args[0], args[1]);";
        let resumed: f64 = page.run(body, &[rid.into(), since.into()]).await;
        println!("{rid} is sent again after {resumed:.0} ms");
        assert!((0.0..3_000.0).contains(&resumed), "after {resumed} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_encoding_between_two_is_not_held_back_on_a_fast_path_and_nearly_stops_unwatched() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = publisher(&chromium, &server, false).await;
    watch(&page).await;
    // Without any bound, its encoder takes as long.
    let is_free = "steering.samples.at(-1)?.target > 1_500_000 || JSON.stringify(steering.samples.at(-1))";
    page.until("a target for a full picture", MEDIA_PATIENCE, is_free).await;
    page.run::<()>("steering.viewer.leave(); return null;", &[]).await;
    tokio::time::sleep(STOPPED_AFTER).await;
    let unwatched = rates(&page, Duration::from_secs(3)).await["one"];
    assert!(unwatched < 160.0, "{unwatched}");
    watch(&page).await;
    page.until("a picture", MEDIA_PATIENCE, "steering.viewer.shown > 0")
        .await;
    let waited: f64 = page.eval("steering.viewer.shown - steering.viewer.offered").await;
    println!("a picture after {waited:.0} ms");
    assert!(waited < 1_500.0, "a picture after {waited} ms");
    page.until("a target for a full picture again", MEDIA_PATIENCE, is_free)
        .await;
}
