//! A page's files and its socket come by one connection, and its files are fetched once.

use std::time::Duration;

use crate::harness::chromium::Chromium;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, address};
use crate::harness::{firefox, turn};
use crate::support::server::Server;

/// A time for connections that a browser opened in advance to end, and for those that it still needs to show that they stay.
const SILENCE: Duration = Duration::from_secs(6);

/// The time that a silent connection has is shorter than that.
const CONFIGURATION: &str = "[http]\nheader_timeout_s = 3\nwebsockets_over_http2 = true\n";

/// The protocols by which a page's files came.
const PROTOCOLS: &str =
    "[...new Set(performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
    .filter((one) => one.name.startsWith(location.origin)).map((one) => one.nextHopProtocol))]";

/// The modules and styles of a page that came from the network, and how many there are. (Browsers fetch icons by rules of their own.)
const FETCHED: &str = "((all) => [all.filter((one) => one.transferSize > 0).map((one) => one.name), all.length])(
    performance.getEntriesByType('resource').filter((one) => new RegExp('/static/v/.*[.](js|css)$').test(one.name)))";

async fn comes_by_one_connection(server: &Server, page: &Page) {
    page.go(&address(server, 1)).await;
    page.shows_tiles(1, MEDIA_PATIENCE).await;
    let protocols: Vec<String> = page.eval(PROTOCOLS).await;
    assert_eq!(protocols, ["h2"]);
    tokio::time::sleep(SILENCE).await;
    // The other one asks for this number.
    server
        .until_metric("patchbay_http_connections", 2.0, SIGNAL_PATIENCE)
        .await;
    // Over HTTP/1.1 it would be 101.
    let opened = "patchbay_http_requests_total{route=\"/groupcall\",status=\"200\"}";
    assert_eq!(server.metric(opened).await, Some(1.0));
    page.shows_tiles(1, SIGNAL_PATIENCE).await;
    assert_eq!(server.metric("patchbay_sessions").await, Some(1.0));
    page.go(&address(server, 1)).await;
    page.shows_tiles(1, MEDIA_PATIENCE).await;
    let (fetched, all): (Vec<String>, usize) = page.eval(FETCHED).await;
    assert_eq!(
        fetched,
        Vec::<String>::new(),
        "all of {all} come from the browser's cache"
    );
    assert!(all > 60, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_comes_to_chromium_by_one_connection() {
    let _turn = turn().await;
    let server = Server::start_with(CONFIGURATION).await;
    let chromium = Chromium::start();
    let page = chromium.page("one").await;
    comes_by_one_connection(&server, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_comes_to_firefox_by_one_connection() {
    let _turn = turn().await;
    let server = Server::start_with(CONFIGURATION).await;
    let page = firefox::page("one").await;
    comes_by_one_connection(&server, &page).await;
}
