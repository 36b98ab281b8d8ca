//! Chromium without UDP for a while, its signaling alive: what pages do that follow the specification's advice
//! (`restartIce()` on `failed`).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::harness::chromium::Chromium;
use crate::harness::room::{MEDIA_PATIENCE, enter};
use crate::harness::turn;
use crate::relay::Relay;
use crate::support::server::Server;

/// Longer than the server keeps sending to a client that it does not hear, and than Chromium calls a connection
/// `disconnected`.
const OUTAGE: Duration = Duration::from_secs(32);

/// Joins as a program of its own would: one connection to publish, one to watch user 2, both through relays.
const PAGE: &str = include_str!("scripts/outage.js");

#[tokio::test(flavor = "multi_thread")]
async fn after_half_a_minute_without_udp_a_restart_brings_both_directions_back() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let other = enter(&chromium, &server, 2).await;
    other.shows_tiles(1, MEDIA_PATIENCE).await;
    let page = chromium.page("user-1").await;
    page.go(&server.page("/static/not-found/")).await;
    page.run::<()>(PAGE, &[json!(1), json!(2)]).await;
    let mut relays = Vec::new();
    for name in ["publish", "watch"] {
        page.until("an answer", MEDIA_PATIENCE, &format!("outage.{name}.mediaPort > 0"))
            .await;
        let port: u16 = page.eval(&format!("outage.{name}.mediaPort")).await;
        let relay = Relay::to(SocketAddr::from(([127, 0, 0, 1], port))).await;
        page.run::<()>(
            &format!("outage.{name}.setRelay(arguments[0]); return null;"),
            &[json!(relay.address.port())],
        )
        .await;
        relays.push(relay);
    }
    let flows = "(await outage.grown('publish')) && (await outage.grown('watch'))";
    page.until("media flows", MEDIA_PATIENCE, flows).await;
    other.sees_and_hears(1).await;

    for relay in &relays {
        relay.cut();
    }
    tokio::time::sleep(OUTAGE).await;
    server
        .until_metric("patchbay_media_suspended_peers", 2.0, Duration::from_secs(5))
        .await;
    let says = "document.body.innerText.includes('Waiting') || document.body.innerText.includes('等待')";
    other.until("their tile says so", Duration::from_secs(5), says).await;
    for relay in &relays {
        relay.mend();
    }
    page.until("media flows again", MEDIA_PATIENCE, flows).await;
    other.sees_and_hears(1).await;
    let no_longer = format!("!({says})");
    other
        .until("the tile is clear", Duration::from_secs(5), &no_longer)
        .await;
    server
        .until_metric("patchbay_media_suspended_peers", 0.0, Duration::from_secs(5))
        .await;
}
