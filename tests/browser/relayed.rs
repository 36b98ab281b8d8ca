//! Our relay (TURN), as the pages are told of it: browsers that may use nothing else get their pictures, by each way to it.

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, address, enter};
use crate::harness::{firefox, turn};
use crate::support::server::Server;

const RELAYS: &str = "[turn]\nrelay = \"on\"\nport = 0";

/// A script that leaves one way to the server: the relay whose address begins and ends so.
fn only(scheme: &str, transport: &str) -> String {
    format!(
        "const all = [];
        window.ways = async () => {{
          const found = new Set();
          for (const pc of all) {{
            const stats = [...(await pc.getStats()).values()];
            const used = stats.filter(({{ type, nominated, state }}) => type === 'candidate-pair' && nominated && state === 'succeeded');
            for (const {{ localCandidateId }} of used) {{
              const local = stats.find(({{ id }}) => id === localCandidateId);
              found.add(`${{local.candidateType}} ${{local.relayProtocol}}`);
            }}
          }}
          return [...found].join();
        }};
        window.RTCPeerConnection = class extends RTCPeerConnection {{
          constructor(configuration) {{
            const chosen = (url) => url.startsWith('{scheme}:') && url.endsWith('transport={transport}');
            const iceServers = configuration.iceServers.map((one) => ({{ ...one, urls: one.urls.filter(chosen) }}));
            super({{ ...configuration, iceServers, iceTransportPolicy: 'relay' }});
            all.push(this);
          }}
        }};"
    )
}

async fn sees_by(page: &Page, way: &str) {
    page.sees_and_hears(1).await;
    assert_eq!(page.run::<String>("return await window.ways();", &[]).await, way);
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_has_pictures_by_the_relay_alone_over_udp_tcp_and_tls() {
    let _turn = turn().await;
    let server = Server::start_with(RELAYS).await;
    let chromium = Chromium::start();
    let other = enter(&chromium, &server, 1).await;
    for (user, (scheme, transport, way)) in [("turn", "udp", "udp"), ("turn", "tcp", "tcp"), ("turns", "tcp", "tls")]
        .into_iter()
        .enumerate()
    {
        let script = only(scheme, transport);
        let options = Options {
            script: &script,
            ..Options::default()
        };
        let page = chromium.page_with(way, options).await;
        page.go(&address(&server, 2 + user as u32)).await;
        sees_by(&page, &format!("relay {way}")).await;
        other.sees_and_hears(1).await;
        server
            .until_metric("patchbay_media_relay_peers", 2.0, MEDIA_PATIENCE)
            .await;
        drop(page);
        other.shows_tiles(1, MEDIA_PATIENCE).await;
        server
            .until_metric("patchbay_media_relay_peers", 0.0, MEDIA_PATIENCE)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_has_pictures_by_the_relay_alone_over_tcp() {
    let _turn = turn().await;
    let server = Server::start_with(RELAYS).await;
    let chromium = Chromium::start();
    let _other = enter(&chromium, &server, 1).await;
    let page = firefox::page_with("firefox", &only("turn", "tcp")).await;
    page.go(&address(&server, 2)).await;
    sees_by(&page, "relay tcp").await;
}
