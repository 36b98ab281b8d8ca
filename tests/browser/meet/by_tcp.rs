//! People in a meeting whose network stops letting UDP through.

use super::*;
use crate::by_tcp::{PICTURES, move_to_tcp};

#[tokio::test(flavor = "multi_thread")]
async fn people_in_a_meeting_move_to_tcp_when_udp_is_cut() {
    let _turn = turn().await;
    let (server, chromium) = (start().await, Chromium::start());
    let settings = ["conference", "add", "4711", "--host-pin", "471147", "--guests", "anybody"];
    server.command(&settings, "").await;
    let mut pages = Vec::new();
    for (account, pin) in [("anna", "471147"), ("ben", "")] {
        let options = Options {
            script: PICTURES,
            ..Options::default()
        };
        let page = chromium.page_with(account, options).await;
        page.go(&server.page("/meet?lang=en")).await;
        page.until("it asks who is there", SIGNAL_PATIENCE, ASKS).await;
        page.log_in(account, PASSWORD).await;
        page.until("calls ring here", SIGNAL_PATIENCE, READY).await;
        page.ask_for("4711").await;
        page.enter(pin).await;
        pages.push(page);
    }
    move_to_tcp(&server, &pages.iter().collect::<Vec<_>>()).await;
}
