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

/// Milliseconds to the first picture where UDP is dropped, and where only the port of the pages is open, too.
const BY_ITS_PORT: f64 = 3_000.0;
const BY_THE_PORT_OF_PAGES: f64 = 4_000.0;

/// Arrivals of which the quickest counts: a machine that runs two browsers may hold one up.
const ARRIVALS: usize = 3;

/// Lets somebody arrive, and again if their first picture came too late. Returns the milliseconds that the quickest took.
async fn arrive(page: &Page, address: &str, within: f64) -> f64 {
    let mut quickest = f64::INFINITY;
    for _ in 0..ARRIVALS {
        page.go(address).await;
        page.until("the first picture", MEDIA_PATIENCE, "window.firstPicture !== null")
            .await;
        let took: f64 = page.eval("window.firstPicture").await;
        println!("first picture after {took:.0} ms");
        quickest = quickest.min(took);
        if quickest < within {
            break;
        }
        page.go("about:blank").await;
    }
    quickest
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
    let by_chromium = arrive(&second, &address(server, 2), within).await;
    let third = firefox::page_with("firefox", script).await;
    let by_firefox = arrive(&third, &address(server, 3), within).await;
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
    let server = Server::start_with("tcp = true").await;
    let ports = MediaPorts::of(&server);
    let Some(firewall) = Firewall::closing(&ports.udp, &[]) else {
        return;
    };
    have_pictures(&server, &firewall, BY_ITS_PORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_have_a_picture_in_time_where_only_the_port_of_the_pages_is_open() {
    let _turn = turn().await;
    let server = Server::start_with("tcp = true").await;
    let ports = MediaPorts::of(&server);
    let Some(firewall) = Firewall::closing(&ports.udp, &ports.tcp) else {
        return;
    };
    have_pictures(&server, &firewall, BY_THE_PORT_OF_PAGES).await;
}
