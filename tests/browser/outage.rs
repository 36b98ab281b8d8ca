//! Browsers whose network changes while their signaling works: no UDP for a while, and a NAT that forgets its binding. Once
//! with a client that does only what the specification advises, and once with our own pages.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, address, enter};
use crate::harness::{firefox, turn};
use crate::relay::Relay;
use crate::support::server::Server;

/// Longer than the server keeps sending to a client from which nothing arrives, and longer than browsers call a connection
/// `disconnected`.
const OUTAGE: Duration = Duration::from_secs(32);

/// A script that lets a page's media go through a relay.
const BY_RELAY: &str = include_str!("scripts/by_relay.js");

/// A script that joins as a third-party program would: one connection to publish, one to watch user 2.
const CLIENT: &str = include_str!("scripts/outage.js");

/// When a client restarts ICE, and after how many milliseconds again, if it is not connected by then.
type Restarts = (&'static str, u32);

/// The restarts that the specification advises.
const WHEN_FAILED: Restarts = ("failed", 0);

/// Firefox sends nothing more over a connection that has once failed: it removes its encoders for good, while it calls the
/// restarted connection `connected`, keeps up consent, and receives. So a client has to restart before that.
const WHEN_DISCONNECTED: Restarts = ("disconnected", 6_000);

/// A script with which no connection is restarted before it has failed.
const LATE_RESTARTS: &str = "{
    const restart = RTCPeerConnection.prototype.restartIce;
    RTCPeerConnection.prototype.restartIce = function () {
        if (this.connectionState === 'failed') restart.call(this);
    };
}";

/// The text that a room page shows on the tile of somebody whose connection is lost.
const TILE_WAITS: &str = "document.body.innerText.includes('Waiting') || document.body.innerText.includes('等待')";

/// The note that the page of a call shows then.
const CALL_WAITS: &str = "document.querySelector('.call-away:not([hidden])') !== null";

/// A page whose media go through a relay, and the page of the other side. Media flow both ways.
struct Scene {
    server: Server,
    page: Page,
    other: Page,
    /// The text of the other page while the first one is away.
    waits: &'static str,
    /// The number of connections of the first page that the server keeps for it meanwhile.
    kept: f64,
    relay: Relay,
    _chromium: Chromium,
}

/// The browser of the page that is cut off; the other page is Chromium's.
#[derive(Clone, Copy)]
enum Browser {
    Chromium,
    Firefox,
}

impl Browser {
    /// A page that first runs `script`.
    async fn page(self, chromium: &Chromium, script: &str) -> Page {
        let script = &format!("{BY_RELAY}{script}");
        let options = Options {
            script,
            ..Options::default()
        };
        match self {
            Browser::Chromium => chromium.page_with("chromium-by-relay", options).await,
            Browser::Firefox => firefox::page_with("firefox-by-relay", script).await,
        }
    }
}

impl Scene {
    /// A client of its own beside the page of a room.
    async fn client(browser: Browser, (when, again_ms): Restarts) -> Scene {
        let (server, chromium) = (Server::start().await, Chromium::start());
        let other = enter(&chromium, &server, 2).await;
        other.shows_tiles(1, MEDIA_PATIENCE).await;
        let page = browser.page(&chromium, "").await;
        page.go(&server.page("/static/not-found/")).await;
        page.run::<()>(CLIENT, &[json!(1), json!(2), json!(when), json!(again_ms)])
            .await;
        Scene::begin(server, chromium, page, other, TILE_WAITS, 2.0).await
    }

    /// Two pages of a room. Instead of waiting they make new connections.
    async fn room(browser: Browser) -> Scene {
        let (server, chromium) = (Server::start().await, Chromium::start());
        let other = enter(&chromium, &server, 2).await;
        other.shows_tiles(1, MEDIA_PATIENCE).await;
        let page = browser.page(&chromium, "").await;
        page.go(&address(&server, 1)).await;
        Scene::begin(server, chromium, page, other, TILE_WAITS, 0.0).await
    }

