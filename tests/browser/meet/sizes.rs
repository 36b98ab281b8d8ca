//! A page of meetings is sent pictures in the size in which it shows them.

use super::voices::meeting;
use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::MEDIA_PATIENCE;
use crate::harness::turn;
use crate::support::server::Server;

/// Somebody on the page of rooms, whose camera is sent in three layers of up to 720 lines.
async fn sender(chromium: &Chromium, server: &Server) -> Page {
    let camera = Options {
        camera: "fps=30",
        ..Options::default()
    };
    let page = chromium.page_with("sender", camera).await;
    page.go(&server.page("/room?groupId=4711&lang=en")).await;
    page.fill("lobby-name", "Sender").await;
    page.joins().await;
    page
}

impl Page {
    async fn gets_lines(&self, lines: u32) {
        let comes = format!("(await probe.inbound('video')).some(({{ frameHeight }}) => frameHeight === {lines})");
        self.until(&format!("{lines} lines come"), MEDIA_PATIENCE, &comes).await;
    }
}

/// Shows a sender on a page of meetings in tiles of two sizes.
async fn gets_what_its_tiles_show(chromium: &Chromium, server: &Server, sender: Page) {
    let window = Options {
        window: Some((1000, 800)),
        ..Options::default()
    };
    let viewer = chromium.page_with("viewer", window).await;
    viewer.enter_with_pin(server, "Viewer", "").await;
    // The large tile is as wide as the window.
    viewer.gets_lines(720).await;
    // Two tiles of equal size.
    viewer.press("view").await;
    viewer.gets_lines(360).await;
    viewer.press("view").await;
    viewer.gets_lines(720).await;
    for page in [&sender, &viewer] {
        page.has_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_tile_gets_a_lower_layer_of_a_camera_on_the_page_of_rooms() {
    let _turn = turn().await;
    let (server, chromium) = (meeting().await, Chromium::start());
    let sender = sender(&chromium, &server).await;
    gets_what_its_tiles_show(&chromium, &server, sender).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_tile_gets_a_lower_layer_of_a_camera_on_the_page_of_meetings() {
    let _turn = turn().await;
    let (server, chromium) = (meeting().await, Chromium::start());
    let camera = Options {
        camera: "fps=30",
        ..Options::default()
    };
    let sender = chromium.page_with("sender", camera).await;
    sender.enter_with_pin(&server, "Sender", "").await;
    gets_what_its_tiles_show(&chromium, &server, sender).await;
}
