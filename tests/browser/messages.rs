//! The page of the message socket: invitations, agreement, refusal, cancellation, and several
//! people together.

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::shared_turn;
use crate::support::server::Server;

const RINGS: &str = "document.getElementById('ringing').open";

async fn online(chromium: &Chromium, server: &Server, id: &str, name: &str) -> Page {
    let page = chromium.page(name).await;
    page.go(&server.page(&format!("/messages?userId={id}&userName={name}&lang=en")))
        .await;
    page.until(
        "it is online",
        SIGNAL_PATIENCE,
        "document.getElementById('own-dot').hasAttribute('data-on')",
    )
    .await;
    page
}

impl Page {
    async fn sees_online(&self, id: &str) {
        let row = format!("document.querySelector('[data-contact=\"{id}\"] .dot')?.hasAttribute('data-on') === true");
        self.until(&format!("{id} is shown as online"), SIGNAL_PATIENCE, &row)
            .await;
    }

    async fn calls(&self, id: &str, kind: &str) {
        let click = format!("document.querySelector('[data-contact=\"{id}\"] [data-call=\"{kind}\"]').click()");
        self.run::<()>(&format!("{click}; return null;"), &[]).await;
    }

    async fn remembers(&self, sentence: &str) {
        let found = format!("document.getElementById('history').textContent.includes({sentence:?})");
        self.until(sentence, SIGNAL_PATIENCE, &found).await;
    }

    /// In the page that is shown in place: from now on, pictures of so many others are decoded.
    pub async fn sees_in_place(&self, others: usize) {
        let shown = "document.querySelector('#in-call iframe')?.contentWindow?.probe !== undefined";
        self.until("the call is shown", MEDIA_PATIENCE, shown).await;
        let inner = "document.querySelector('#in-call iframe').contentWindow.probe";
        self.run::<()>(&format!("await {inner}.mark(); return null;"), &[])
            .await;
        let decoded = format!("(await {inner}.grown('video', 'framesDecoded', 10)) === {others}");
        self.until(&format!("{others} others are seen"), MEDIA_PATIENCE, &decoded)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_agrees_to_an_invitation_sees_and_is_seen() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = online(&chromium, &server, "1", "Anna").await;
    let ben = online(&chromium, &server, "2", "Ben").await;
    anna.sees_online("2").await;
    ben.sees_online("1").await;
    anna.calls("2", "video").await;
    ben.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    let caller: String = ben.eval("document.querySelector('#ringing h2').textContent").await;
    assert_eq!(caller, "Anna");
    ben.press("agree").await;
    anna.sees_in_place(1).await;
    ben.sees_in_place(1).await;
    anna.press("hang-up").await;
    let over = "document.getElementById('in-call') === null";
    ben.until("the other page closes the call, too", SIGNAL_PATIENCE, over)
        .await;
    ben.remembers("Call with Anna ended").await;
    server.until_metric("patchbay_calls", 0.0, SIGNAL_PATIENCE).await;
    for page in [&anna, &ben] {
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_refused_given_up_or_comes_late() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = online(&chromium, &server, "1", "Anna").await;
    let ben = online(&chromium, &server, "2", "Ben").await;
    let second = online(&chromium, &server, "2", "Ben").await;
    anna.sees_online("2").await;

    anna.calls("2", "audio").await;
    for page in [&ben, &second] {
        page.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    }
    ben.press("refuse").await;
    anna.remembers("Ben refused.").await;
    second
        .until("the other page stops", SIGNAL_PATIENCE, &format!("!{RINGS}"))
        .await;

    anna.calls("2", "video").await;
    ben.until("it rings again", SIGNAL_PATIENCE, RINGS).await;
    anna.run::<()>("document.getElementById('state-cancel').click(); return null;", &[])
        .await;
    ben.until("it stops", SIGNAL_PATIENCE, &format!("!{RINGS}")).await;
    ben.remembers("Missed call from Anna").await;
    server.until_metric("patchbay_calls", 0.0, SIGNAL_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_invited_and_meet_in_a_room() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let phone = Options {
        window: Some((390, 780)),
        ..Options::default()
    };
    let carl = chromium.page_with("Carl", phone).await;
    carl.go(&server.page("/messages?userId=3&userName=Carl&lang=zh")).await;
    let anna = online(&chromium, &server, "1", "Anna").await;
    let ben = online(&chromium, &server, "2", "Ben").await;
    for id in ["2", "3"] {
        anna.sees_online(id).await;
        let choose = format!("document.querySelector('[data-contact=\"{id}\"] input').click(); return null;");
        anna.run::<()>(&choose, &[]).await;
    }
    anna.run::<()>("document.getElementById('group-video').click(); return null;", &[])
        .await;
    for page in [&ben, &carl] {
        page.until("it rings", SIGNAL_PATIENCE, RINGS).await;
        page.press("agree").await;
    }
    for page in [&anna, &ben, &carl] {
        page.sees_in_place(2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_markup_are_shown_as_they_are() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = online(&chromium, &server, "1", "Anna").await;
    let eve = chromium.page("eve").await;
    eve.go(&server.page("/messages?userId=2&userName=%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E"))
        .await;
    anna.sees_online("2").await;
    eve.sees_online("1").await;
    eve.calls("1", "video").await;
    anna.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    let shown: (String, bool, usize) = anna
        .eval("[document.querySelector('#ringing h2').textContent, 'hacked' in window, document.querySelectorAll('#ringing img, #contacts img').length]")
        .await;
    assert_eq!(shown, ("<img src=x onerror=\"window.hacked=1\">".to_owned(), false, 0));
}