    /// The two pages of a call.
    async fn call(browser: Browser, script: &str, kept: f64) -> Scene {
        let (server, chromium) = (Server::start().await, Chromium::start());
        let side = |side| server.page(&format!("/?userId=anna&sendId=ben&callType={side}&type=video"));
        let other = chromium.page("callee").await;
        other.go(&side("callee")).await;
        let page = browser.page(&chromium, script).await;
        page.go(&side("caller")).await;
        Scene::begin(server, chromium, page, other, CALL_WAITS, kept).await
    }

    async fn begin(
        server: Server,
        chromium: Chromium,
        page: Page,
        other: Page,
        waits: &'static str,
        kept: f64,
    ) -> Scene {
        page.until("an answer", MEDIA_PATIENCE, "byRelay.serverPort > 0").await;
        let port: u16 = page.eval("byRelay.serverPort").await;
        let relay = Relay::to(SocketAddr::from(([127, 0, 0, 1], port))).await;
        page.run::<()>("byRelay.use(args[0]); return null;", &[json!(relay.address.port())])
            .await;
        let scene = Scene {
            server,
            page,
            other,
            waits,
            kept,
            relay,
            _chromium: chromium,
        };
        scene.flows().await;
        assert!(scene.relay.passed() > 0, "media goes by way of the relay");
        scene
    }

    async fn flows(&self) {
        self.page.sees_and_hears(1).await;
        self.other.sees_and_hears(1).await;
    }

    async fn outlives_an_outage(&self) {
        self.relay.cut();
        tokio::time::sleep(OUTAGE).await;
        self.server
            .until_metric("patchbay_media_suspended_peers", self.kept, SIGNAL_PATIENCE)
            .await;
        self.other
            .until("it says that the other is away", SIGNAL_PATIENCE, self.waits)
            .await;
        self.relay.mend();
        self.flows().await;
        let no_longer = format!("!({})", self.waits);
        self.other
            .until("it says so no longer", SIGNAL_PATIENCE, &no_longer)
            .await;
        self.server
            .until_metric("patchbay_media_suspended_peers", 0.0, SIGNAL_PATIENCE)
            .await;
    }

    async fn outlives_a_rebinding(&self) {
        self.relay.rebind();
        // The packets that were on their way to the old port.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.flows().await;
        let restarts: u32 = self.page.eval("outage.publish.restarts + outage.watch.restarts").await;
        assert_eq!(restarts, 0, "the page need not notice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_half_a_minute_without_udp_a_restart_brings_both_directions_of_either_browser_back() {
    let _turn = turn().await;
    // Both outages at once: most of each is waiting.
    let chromium = Scene::client(Browser::Chromium, WHEN_FAILED).await;
    let firefox = Scene::client(Browser::Firefox, WHEN_DISCONNECTED).await;
    tokio::join!(chromium.outlives_an_outage(), firefox.outlives_an_outage());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_page_in_firefox_comes_back_after_half_a_minute_without_udp() {
    let _turn = turn().await;
    Scene::room(Browser::Firefox).await.outlives_an_outage().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_firefox_goes_on_after_half_a_minute_without_udp_or_with_another_connection_if_its_own_has_failed() {
    let _turn = turn().await;
    // Both outages at once: most of each is waiting.
    let kept = Scene::call(Browser::Firefox, "", 1.0).await;
    let failed = Scene::call(Browser::Firefox, LATE_RESTARTS, 0.0).await;
    tokio::join!(kept.outlives_an_outage(), failed.outlives_an_outage());
    let connections: usize = failed.page.eval("probe.alive().length").await;
    assert_eq!(connections, 1, "the failed one is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nat_that_forgets_chromiums_binding_interrupts_media_for_a_moment() {
    let _turn = turn().await;
    Scene::client(Browser::Chromium, WHEN_FAILED)
        .await
        .outlives_a_rebinding()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nat_that_forgets_firefoxs_binding_interrupts_media_for_a_moment() {
    let _turn = turn().await;
    Scene::client(Browser::Firefox, WHEN_FAILED)
        .await
        .outlives_a_rebinding()
        .await;
}
