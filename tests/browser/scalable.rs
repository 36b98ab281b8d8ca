//! Chromium sends several layers in one stream, and a viewer gets those that its picture needs, and its link carries.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::MEDIA_PATIENCE;
use crate::harness::slow_link::SlowLink;
use crate::harness::turn;
use crate::support::server::Server;

const OPTIONS: Options<'static> = Options {
    script: include_str!("scripts/scalable.js"),
    camera: "fps=20",
    flags: &[],
    without: &[],
    window: None,
};

/// Longest time until pictures of another size are shown, in milliseconds. The size above waits for a key frame, and for its rate
/// to be known.
const MOST: u32 = 6_000;

async fn received(page: &Page) -> Value {
    page.eval("scalable.received()").await
}

/// Waits until the viewer has pictures of this height. Returns how long that took, in milliseconds.
async fn until(page: &Page, height: u32) -> f64 {
    let waited: f64 = page
        .run(
            "return scalable.until(args[0], args[1]);",
            &[height.into(), MOST.into()],
        )
        .await;
    assert!(waited >= 0.0, "no picture of {height} lines, {}", received(page).await);
    waited
}

/// Lets the page publish pictures of this height, and another one watch them. Both use dependency descriptors.
async fn publish_and_watch(publisher: &Page, viewer: &Page, (mime, mode): (&str, &str), height: u32) {
    let publish = "await scalable.publish(args[0], args[1], args[2]); return null;";
    let arguments = [mime.into(), mode.into(), height.into()];
    publisher.run::<()>(publish, &arguments).await;
    viewer
        .run::<()>(
            "await scalable.watch(args[0], args[1]); return null;",
            &[height.into(), true.into()],
        )
        .await;
    let is_large =
        format!("(await scalable.received()).frameHeight === {height} || JSON.stringify(await scalable.received())");
    viewer.until("the largest picture", MEDIA_PATIENCE, &is_large).await;
    println!("{mime} {mode}: {}", publisher.eval::<Value>("scalable.sent()").await);
    let described = (
        publisher.eval::<Value>("scalable.describes('sends')").await,
        viewer.eval::<Value>("scalable.describes('receives')").await,
    );
    assert_eq!(described, (json!(true), json!(true)));
}

async fn a_small_tile_gets_a_small_picture(mime: &str, mode: &str) {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page_with("publisher", OPTIONS).await;
    page.go(&server.page("/openapi.json")).await;
    publish_and_watch(&page, &page, (mime, mode), 720).await;
    for height in [180, 720, 360, 180, 720] {
        let before = received(&page).await;
        page.run::<()>("scalable.want(args[0]); return null;", &[height.into()])
            .await;
        let waited = until(&page, height).await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let after = received(&page).await;
        let grown = |field: &str| after[field].as_f64().unwrap_or(0.0) - before[field].as_f64().unwrap_or(0.0);
        println!(
            "{mime} {mode}: {height} lines after {waited:.0} ms; since then {:.0} pictures, {:.0} kb, {} freezes",
            grown("framesDecoded"),
            grown("bytesReceived") * 8.0 / 1_000.0,
            grown("freezeCount"),
        );
        assert_eq!(after["frameHeight"], height, "{after}");
        assert!(grown("framesDecoded") > 30.0, "pictures go on: {before} {after}");
        assert!(grown("totalFreezesDuration") < 0.5, "{before} {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tile_gets_the_small_layer_of_a_vp9_stream_whose_layers_depend_in_key_frames_alone() {
    a_small_tile_gets_a_small_picture("video/VP9", "L3T3_KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tile_gets_the_small_layer_of_a_vp9_stream_whose_layers_always_depend() {
    a_small_tile_gets_a_small_picture("video/VP9", "L3T3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tile_gets_the_small_layer_of_an_av1_stream_whose_layers_depend_in_key_frames_alone() {
    a_small_tile_gets_a_small_picture("video/AV1", "L3T3_KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tile_gets_the_small_layer_of_an_av1_stream_whose_layers_always_depend() {
    a_small_tile_gets_a_small_picture("video/AV1", "L3T3").await;
}

/// Without descriptors, Chromium shows nothing of AV1 in several sizes.
#[tokio::test(flavor = "multi_thread")]
async fn who_agrees_on_no_descriptors_sees_the_smallest_size_of_av1() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page_with("publisher", OPTIONS).await;
    page.go(&server.page("/openapi.json")).await;
    let publish = "await scalable.publish('video/AV1', 'L3T3', 720); return null;";
    page.run::<()>(publish, &[]).await;
    page.run::<()>("await scalable.watch(720, false); return null;", &[])
        .await;
    let is_shown = "(await scalable.received()).framesDecoded > 60 || JSON.stringify(await scalable.received())";
    page.until("pictures", MEDIA_PATIENCE, is_shown).await;
    let shown = received(&page).await;
    assert_eq!(
        (&shown["frameHeight"], &shown["pliCount"]),
        (&json!(180), &json!(0)),
        "{shown}"
    );
}

/// Kb/s of a link that carries all, and of one that carries some of the pictures.
const FAST: u32 = 3_000;
const NARROW: u32 = 190;

/// Pictures and kilobits a second that are received within five seconds, and the seconds for which they stood still.
async fn rates(viewer: &Page) -> [f64; 3] {
    let before = received(viewer).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = received(viewer).await;
    let grown = |field: &str| after[field].as_f64().unwrap_or(0.0) - before[field].as_f64().unwrap_or(0.0);
    [
        grown("framesDecoded") / 5.0,
        grown("bytesReceived") * 8.0 / 5_000.0,
        grown("totalFreezesDuration"),
    ]
}

/// One size, and pictures of which some can be left out: a narrow link gets fewer pictures, and gets them at once.
async fn a_narrow_link_gets_fewer_pictures(mime: &str) {
    let _turn = turn().await;
    let Some(link) = SlowLink::new(FAST) else { return };
    let server = Server::start_with(&SlowLink::configuration()).await;
    let (here, there) = (Chromium::start(), Chromium::start_behind(&link));
    let publisher = here.page_with("publisher", OPTIONS).await;
    publisher.go(&server.page("/openapi.json")).await;
    let viewer = there.page_with("viewer", OPTIONS).await;
    viewer.go(&SlowLink::page("/openapi.json")).await;
    publish_and_watch(&publisher, &viewer, (mime, "L1T3"), 360).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let all = rates(&viewer).await;
    link.set_rate(NARROW);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let narrow = rates(&viewer).await;
    link.set_rate(FAST);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let again = rates(&viewer).await;
    println!(
        "{mime} L1T3, pictures a second, kb/s and seconds of freezes: {all:.1?}, narrow {narrow:.1?}, again {again:.1?}"
    );
    assert!(all[0] > 15.0 && again[0] > 15.0, "{all:?} {again:?}");
    assert!(narrow[0] > 3.0 && narrow[0] < all[0] * 0.7, "{narrow:?} of {all:?}");
    assert!(narrow[2] < 1.0, "{narrow:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_link_gets_fewer_pictures_of_an_av1_stream() {
    a_narrow_link_gets_fewer_pictures("video/AV1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_link_gets_fewer_pictures_of_a_vp8_stream() {
    a_narrow_link_gets_fewer_pictures("video/VP8").await;
}
