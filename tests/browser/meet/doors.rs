//! Conferences on the page of rooms: who enters as a host, and what hosts decide about people there.

use super::{logged_in, start};
use crate::harness::chromium::Chromium;
use crate::harness::page::Page;
use crate::harness::room::SIGNAL_PATIENCE;
use crate::harness::shared_turn;
use crate::support::server::Server;

const IN_ROOM: &str = "!document.getElementById('call').hidden && patchbay.client.state === 'joined'";
const MICROPHONE_OFF: &str = "document.querySelector('.bar-controls [data-action=mic]').classList.contains('off')";
const CAMERA_OFF: &str = "document.querySelector('.bar-controls [data-action=camera]').classList.contains('off')";

/// A server with accounts, so that only users may enter, and with a conference.
async fn conference(settings: &[&str]) -> Server {
    let server = start().await;
    let command = [&["conference", "add", "4711", "--host-pin", "471147"], settings].concat();
    server.command(&command, "").await;
    server
}

/// Somebody without an account at the door of the conference, on the page of rooms.
async fn at_the_door(chromium: &Chromium, server: &Server, name: &str, language: &str) -> Page {
    let page = chromium.page(name).await;
    page.go(&server.page(&format!("/room?groupId=4711&lang={language}")))
        .await;
    page.fill("lobby-name", name).await;
    page
}

impl Page {
    pub(super) async fn joins(&self) {
        self.submit("lobby-form").await;
        self.until("they are in the room", SIGNAL_PATIENCE, IN_ROOM).await;
    }

    /// Answers the question of the page between pages.
    async fn answers(&self, pin: &str) {
        self.fill("notice-input", pin).await;
        self.submit("notice-form").await;
    }

    /// Waits until the banner says this.
    async fn warns(&self, sentence: &str) {
        let shown = format!(
            "!document.getElementById('banner').hidden && document.getElementById('banner-text').textContent.includes({sentence:?})"
        );
        self.until(sentence, SIGNAL_PATIENCE, &shown).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_a_host_says_so_before_they_enter_a_room_and_shows_the_pin() {
    let _turn = shared_turn().await;
    let server = conference(&["--guests", "anybody", "--wait-for-host"]).await;
    let chromium = Chromium::start();
    let host = at_the_door(&chromium, &server, "Hella", "en").await;
    let field_is_hidden = "document.getElementById('lobby-pin-field').hidden";
    assert!(host.eval::<bool>(field_is_hidden).await, "guests are asked for nothing");
    host.click("#lobby-host").await;
    assert!(!host.eval::<bool>(field_is_hidden).await);
    host.submit("lobby-form").await;
    assert!(
        !host.eval::<bool>("document.getElementById('lobby').hidden").await,
        "a PIN is missing"
    );
    host.fill("lobby-pin", "471148").await;
    host.submit("lobby-form").await;
    host.shows("notice-text", "That password or PIN is not right").await;
    host.answers("").await;
    host.shows("notice-title", "The host is not there yet").await;
    host.answers("471147").await;
    host.until("they are in the room", SIGNAL_PATIENCE, IN_ROOM).await;
    host.shows("toasts", "You are a host now.").await;
    host.press("people").await;
    host.shows("panel-people", "Hella (you, host)").await;
    let guest = at_the_door(&chromium, &server, "Gast", "zh").await;
    guest.joins().await;
    guest.shows_tiles(2, SIGNAL_PATIENCE).await;
    assert!(!guest.eval::<bool>("patchbay.client.own.isHost").await);
    for page in [&host, &guest] {
        page.has_no_errors().await;
    }
    host.press("leave").await;
    host.shows("notice-title", "You left the room").await;
    host.reload().await;
    host.fill("lobby-name", "Hella").await;
    host.click("#lobby-host").await;
    host.fill("lobby-pin", "471147").await;
    host.joins().await;
    host.shows("toasts", "You are a host now.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_host_mutes_in_a_room_is_shown_that_also_after_a_reload() {
    let _turn = shared_turn().await;
    let server = conference(&["--guests", "pin", "--guest-pin", "0815"]).await;
    let chromium = Chromium::start();
    let anna = logged_in(&chromium, &server, "anna").await;
    anna.ask_for("4711").await;
    anna.enter("471147").await;
    let gast = at_the_door(&chromium, &server, "Gast", "en").await;
    gast.submit("lobby-form").await;
    gast.shows("notice-title", "This room has a password").await;
    gast.answers("0815").await;
    gast.until("they are in the room", SIGNAL_PATIENCE, IN_ROOM).await;
    gast.until("the microphone is on", SIGNAL_PATIENCE, &format!("!{MICROPHONE_OFF}"))
        .await;
    anna.press("people").await;
    anna.about("Gast", "mute").await;
    gast.warns("The host has muted you.").await;
    gast.until("the microphone is off", SIGNAL_PATIENCE, MICROPHONE_OFF)
        .await;
    gast.press("mic").await;
    gast.shows("toasts", "only they can let you speak again").await;
    assert!(gast.eval::<bool>(MICROPHONE_OFF).await);
    assert!(!gast.eval::<bool>(CAMERA_OFF).await, "the camera is not concerned");

    gast.reload().await;
    gast.submit("lobby-form").await;
    gast.shows("notice-title", "This room has a password").await;
    gast.answers("0815").await;
    gast.warns("The host has muted you.").await;
    gast.until("the microphone is off", SIGNAL_PATIENCE, MICROPHONE_OFF)
        .await;
    anna.shows("people-list", "Muted by a host").await;

    anna.about("Gast", "unmute").await;
    gast.shows("toasts", "A host lets you speak again").await;
    gast.until(
        "no warning is left",
        SIGNAL_PATIENCE,
        "document.getElementById('banner').hidden",
    )
    .await;
    assert!(gast.eval::<bool>(MICROPHONE_OFF).await, "they decide when they speak");
    gast.press("mic").await;
    gast.until("the microphone is on", SIGNAL_PATIENCE, &format!("!{MICROPHONE_OFF}"))
        .await;
    for page in [&anna, &gast] {
        page.has_no_errors().await;
    }
}
