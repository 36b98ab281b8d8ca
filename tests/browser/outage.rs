//! Browsers whose network changes under them, their signaling alive: no UDP for a while, and a NAT that forgets its binding.
//! Their page does what the specification advises (`restartIce()` on `failed`).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::harness::chromium::Chromium;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, enter};
use crate::harness::{firefox, turn};
use crate::relay::Relay;
use crate::support::server::Server;

/// Longer than the server keeps sending to a client that it does not hear, and than Chromium calls a connection
/// `disconnected`.
const OUTAGE: Duration = Duration::from_secs(32);

/// Joins as a program of its own would: one connection to publish, one to watch user 2, both through relays.
const PAGE: &str = include_str!("scripts/outage.js");

/// What shows that media goes both ways.
const FLOWS: &str = "(await outage.grown('publish')) && (await outage.grown('watch'))";

/// A page that publishes and watches user 2, each by way of a relay, and user 2's page. Media flows.
struct Scene {
    server: Server,
    page: Page,
    other: Page,
    relays: Vec<Relay>,
    _chromium: Chromium,
}

impl Scene {
    async fn with(page: Page, server: Server, chromium: Chromium) -> Scene {
        let other = enter(&chromium, &server, 2).await;
        other.shows_tiles(1, MEDIA_PATIENCE).await;
        page.go(&server.page("/static/not-found/")).await;
        page.run::<()>(PAGE, &[json!(1), json!(2)]).await;
        let mut relays = Vec::new();
        for name in ["publish", "watch"] {
            page.until("an answer", MEDIA_PATIENCE, &format!("outage.{name}.mediaPort > 0"))
                .await;
            let port: u16 = page.eval(&format!("outage.{name}.mediaPort")).await;
            let relay = Relay::to(SocketAddr::from(([127, 0, 0, 1], port))).await;
            let use_relay = format!("outage.{name}.setRelay(args[0]); return null;");
            page.run::<()>(&use_relay, &[json!(relay.address.port())]).await;
            relays.push(relay);
        }
        page.until("media flows", MEDIA_PATIENCE, FLOWS).await;
        other.sees_and_hears(1).await;
        assert!(
            relays.iter().all(|relay| relay.passed() > 0),
            "media goes by way of the relays"
        );
        Scene {
            server,
            page,
            other,
            relays,
            _chromium: chromium,
        }
    }

    async fn chromium() -> Scene {
        let (server, chromium) = (Server::start().await, Chromium::start());
        let page = chromium.page("user-1").await;
        Scene::with(page, server, chromium).await
    }

    async fn firefox() -> Scene {
        let (server, chromium) = (Server::start().await, Chromium::start());
        Scene::with(firefox::page("user-1").await, server, chromium).await
    }

    async fn outlives_an_outage(&self) {
        for relay in &self.relays {
            relay.cut();
        }
        tokio::time::sleep(OUTAGE).await;
        self.server
            .until_metric("patchbay_media_suspended_peers", 2.0, Duration::from_secs(5))
            .await;
        let says = "document.body.innerText.includes('Waiting') || document.body.innerText.includes('等待')";
        self.other
            .until("their tile says so", Duration::from_secs(5), says)
            .await;
        for relay in &self.relays {
            relay.mend();
        }
        self.page.until("media flows again", MEDIA_PATIENCE, FLOWS).await;
        self.other.sees_and_hears(1).await;
        let no_longer = format!("!({says})");
        self.other
            .until("the tile is clear", Duration::from_secs(5), &no_longer)
            .await;
        self.server
            .until_metric("patchbay_media_suspended_peers", 0.0, Duration::from_secs(5))
            .await;
    }

    async fn outlives_a_rebinding(&self) {
        for relay in &self.relays {
            relay.rebind();
        }
        // What was on its way to the old port.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.page.until("media flows again", MEDIA_PATIENCE, FLOWS).await;
        self.other.sees_and_hears(1).await;
        let restarts: u32 = self.page.eval("outage.publish.restarts + outage.watch.restarts").await;
        assert_eq!(restarts, 0, "the page need not notice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_half_a_minute_without_udp_a_restart_brings_both_directions_back() {
    let _turn = turn().await;
    Scene::chromium().await.outlives_an_outage().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nat_that_forgets_chromiums_binding_interrupts_media_for_a_moment() {
    let _turn = turn().await;
    Scene::chromium().await.outlives_a_rebinding().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nat_that_forgets_firefoxs_binding_interrupts_media_for_a_moment() {
    let _turn = turn().await;
    Scene::firefox().await.outlives_a_rebinding().await;
}
