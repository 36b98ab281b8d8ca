//! Calls from one person to another: the page at `/` on both sides, every way in which a call ends, and rooms
//! of two.

use std::time::Duration;

use serde_json::json;

use crate::harness::chromium::Chromium;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::{firefox, shared_turn};
use crate::support::server::Server;

/// A sudden loss is announced to the other side within this time: the server waits 15 s for a page to come back.
const LOSS_NOTICED_WITHIN: Duration = Duration::from_secs(20);

fn call_page(server: &Server, side: &str, more: &str) -> String {
    server.page(&format!("/?userId=anna&sendId=ben&callType={side}{more}"))
}

async fn open(chromium: &Chromium, server: &Server, side: &str, more: &str) -> Page {
    let page = chromium.page(side).await;
    page.go(&call_page(server, side, more)).await;
    page
}

/// Anna's page and Ben's, in a call.
async fn in_a_call(chromium: &Chromium, server: &Server, more: &str) -> (Page, Page) {
    let callee = open(chromium, server, "callee", more).await;
    callee.shows_state("waiting").await;
    let caller = open(chromium, server, "caller", more).await;
    for page in [&caller, &callee] {
        page.shows_state("talking").await;
    }
    (caller, callee)
}

impl Page {
    /// Waits until the call's screen is in a state, and shows it.
    async fn shows_state(&self, state: &str) {
        self.shows_state_within(state, MEDIA_PATIENCE).await;
    }

    async fn shows_state_within(&self, state: &str, within: Duration) {
        let shown = format!(
            "document.querySelector('[data-state=\"{state}\"]') !== null && patchbay.client.state === '{state}'"
        );
        self.until(state, within, &shown).await;
    }

