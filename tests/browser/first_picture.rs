//! The time from a link to somebody's picture: how often a join waits for the server.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::lossy_path::LossyPath;
use crate::harness::room::{MEDIA_PATIENCE, enter};
use crate::harness::slow_tcp::SlowTcp;
use crate::harness::turn;
use crate::support::server::Server;

const BY_PATH: &str = include_str!("scripts/by_relay.js");
const TIMES: &str = include_str!("scripts/first_picture.js");
/// The port at which the server takes the media of the first connection of a page.
const MEDIA_PORT: &str = "Number(/a=candidate:\\S+ 1 udp \\d+ 127\\.0\\.0\\.1 (\\d+) /.exec(probe.alive()[0].remoteDescription.sdp)[1])";
const JOINS: usize = 7;

/// Milliseconds since the page opened its socket.
#[derive(Debug, Deserialize)]
struct Times {
    /// The page sends its join.
    join: u64,
    /// The list of people has come.
    list: u64,
    connected: u64,
    picture: u64,
    /// Whether the list came with the answer to an offer.
    answered: bool,
}

fn median(joins: &[Times], of: fn(&Times) -> u64) -> u64 {
    let mut values: Vec<u64> = joins.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Joins a room with one person in it, over a way that takes this long there and back. The first join is left out.
async fn joins(chromium: &Chromium, server: &Server, media_port: u16, round_trip: Duration) -> Vec<Times> {
    let signaling = SlowTcp::to(server.tls_port(), round_trip).await;
    let media = LossyPath::to(SocketAddr::from(([127, 0, 0, 1], media_port))).await;
    media.becomes(0, round_trip);
    let script = format!("{BY_PATH}byRelay.use({});", media.address.port());
    let options = Options {
        script: &script,
        ..Options::default()
    };
    let page = chromium.page_with("late", options).await;
    let mut joins = Vec::new();
    for join in 0..=JOINS {
        let user = 100 + join;
        page.go(&format!(
            "https://localhost:{}/room?userId={user}&groupId=demo&type=video",
            signaling.port
        ))
        .await;
        page.until("the first picture", MEDIA_PATIENCE, "probe.firstFrames.length === 1")
            .await;
        joins.push(page.run::<Times>(TIMES, &[]).await);
        page.go("about:blank").await;
    }
    joins.split_off(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_waits_for_one_message_before_it_connects() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let first = enter(&chromium, &server, 1).await;
    first
        .until("it publishes", MEDIA_PATIENCE, "probe.connected.length === 1")
        .await;
    let media_port: u16 = first.eval(MEDIA_PORT).await;
    for round_trip in [0, 100] {
        let joins = joins(&chromium, &server, media_port, Duration::from_millis(round_trip)).await;
        println!(
            "round trip {round_trip} ms: join sent {} ms after the socket was opened, list {}, connected {}, picture {} (medians of {JOINS})",
            median(&joins, |one| one.join),
            median(&joins, |one| one.list),
            median(&joins, |one| one.connected),
            median(&joins, |one| one.picture)
        );
        assert!(joins.iter().all(|one| one.answered), "{joins:?}");
        let waits = median(&joins, |one| one.list - one.join);
        assert!(waits >= round_trip, "the way takes no time: {joins:?}");
    }
}
