//! The room page with an access token in its address: where the token is then, and for how long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay::auth::access_token::App;

use crate::harness::chromium::Chromium;
use crate::harness::page::Page;
use crate::harness::room::SIGNAL_PATIENCE;
use crate::harness::shared_turn;
use crate::support::server::Server;

const ID: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";
const CHANNEL: &str = "ch_4aY875LP4o";

/// Seconds for which the shorter of two tokens lets its user in: long enough for a page to load on a busy machine.
const LASTS_S: i64 = 25;

#[allow(clippy::disallowed_methods, reason = "the server under test has this clock")]
fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What the page keeps for reloads.
const KEPT: &str = "return sessionStorage.getItem('patchbay.accessToken') ?? '';";

async fn is_in_the_room(page: &Page, uid: u32, people: usize) {
    page.shows_tiles(people, SIGNAL_PATIENCE).await;
    let address: String = page.run("return location.href;", &[]).await;
    assert!(
        address.ends_with(&format!("/room?channel={CHANNEL}&uid={uid}")),
        "{address}"
    );
    let written: bool = page
        .run("return document.documentElement.outerHTML.includes('006970CA');", &[])
        .await;
    assert!(!written, "the token is in the page");
}

/// Whether the page offers an invitation, where somebody is alone, in the list of people and in the menu of a phone.
async fn offers_invitations(page: &Page) -> Vec<bool> {
    page.press("people").await;
    let offers =
        "const seen = (selector) => [...document.querySelectorAll(selector)].some((one) => one.checkVisibility());
        document.querySelector('[data-action=more]').click();
        return ['.bar-room', '#alone', '#panel-people', '#more-menu'].map((place) =>
            seen(`${place} [data-action=invite], ${place} [data-item=invite]`));";
    page.run(offers, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_leaves_the_address_at_once_and_the_tab_when_its_time_is_over() {
    let _turn = shared_turn().await;
    let app = format!("[channels]\napp_id = \"{ID}\"\napp_certificate = \"{CERTIFICATE}\"");
    let server = Server::start_with(&app).await;
    let chromium = Chromium::start();
    let token = |uid: u32, lasts_s: i64| {
        let app = App::new(ID, CERTIFICATE).unwrap();
        app.issue(CHANNEL, &uid.to_string(), now_s() + lasts_s, 7)
    };
    // Both ways; in a query, a plus sign stands for a space.
    let address = |uid: u32, separator: &str, token: &str| {
        let token = token.replace('+', "%2B");
        server.page(&format!("/room?channel={CHANNEL}&uid={uid}{separator}token={token}"))
    };
    let page = chromium.page("anna").await;
    let other = chromium.page("ben").await;
    other.go(&address(8, "&", &token(8, LASTS_S))).await;
    is_in_the_room(&other, 8, 1).await;
    // Meanwhile, with a token that lasts longer.
    let long = token(7, 3_600);
    page.go(&address(7, "#", &long)).await;
    is_in_the_room(&page, 7, 2).await;
    let kept: String = page.run(KEPT, &[]).await;
    assert!(kept.starts_with(&long), "for a reload");
    page.reload().await;
    is_in_the_room(&page, 7, 2).await;
    let over =
        "!document.querySelector('#notice').hidden && document.querySelector('#notice-input').type === 'password'";
    let patience = Duration::from_secs(LASTS_S as u64) + SIGNAL_PATIENCE;
    other.until("the end of the stay", patience, over).await;
    let kept: String = other.run(KEPT, &[]).await;
    assert_eq!(kept, "", "it lets nobody in any more");
    // No link leads into a channel.
    let alone = "document.getElementById('alone').checkVisibility()";
    page.until("alone", SIGNAL_PATIENCE, alone).await;
    assert_eq!(offers_invitations(&page).await, [false; 4]);
    page.go(&server.page("/room?groupId=demo&userId=7")).await;
    page.until("alone", SIGNAL_PATIENCE, alone).await;
    assert_eq!(offers_invitations(&page).await, [true; 4]);
}
