//! libwebrtc's offer of two transports: Chromium without BUNDLE, in a room and in a call.

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, enter, enter_with};
use crate::harness::turn;
use crate::support::server::Server;

const OPTIONS: Options<'static> = Options {
    script: concat!(
        include_str!("scripts/unbundled.js"),
        include_str!("scripts/transports.js")
    ),
    camera: "",
    flags: &[],
    without: &[],
    window: None,
};

/// Waits until so many connections of the page have a transport for sound and one for pictures, each with a path of its own.
async fn has_two_transports_each(page: &Page, connections: usize) {
    let wanted = vec!["audio connected alone, video connected alone"; connections].join("; ");
    let are_so = format!("(await probe.transports()).join('; ') === '{wanted}'");
    let last = "(await probe.transports()).join('; ')";
    page.until("two transports each", MEDIA_PATIENCE, &format!("{are_so} || {last}"))
        .await;
}

async fn has_no_errors(page: &Page) {
    let errors: Vec<String> = page.eval("probe.errors").await;
    assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_room_sound_and_pictures_go_over_transports_of_their_own() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let unbundled = enter_with(&chromium, &server, 1, OPTIONS).await;
    let bundled = enter(&chromium, &server, 2).await;
    for page in [&unbundled, &bundled] {
        page.sees_and_hears(1).await;
        has_no_errors(page).await;
    }
    // One to publish, one to watch.
    has_two_transports_each(&unbundled, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_call_both_directions_go_over_transports_of_their_own() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let mut pages = Vec::new();
    for side in ["callee", "caller"] {
        let page = chromium.page_with(side, OPTIONS).await;
        let path = format!("/?userId=anna&sendId=ben&callType={side}&type=video");
        page.go(&server.page(&path)).await;
        pages.push(page);
    }
    for page in &pages {
        page.sees_and_hears(1).await;
        has_two_transports_each(page, 1).await;
        has_no_errors(page).await;
    }
}
