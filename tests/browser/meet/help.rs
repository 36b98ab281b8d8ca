//! The dialog that says why a microphone is missing: both pages open it, and the keyboard is enough for it.

use super::INSIDE;
use crate::harness::chromium::{Chromium, Options};
use crate::harness::form::ENTER;
use crate::harness::page::Page;
use crate::harness::room::{SIGNAL_PATIENCE, enter_with};
use crate::harness::shared_turn;
use crate::support::server::Server;

const ESCAPE: &str = "\u{E00C}";

/// A browser that gives no device to the page.
const DENIED: &str =
    "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); };";

async fn is_explained(page: &Page, opener: &str) {
    page.run::<()>("window.focused = document.activeElement; return null;", &[])
        .await;
    page.keys(opener).await;
    let is_open = "document.querySelector('dialog#help:modal')?.contains(document.activeElement) === true";
    page.until("the dialog has the focus", SIGNAL_PATIENCE, is_open).await;
    page.shows("help", "microphone").await;
    // Keys of the page have no effect behind it.
    page.keys("c").await;
    page.keys(ESCAPE).await;
    let is_closed = "document.getElementById('help') === null && document.activeElement === window.focused";
    page.until("it is gone, and the focus is back", SIGNAL_PATIENCE, is_closed)
        .await;
    let is_hidden = "document.getElementById('chat-text').offsetParent === null";
    assert!(page.eval::<bool>(is_hidden).await, "no chat was opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_the_microphone_is_missing_is_said_by_key_and_by_button_and_escape_goes_back() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let pin = ["conference", "add", "4711", "--host-pin", "471147"];
    server.command(&pin, "").await;
    let chromium = Chromium::start();
    let options = || Options {
        script: DENIED,
        ..Options::default()
    };
    let room = enter_with(&chromium, &server, 1, options()).await;
    room.shows_tiles(1, SIGNAL_PATIENCE).await;
    let meet = chromium.page_with("host", options()).await;
    meet.enter_with_pin(&server, "Anna", "471147").await;
    meet.until("she is inside", SIGNAL_PATIENCE, INSIDE).await;
    for page in [&room, &meet] {
        is_explained(page, "m").await;
        page.tab_to("[data-action=mic]").await;
        is_explained(page, ENTER).await;
        page.has_no_errors().await;
    }
}
