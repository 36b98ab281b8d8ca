//! Networks that let no UDP through: browsers get their pictures by TCP, on a port of its own, or on that of the pages where nothing
//! else is open.

use crate::harness::chromium::{Chromium, Options};
use crate::harness::firewall::{Firewall, MediaPorts};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, address, enter};
use crate::harness::{firefox, turn};
use crate::support::server::Server;

/// A script that measures the time from the first WebSocket to the first picture of somebody else, in milliseconds.
const FIRST_PICTURE: &str = "window.firstPicture = null;
    let opened = null;
    window.WebSocket = class extends WebSocket {
      constructor(...given) {
        super(...given);
        opened ??= performance.now();
      }
    };
    const look = async (receiver) => {
      for (const one of (await receiver.getStats()).values())
        if (one.framesDecoded > 0) window.firstPicture ??= performance.now() - opened;
      if (window.firstPicture === null) setTimeout(look, 20, receiver);
    };
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...given) {
        super(...given);
        this.addEventListener('track', ({ receiver }) => receiver.track.kind === 'video' && look(receiver));
      }
    };";

/// A script that measures for how long no picture of anybody else comes after `pictures.cut` was set to the time of a cut.
pub const PICTURES: &str = "window.pictures = { frames: 0, last: 0, cut: null, again: null };
    const receivers = new Set();
    setInterval(async () => {
      let frames = 0;
      for (const receiver of receivers)
        for (const one of (await receiver.getStats()).values()) frames += one.framesDecoded ?? 0;
      const now = performance.now();
      const { cut, again, last } = pictures;
      if (frames > pictures.frames) {
        if (cut !== null && again === null && now - last > 1000) pictures.again = now - cut;
        pictures.last = now;
      }
      pictures.frames = frames;
    }, 50);
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...given) {
        super(...given);
        this.addEventListener('track', ({ receiver }) => receiver.track.kind === 'video' && receivers.add(receiver));
      }
    };";

/// Milliseconds from the time at which UDP is cut in a call to the next picture, by TCP.
const AFTER_A_CUT: f64 = 8_000.0;

/// Milliseconds to the first picture where UDP is dropped, and where only the port of the pages is open, too.
const BY_ITS_PORT: f64 = 3_000.0;
const BY_THE_PORT_OF_PAGES: f64 = 4_000.0;

async fn first_picture(page: &Page) -> f64 {
    page.until("the first picture", MEDIA_PATIENCE, "window.firstPicture !== null")
        .await;
    page.eval("window.firstPicture").await
}

/// Chromium and Firefox come to somebody who is there, all behind the firewall, and have a picture in time.
async fn have_pictures(server: &Server, firewall: &Firewall, within: f64) {
    let chromium = Chromium::start();
    let first = enter(&chromium, server, 1).await;
    first
        .until(
            "the first one is there",
            MEDIA_PATIENCE,
            "document.querySelector('[data-participant]') !== null",
        )
        .await;
    server
        .until_metric("patchbay_media_tcp_peers", 1.0, MEDIA_PATIENCE)
        .await;
    let script = FIRST_PICTURE;
    let second = chromium
        .page_with(
            "chromium",
            Options {
                script,
                ..Options::default()
            },
        )
        .await;
    second.go(&address(server, 2)).await;
    let by_chromium = first_picture(&second).await;
    let third = firefox::page_with("firefox", script).await;
    third.go(&address(server, 3)).await;
    let by_firefox = first_picture(&third).await;
    println!("first picture: Chromium {by_chromium:.0} ms, Firefox {by_firefox:.0} ms");
    for page in [&first, &second, &third] {
        page.sees_and_hears(2).await;
    }
    assert!(
        by_chromium < within && by_firefox < within,
        "Chromium {by_chromium}, Firefox {by_firefox}"
    );
    let (by_tcp, all) = (
        server.metric("patchbay_media_tcp_peers").await,
        server.metric("patchbay_media_peers").await,
    );
    assert_eq!(by_tcp, all, "all of them by TCP");
    assert!(
        firewall.dropped() > 0,
        "the firewall has dropped nothing: this shows nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_have_a_picture_in_time_where_udp_is_dropped() {
    let _turn = turn().await;
    let server = Server::start().await;
    let ports = MediaPorts::of(&server);
    let Some(firewall) = Firewall::closing(&ports.udp, &[]) else {
        return;
    };
    have_pictures(&server, &firewall, BY_ITS_PORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_have_a_picture_in_time_where_only_the_port_of_the_pages_is_open() {
    let _turn = turn().await;
    let server = Server::start().await;
    let ports = MediaPorts::of(&server);
    let Some(firewall) = Firewall::closing(&ports.udp, &ports.tcp) else {
        return;
    };
    have_pictures(&server, &firewall, BY_THE_PORT_OF_PAGES).await;
}

/// Cuts UDP below pages that see one another by it, and expects that all of them have pictures by TCP in time.
pub async fn move_to_tcp(server: &Server, pages: &[&Page]) {
    for page in pages {
        page.sees_and_hears(pages.len() - 1).await;
    }
    let ports = MediaPorts::of(server);
    let Some(firewall) = Firewall::closing(&ports.udp, &[]) else {
        return;
    };
    for page in pages {
        page.run::<()>("pictures.cut = performance.now(); return null;", &[]).await;
    }
    let mut times = Vec::new();
    for page in pages {
        page.until("a picture again", MEDIA_PATIENCE, "pictures.again !== null").await;
        times.push(page.eval::<f64>("pictures.again").await);
    }
    println!("pictures again after {times:.0?} ms");
    assert!(firewall.dropped() > 0, "the firewall has dropped nothing: this shows nothing");
    assert!(times.iter().all(|&time| time < AFTER_A_CUT), "{times:?}");
    for page in pages {
        page.sees_and_hears(pages.len() - 1).await;
    }
    let all = server.metric("patchbay_media_peers").await.unwrap();
    server.until_metric("patchbay_media_tcp_peers", all, MEDIA_PATIENCE).await;
}

fn with_pictures() -> Options<'static> {
    Options {
        script: PICTURES,
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_room_move_to_tcp_when_udp_is_cut() {
    let _turn = turn().await;
    let (server, chromium) = (Server::start().await, Chromium::start());
    let mut pages = Vec::new();
    for user in [1, 2] {
        let page = chromium.page_with(&format!("user-{user}"), with_pictures()).await;
        page.go(&address(&server, user)).await;
        pages.push(page);
    }
    move_to_tcp(&server, &pages.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_firefox_moves_to_tcp_when_udp_is_cut() {
    let _turn = turn().await;
    let (server, chromium) = (Server::start().await, Chromium::start());
    let by_firefox = firefox::page_with("firefox", PICTURES).await;
    let other = chromium.page_with("chromium", with_pictures()).await;
    other.go(&address(&server, 1)).await;
    by_firefox.go(&address(&server, 2)).await;
    move_to_tcp(&server, &[&by_firefox, &other]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_call_move_to_tcp_when_udp_is_cut() {
    let _turn = turn().await;
    let (server, chromium) = (Server::start().await, Chromium::start());
    let side = |side| server.page(&format!("/?userId=anna&sendId=ben&callType={side}&type=video"));
    let mut pages = Vec::new();
    for role in ["callee", "caller"] {
        let page = chromium.page_with(role, with_pictures()).await;
        page.go(&side(role)).await;
        pages.push(page);
    }
    move_to_tcp(&server, &pages.iter().collect::<Vec<_>>()).await;
}
