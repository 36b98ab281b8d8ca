//! Meetings of several people, and what their host does.

use super::{ASKS, INSIDE, PASSWORD, READY, RINGS, SCREEN, logged_in, start};
use crate::harness::chromium::{Chromium, Options};
use crate::harness::form::ENTER;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::shared_turn;
use crate::support::server::Server;

/// A meeting of Anna, who is its host, Ben and Chen.
async fn meeting(chromium: &Chromium, server: &Server) -> [Page; 3] {
    let settings = ["--host-pin", "471147", "--guests", "anybody"];
    server
        .command(&[&["conference", "add", "4711"], &settings[..]].concat(), "")
        .await;
    let mut pages = Vec::new();
    for (account, pin) in [("anna", "471147"), ("ben", ""), ("chen@example.org", "")] {
        let options = Options {
            script: SCREEN,
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
    for page in &pages {
        page.shows_tiles(3, SIGNAL_PATIENCE).await;
    }
    pages.try_into().unwrap_or_else(|_| panic!("three pages"))
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_seen_and_a_shared_screen_is_beside_the_cameras() {
    let _turn = shared_turn().await;
    let server = start().await;
    let chromium = Chromium::start();
    let [anna, ben, chen] = meeting(&chromium, &server).await;
    for (page, others) in [
        (&anna, ["Ben", "陈晓明"]),
        (&ben, ["Anna", "陈晓明"]),
        (&chen, ["Anna", "Ben"]),
    ] {
        for other in others {
            page.shows_picture_of(other).await;
        }
    }
    ben.press("share").await;
    for page in [&anna, &chen] {
        page.shows_picture_of("Screen of Ben").await;
        page.shows_large("Screen of Ben").await;
        page.shows_picture_of("Ben").await;
    }
    let size = "document.querySelector('[data-participant=screen] video').videoWidth";
    chen.until("in full size", MEDIA_PATIENCE, &format!("{size} === 1600"))
        .await;
    ben.press("share").await;
    for page in [&anna, &chen] {
        page.shows_tiles(3, SIGNAL_PATIENCE).await;
        page.has_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_mutes_spotlights_locks_lets_in_and_removes_and_everybody_chats() {
    let _turn = shared_turn().await;
    let server = start().await;
    let chromium = Chromium::start();
    let [anna, ben, chen] = meeting(&chromium, &server).await;
    ben.chat("Is <b>everybody</b> there?").await;
    for page in [&anna, &ben, &chen] {
        page.shows("chat-list", "Is <b>everybody</b> there?").await;
    }
    let tools = "document.querySelectorAll('#people-list [data-act]').length";
    assert_eq!(ben.eval::<usize>(tools).await, 0, "guests have no tools of hosts");
    anna.press("people").await;
    anna.about("Ben", "mute").await;
    ben.notes("The host has muted you.").await;
    let is_off = "document.querySelector('.bar-controls [data-action=mic]').classList.contains('off')";
    ben.until("the microphone is off", SIGNAL_PATIENCE, is_off).await;
    anna.shows("people-list", "Muted by a host").await;
    ben.press("mic").await;
    ben.notes("only they can let you speak again").await;
    anna.about("Ben", "unmute").await;
    ben.notes("A host lets you speak again").await;
    ben.press("mic").await;
    ben.until("the microphone is on", SIGNAL_PATIENCE, &format!("!{is_off}"))
        .await;

    anna.about("陈晓明", "spotlightOn").await;
    ben.shows_large("陈晓明").await;
    anna.shows("people-list", "In the spotlight").await;
    anna.about("陈晓明", "spotlightOff").await;
    anna.about("Anna (you)", "spotlightOn").await;
    ben.shows_large("Anna").await;

    anna.click("#lock").await;
    let locked = "!document.getElementById('locked').hidden";
    ben.until("it is locked", SIGNAL_PATIENCE, locked).await;
    chen.press("leave").await;
    chen.shows("news", "You left the meeting 4711.").await;
    chen.ask_for("4711").await;
    chen.submit("enter-form").await;
    chen.shows("hold-text", "Waiting for the host").await;
    anna.about("陈晓明", "admit").await;
    chen.until("they are inside", SIGNAL_PATIENCE, INSIDE).await;
    chen.shows_picture_of("Anna").await;

    anna.about("Ben", "remove").await;
    ben.shows("news", "The meeting 4711 is over, or you were removed from it.")
        .await;
    anna.click("#remove-all").await;
    anna.shows("remove-all", "Really end it?").await;
    anna.click("#remove-all").await;
    chen.shows("news", "The meeting 4711 is over").await;
    for page in [&anna, &ben, &chen] {
        page.has_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_calls_somebody_into_the_meeting_who_needs_no_pin() {
    let _turn = shared_turn().await;
    let server = start().await;
    server
        .command(&["conference", "add", "4711", "--host-pin", "471147"], "")
        .await;
    let chromium = Chromium::start();
    let anna = logged_in(&chromium, &server, "anna").await;
    let chen = logged_in(&chromium, &server, "chen@example.org").await;
    anna.ask_for("4711").await;
    anna.enter("471147").await;
    anna.press("people").await;
    anna.fill("invitee", "chen@example.org").await;
    anna.submit("invite-form").await;
    chen.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    chen.shows("ringing", "invites you to a meeting").await;
    chen.keys(ENTER).await;
    chen.until("they are inside", SIGNAL_PATIENCE, INSIDE).await;
    chen.shows_picture_of("Anna").await;
    anna.shows_picture_of("陈晓明").await;
    for page in [&anna, &chen] {
        page.has_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_registered_and_in_their_meeting_again_after_the_server_has_restarted() {
    let _turn = shared_turn().await;
    let mut server = start().await;
    let chromium = Chromium::start();
    let [anna, ben, chen] = meeting(&chromium, &server).await;
    server.restart().await;
    for (page, other) in [(&anna, "Ben"), (&ben, "陈晓明"), (&chen, "Anna")] {
        page.until("they are inside again", MEDIA_PATIENCE, INSIDE).await;
        page.until("calls ring here again", MEDIA_PATIENCE, READY).await;
        page.shows_tiles(3, MEDIA_PATIENCE).await;
        page.sees_and_hears_somebody().await;
        page.shows_picture_of(other).await;
    }
    let host = "patchbay.client.isHost && patchbay.client.people.size === 3";
    anna.until("still a host", SIGNAL_PATIENCE, host).await;
}
