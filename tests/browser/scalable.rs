//! Chromium sends several spatial layers in one stream, and a viewer gets those that its picture needs.

use std::time::Duration;

use serde_json::Value;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::MEDIA_PATIENCE;
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

async fn a_small_tile_gets_a_small_picture(mode: &str) {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page_with("publisher", OPTIONS).await;
    page.go(&server.page("/openapi.json")).await;
    let publish = "await scalable.publish('video/VP9', args[0]); return null;";
    page.run::<()>(publish, &[mode.into()]).await;
    page.run::<()>("await scalable.watch(720); return null;", &[]).await;
    let is_large = "(await scalable.received()).frameHeight === 720 || JSON.stringify([await scalable.received(), await scalable.sent()])";
    page.until("the largest picture", MEDIA_PATIENCE, is_large).await;
    println!("{mode}: {}", page.eval::<Value>("scalable.sent()").await);
    for height in [180, 720, 360, 180, 720] {
        let before = received(&page).await;
        page.run::<()>("scalable.want(args[0]); return null;", &[height.into()])
            .await;
        let waited = until(&page, height).await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let after = received(&page).await;
        let grown = |field: &str| after[field].as_f64().unwrap_or(0.0) - before[field].as_f64().unwrap_or(0.0);
        println!(
            "{mode}: {height} lines after {waited:.0} ms; since then {:.0} pictures, {:.0} kb, {} freezes",
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
    a_small_tile_gets_a_small_picture("L3T3_KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tile_gets_the_small_layer_of_a_vp9_stream_whose_layers_always_depend() {
    a_small_tile_gets_a_small_picture("L3T3").await;
}
