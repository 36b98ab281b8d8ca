//! A page of meetings is sent pictures in the size in which it shows them.

use std::time::Duration;

use tokio::time::Instant;

use super::voices::meeting;
use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
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

/// A page of meetings that sends a camera.
async fn sender_in_meeting(chromium: &Chromium, server: &Server) -> Page {
    let camera = Options {
        camera: "fps=30",
        ..Options::default()
    };
    let sender = chromium.page_with("sender", camera).await;
    sender.enter_with_pin(server, "Sender", "").await;
    sender
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_tile_gets_a_lower_layer_of_a_camera_on_the_page_of_meetings() {
    let _turn = turn().await;
    let (server, chromium) = (meeting().await, Chromium::start());
    let sender = sender_in_meeting(&chromium, &server).await;
    gets_what_its_tiles_show(&chromium, &server, sender).await;
}

/// Time after which what nobody wants has stopped: the tile's measure, five seconds, the order, and two times a second in which it is
/// counted, because it may stop in the first.
const STOPPED_WITHIN: Duration = Duration::from_millis(9_500);

/// Expression: frames that are sent of the middle and of the highest layer within a second.
const UPPER: &str = "(await (async () => {
    const sent = async () => (await probe.outbound('video')).filter(({ rid }) => rid === 'h' || rid === 'f')
        .reduce((sum, { framesSent }) => sum + (framesSent ?? 0), 0);
    const before = await sent();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return (await sent()) - before;
})())";

#[tokio::test(flavor = "multi_thread")]
async fn where_the_only_viewer_on_a_page_of_meetings_shows_a_small_tile_the_upper_layers_stop_until_it_grows() {
    let _turn = turn().await;
    let (server, chromium) = (meeting().await, Chromium::start());
    let sender = sender_in_meeting(&chromium, &server).await;
    let viewer = chromium.page("viewer").await;
    viewer.enter_with_pin(&server, "Viewer", "").await;
    viewer.gets_lines(720).await;
    sender
        .until("an upper layer is sent", MEDIA_PATIENCE, &format!("{UPPER} > 10"))
        .await;
    let area = "Object.assign(document.getElementById('stage').style, { flex: 'none', width: args[0], height: args[1] }); return null;";
    viewer.run::<()>(area, &["250px".into(), "150px".into()]).await;
    let since = Instant::now();
    sender
        .until(
            "the upper layers stand still",
            STOPPED_WITHIN,
            &format!("{UPPER} === 0"),
        )
        .await;
    println!(
        "the upper layers stand still after {:?}, a second of it counted",
        since.elapsed()
    );
    let ordered = "JSON.stringify(patchbay.client.publisher.order.layers)";
    assert_eq!(
        sender.eval::<String>(ordered).await,
        r#"{"f":false,"h":false,"q":true}"#,
        "they are named"
    );
    viewer.gets_lines(180).await;
    viewer.run::<()>(area, &["".into(), "".into()]).await;
    sender
        .until(
            "an upper layer is sent again",
            SIGNAL_PATIENCE,
            &format!("{UPPER} > 10"),
        )
        .await;
    viewer.gets_lines(720).await;
    for page in [&sender, &viewer] {
        page.has_no_errors().await;
    }
}