    /// Waits until the call is over for a reason, and shows these words.
    async fn ended(&self, reason: &str, words: &str, within: Duration) {
        let shown = format!("document.querySelector('[data-state=\"ended\"]')?.dataset.reason === '{reason}'");
        self.until(&format!("ended: {reason}"), within, &shown).await;
        let status: String = self.eval("document.querySelector('.call-status').textContent").await;
        assert_eq!(status, words);
        let devices: usize = self
            .eval("Object.values(patchbay.media.tracks).filter(Boolean).length")
            .await;
        assert_eq!(devices, 0, "camera and microphone are let go");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_and_chromium_call_one_another() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let callee = firefox::page("callee").await;
    callee.go(&call_page(&server, "callee", "&type=video")).await;
    callee.shows_state("waiting").await;
    let caller = open(&chromium, &server, "caller", "&type=video").await;
    for page in [&caller, &callee] {
        page.shows_state("talking").await;
        page.sees_and_hears(1).await;
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_both_ways_and_ends_with_a_hang_up_of_either_side() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (caller, callee) = in_a_call(&chromium, &server, "&type=video").await;
    for page in [&caller, &callee] {
        page.sees_and_hears(1).await;
        let peers: usize = page.eval("probe.alive().length").await;
        assert_eq!(peers, 1, "one connection for both directions");
        let shown = "document.querySelector('.call-screen').classList.contains('has-picture')";
        page.until("the other one is shown", SIGNAL_PATIENCE, shown).await;
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
    }
    for (gauge, value) in [
        ("patchbay_calls", 1.0),
        ("patchbay_peers", 2.0),
        ("patchbay_rooms", 1.0),
    ] {
        server.until_metric(gauge, value, SIGNAL_PATIENCE).await;
    }
    caller.press("leave").await;
    caller.ended("hungUp", "Call ended", SIGNAL_PATIENCE).await;
    callee.ended("over", "anna ended the call", SIGNAL_PATIENCE).await;
    server.until_metric("patchbay_peers", 0.0, SIGNAL_PATIENCE).await;

    for page in [&callee, &caller] {
        page.run::<()>(
            "document.querySelector('.call-actions .primary').click(); return null;",
            &[],
        )
        .await;
    }
    for page in [&caller, &callee] {
        page.shows_state("talking").await;
        page.sees_and_hears(1).await;
    }
    callee.press("leave").await;
    caller.ended("over", "ben ended the call", SIGNAL_PATIENCE).await;
    for gauge in [
        "patchbay_calls",
        "patchbay_peers",
        "patchbay_rooms",
        "patchbay_media_peers",
    ] {
        server.until_metric(gauge, 0.0, SIGNAL_PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audio_call_has_sound_and_asks_for_no_camera() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (caller, callee) = in_a_call(&chromium, &server, "&type=audio").await;
    for page in [&caller, &callee] {
        page.run::<()>("await probe.mark(); return null;", &[]).await;
        let heard = "(await probe.grown('audio', 'totalAudioEnergy', 1e-4)) === 1";
        page.until("the other one is heard", MEDIA_PATIENCE, heard).await;
        assert!(page.eval::<bool>("patchbay.media.tracks.video === null").await);
        let cameras: bool = page.eval("document.querySelector('[data-action=camera]').hidden").await;
        assert!(cameras, "no button for a camera");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn muting_and_the_camera_are_seen_on_the_other_side() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (caller, callee) = in_a_call(&chromium, &server, "&type=video").await;
    caller.sees_and_hears(1).await;
    let muted = "!document.querySelector('.call-muted').hidden";
    let picture = "document.querySelector('.call-screen').classList.contains('has-picture')";
    callee.press("mic").await;
    caller.until("the mark of a muted one", SIGNAL_PATIENCE, muted).await;
    callee.press("camera").await;
    caller
        .until("no picture", SIGNAL_PATIENCE, &format!("!{picture}"))
        .await;
    callee.press("mic").await;
    callee.press("camera").await;
    caller
        .until("the mark is gone", SIGNAL_PATIENCE, &format!("!({muted})"))
        .await;
    caller.until("the picture is back", MEDIA_PATIENCE, picture).await;
    caller.sees_and_hears(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_who_is_asked_may_refuse() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let callee = open(&chromium, &server, "callee", "&type=video&answer=ask").await;
    callee.shows_state("waiting").await;
    let caller = open(&chromium, &server, "caller", "&type=video").await;
    callee.shows_state("ringing").await;
    caller.shows_state("calling").await;
    callee
        .run::<()>(
            "document.querySelector('.call-actions .danger').click(); return null;",
            &[],
        )
        .await;
    caller.ended("refused", "ben declined the call", SIGNAL_PATIENCE).await;
    callee.ended("declined", "You declined the call", SIGNAL_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_stops_the_ringing() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let callee = open(&chromium, &server, "callee", "&type=video&answer=ask").await;
    callee.shows_state("waiting").await;
    let caller = open(&chromium, &server, "caller", "&type=video").await;
    callee.shows_state("ringing").await;
    caller.press("leave").await;
    callee.ended("missed", "anna gave up calling", SIGNAL_PATIENCE).await;
    caller.ended("hungUp", "Call ended", SIGNAL_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_answers_in_time_ends_on_both_sides_with_that_reason() {
    let _turn = shared_turn().await;
    let server = Server::start_with("[calls]\nring_timeout_s = 3").await;
    let chromium = Chromium::start();
    let callee = open(&chromium, &server, "callee", "&type=video&answer=ask").await;
    callee.shows_state("waiting").await;
    let caller = chromium.page("caller").await;
    // It may ring before the caller's page has loaded to its end, and rings for three seconds only.
    let address = call_page(&server, "caller", "&type=video");
    tokio::join!(caller.go(&address), callee.shows_state("ringing"));
    caller.ended("timeout", "ben did not answer", SIGNAL_PATIENCE).await;
    callee.ended("missed", "anna gave up calling", SIGNAL_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_in_a_call_is_busy_for_a_third() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (_caller, callee) = in_a_call(&chromium, &server, "&type=video").await;
    let third = chromium.page("third").await;
    third
        .go(&server.page("/?userId=carl&sendId=ben&callType=caller&type=audio"))
        .await;
    third.ended("busy", "ben is in another call", MEDIA_PATIENCE).await;
    callee.sees_and_hears(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_who_opens_the_page_late_is_called_and_one_who_never_does_is_reported() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let caller = open(&chromium, &server, "caller", "&type=video").await;
    caller.shows_state("calling").await;
    let callee = open(&chromium, &server, "callee", "&type=video").await;
    for page in [&caller, &callee] {
        page.shows_state("talking").await;
        page.sees_and_hears(1).await;
    }
    // A callee who closes the page leaves the call.
    callee.go("about:blank").await;
    caller.ended("over", "ben ended the call", SIGNAL_PATIENCE).await;
    caller.reload().await;
    caller.shows_state("calling").await;
    caller
        .ended("offline", "ben can not be reached at the moment", MEDIA_PATIENCE)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_browser_is_noticed_once_it_has_not_come_back() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (caller, callee) = in_a_call(&chromium, &server, "&type=video").await;
    caller.sees_and_hears(1).await;
    let killed = tokio::time::Instant::now();
    callee.kill();
    caller.ended("over", "ben ended the call", LOSS_NOTICED_WITHIN).await;
    println!("the other side was told after {:?}", killed.elapsed());
    for gauge in ["patchbay_calls", "patchbay_peers", "patchbay_rooms"] {
        server.until_metric(gauge, 0.0, SIGNAL_PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_parameters_the_address_stays_the_start_page() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page("visitor").await;
    for path in ["/", "/?userId=anna", "/?sendId=ben&userId=", "/?lang=zh"] {
        page.go(&server.page(path)).await;
        assert!(
            page.eval::<bool>("document.getElementById('create') !== null").await,
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_with_the_same_number_see_each_other_and_a_third_finds_the_room_full() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let direct = server.page("/static/demo/direct_chat.html?room_id=4711");
    let mut pages = Vec::new();
    for name in ["first", "second"] {
        let page = chromium.page(name).await;
        page.go(&direct).await;
        pages.push(page);
    }
    for page in &pages {
        page.shows_state("talking").await;
        page.sees_and_hears(1).await;
    }
    // A group room of that name is another room.
    let elsewhere = chromium.page("elsewhere").await;
    elsewhere
        .go(&server.page("/room?userId=9&groupId=4711&type=audio"))
        .await;
    elsewhere.shows_tiles(1, SIGNAL_PATIENCE).await;

    let third = chromium.page("third").await;
    third.go(&direct).await;
    third
        .ended("full", "This room is full: two people are talking", MEDIA_PATIENCE)
        .await;
    pages[0].sees_and_hears(1).await;
    pages[1].press("leave").await;
    pages[0].shows_state("waiting").await;
    third
        .run::<()>(
            "document.querySelector('.call-actions .primary').click(); return null;",
            &[],
        )
        .await;
    for page in [&pages[0], &third] {
        page.shows_state("talking").await;
        page.sees_and_hears(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opened_without_a_number_it_asks_for_one() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page("asked").await;
    page.go(&server.page("/static/demo/direct_chat.html")).await;
    page.until(
        "it asks",
        SIGNAL_PATIENCE,
        "document.getElementById('notice').hidden === false",
    )
    .await;
    let enter = "document.getElementById('notice-input').value = args[0];
        document.getElementById('notice-form').requestSubmit();
        return null;";
    page.run::<()>(enter, &[json!("a b&c")]).await;
    page.shows_state("waiting").await;
    let number: String = page.eval("new URLSearchParams(location.search).get('room_id')").await;
    assert_eq!(number, "a b&c");
}
