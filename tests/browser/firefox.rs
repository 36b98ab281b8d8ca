//! Firefox beside Chromium: in both directions in a room, and in a call.

use crate::harness::chromium::Chromium;
use crate::harness::room::{SIGNAL_PATIENCE, address, enter};
use crate::harness::{firefox, turn};
use crate::support::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn firefox_and_chromium_see_and_hear_one_another_in_a_room() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let one = enter(&chromium, &server, 1).await;
    let other = firefox::page("firefox").await;
    other.go(&address(&server, 2)).await;
    for page in [&one, &other] {
        page.sees_and_hears(1).await;
        page.shows_tiles(2, SIGNAL_PATIENCE).await;
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
    }
}
