//! People in one room: they see and hear one another, come late, leave, vanish and come back.

use std::time::Duration;

use crate::harness::chromium::Chromium;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, address, enter};
use crate::harness::turn;
use crate::support::server::Server;

const GAUGES: [&str; 4] = [
    "patchbay_rooms",
    "patchbay_participants",
    "patchbay_peers",
    "patchbay_sessions",
];

/// The longest that anybody may be taken for present who is not.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn three_pages_in_one_room_see_and_hear_one_another() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let mut pages = Vec::new();
    for user in 1..=3 {
        pages.push(enter(&chromium, &server, user).await);
    }
    for page in &pages {
        page.sees_and_hears(2).await;
        page.shows_tiles(3, SIGNAL_PATIENCE).await;
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
        let severe: Vec<String> = page
            .console()
            .await
            .into_iter()
            .filter(|line| line.starts_with("SEVERE"))
            .collect();
        assert_eq!(severe, Vec::<String>::new(), "the console complains");
    }
    for (gauge, value) in GAUGES.iter().zip([1.0, 3.0, 9.0, 3.0]) {
        server.until_metric(gauge, value, SIGNAL_PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_with_and_without_tls_meet_in_one_room() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let secure = enter(&chromium, &server, 1).await;
    // What a reverse proxy on this machine would ask for; browsers trust loopback with a camera all the same.
    let plain = chromium.page("plain").await;
    plain
        .go(&server.plain("http", "/room?userId=2&groupId=demo&type=video"))
        .await;
    for page in [&secure, &plain] {
        page.sees_and_hears(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fails, cause not known yet"]
async fn late_joiner_gets_a_picture_within_a_second() {
    const JOINS: usize = 9;
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let first = enter(&chromium, &server, 1).await;
    let late = chromium.page("late").await;
    let mut waits = Vec::new();
    for join in 0..=JOINS {
        late.go(&address(&server, 100 + join as u32)).await;
        late.until("the first picture", MEDIA_PATIENCE, "probe.firstFrames.length === 1")
            .await;
        // From the message that enters the room to the first decoded picture, by the page's own clock.
        let since_join = "probe.firstFrames[0].at - probe.sent.find(({ message }) => message.type === 'join').at";
        waits.push(late.eval::<f64>(since_join).await.round() as u64);
        late.go("about:blank").await;
        first.shows_tiles(1, SIGNAL_PATIENCE).await;
    }
    // How fast it is on a quiet machine is printed, to be read; that nobody waits a second is asserted, anywhere.
    // The browser's first call also starts its decoders and opens the publisher's way.
    let mut warm = waits[1..].to_vec();
    warm.sort_unstable();
    let median = warm[JOINS / 2];
    println!(
        "late joiner: first picture after {median} ms (median of {JOINS}; all: {waits:?} ms; the aim is 500 ms on a quiet machine)"
    );
    assert!(warm[JOINS - 1] < 1_000, "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_frees_everything() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (leaves, closes, vanishes) = (
        enter(&chromium, &server, 1).await,
        enter(&chromium, &server, 2).await,
        enter(&chromium, &server, 3).await,
    );
    vanishes.sees_and_hears(2).await;
    leaves.press("leave").await;
    closes.shows_tiles(2, SIGNAL_PATIENCE).await;
    closes.go("about:blank").await;
    vanishes.shows_tiles(1, SIGNAL_PATIENCE).await;
    vanishes.kill();
    for gauge in GAUGES {
        server.until_metric(gauge, 0.0, NOTICED_WITHIN).await;
    }
    for gauge in [
        "patchbay_media_peers",
        "patchbay_media_tracks",
        "patchbay_media_subscriptions",
        "patchbay_media_rooms",
    ] {
        server.until_metric(gauge, 0.0, SIGNAL_PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_browser_is_gone_for_the_others() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (stays, dies) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    stays.sees_and_hears(1).await;
    dies.kill();
    stays.shows_tiles(1, NOTICED_WITHIN).await;
    server.until_metric("patchbay_peers", 1.0, NOTICED_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reloaded_page_is_back_at_once() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (stays, reloads) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    stays.sees_and_hears(1).await;
    reloads.reload().await;
    reloads.sees_and_hears(1).await;
    stays.sees_and_hears(1).await;
    stays.shows_tiles(2, SIGNAL_PATIENCE).await;
    server.until_metric("patchbay_participants", 2.0, SIGNAL_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_back_by_themselves_when_the_server_was_restarted() {
    let _turn = turn().await;
    let mut server = Server::start().await;
    let chromium = Chromium::start();
    let (one, two) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    for page in [&one, &two] {
        page.sees_and_hears(1).await;
    }
    server.restart().await;
    for page in [&one, &two] {
        page.until(
            "it has joined again",
            MEDIA_PATIENCE,
            "patchbay.client.state === 'joined'",
        )
        .await;
        page.sees_and_hears(1).await;
    }
    server.until_metric("patchbay_participants", 2.0, SIGNAL_PATIENCE).await;
}
