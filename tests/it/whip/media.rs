//! Media between programs by WHIP and WHEP, and people in the room.

use std::time::Duration;

use reqwest::Response;

use super::{SDP, TRICKLE};
use crate::clients::peer::{OPUS_PAYLOAD_TYPE, PATIENCE, Peer, VP8_PAYLOAD_TYPE};
use crate::clients::scenarios::{Media, subscribe};
use crate::clients::signaling::{Family, Signaling};
use crate::conference::{Publisher, SILENCE, SPEECH, level_extension};
use crate::front::running::header;
use crate::support::server::Server;
use crate::transcripts::offers::offer;

/// Watching needs no token.
const OPEN: &str = "[whip]\nwatch_without_token = true";

const ROOM: u64 = 7;
const ANNA: u64 = 11;
const BEN: u64 = 22;

/// A client of the two protocols, with its connection and the address of its session.
struct Program {
    peer: Peer,
    session: String,
    /// The answer to its offer.
    answer: String,
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn post(server: &Server, path: &str, offer: String) -> Response {
    let request = http().post(server.plain("http", path)).header("content-type", SDP);
    request.body(offer).send().await.unwrap()
}

impl Program {
    /// Offers its connection there.
    async fn open(server: &Server, path: &str, mut peer: Peer) -> Program {
        let offer = peer.offer().await;
        let answer = post(server, path, offer).await;
        assert_eq!(answer.status().as_u16(), 201);
        let session = header(&answer, "location").to_owned();
        let answer = answer.text().await.unwrap();
        peer.accept(&answer).await;
        peer.connected().await;
        Program { peer, session, answer }
    }

    /// Publishes counted sound and pictures.
    async fn publish(server: &Server, user: u64) -> (Program, Media) {
        let peer = Peer::new().await;
        let (audio, video) = (peer.add_audio(user as u32).await, peer.add_video(user as u32 + 1).await);
        let program = Program::open(server, &format!("/whip/{ROOM}?userId={user}"), peer).await;
        (program, Media::start(audio, video))
    }

    async fn watch(server: &Server, path: &str) -> Program {
        let peer = Peer::new().await;
        peer.receive().await;
        Program::open(server, path, peer).await
    }

    async fn sees_and_hears(&mut self) {
        self.peer.packet(VP8_PAYLOAD_TYPE).await;
        self.peer.packet(OPUS_PAYLOAD_TYPE).await;
    }

    async fn delete(&self, server: &Server) -> u16 {
        let request = http().delete(server.plain("http", &self.session));
        request.send().await.unwrap().status().as_u16()
    }

    async fn is_known(&self, server: &Server) -> bool {
        let response = http().get(server.plain("http", &self.session)).send().await.unwrap();
        response.status().is_success()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_publishes_is_a_participant_and_a_viewer_is_seen_by_nobody() {
    let server = Server::start_with(OPEN).await;
    let (mut ben, _) = Signaling::join(&server, Family::Id, ROOM, BEN).await;
    let (anna, _media) = Program::publish(&server, ANNA).await;
    assert_eq!(ben.receive("newParticipantArrived").await["name"], ANNA.to_string());
    let mut watching = subscribe(&mut ben, ANNA, |answer| answer).await;
    watching.packet(VP8_PAYLOAD_TYPE).await;
    watching.packet(OPUS_PAYLOAD_TYPE).await;

    let mut named = Program::watch(&server, &format!("/whep/{ROOM}/{ANNA}")).await;
    named.sees_and_hears().await;
    let (_carl, others) = Signaling::join(&server, Family::Id, ROOM, 33).await;
    assert_eq!(others.len(), 2, "the viewer is not listed: {others:?}");
    // The next arrival that is announced is a person's.
    assert_eq!(ben.receive("newParticipantArrived").await["name"], "33");

    assert_eq!(anna.delete(&server).await, 200);
    assert_eq!(ben.receive("participantLeft").await["name"], ANNA.to_string());
    // Whoever was received has left: the session is over, and its player may ask again.
    let over = async {
        while named.is_known(&server).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), over)
        .await
        .expect("the viewer's session ends");
    assert_eq!(named.delete(&server).await, 404);
}

/// Publishes pictures that say whose they are, and sound whose level can be changed.
async fn publish_levels(server: &Server, user: u64, number: u8) -> Publisher {
    let mut peer = Peer::new().await;
    let (audio, video) = (peer.add_audio(user as u32).await, peer.add_video(user as u32 + 1).await);
    let offer = peer.offer().await;
    let extension = level_extension(&offer);
    let answer = post(server, &format!("/whip/{ROOM}?userId={user}"), offer).await;
    peer.accept(&answer.text().await.unwrap()).await;
    peer.connected().await;
    Publisher::start(peer, (audio, video), extension, number)
}

/// Waits for a picture of a publisher.
async fn shows(viewer: &mut Program, number: u8) {
    let shown = async { while viewer.peer.packet(VP8_PAYLOAD_TYPE).await.payload.last() != Some(&number) {} };
    let shown = tokio::time::timeout(PATIENCE, shown).await;
    assert!(shown.is_ok(), "no picture of publisher {number}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_a_room_receives_the_one_who_speaks() {
    let server = Server::start_with(OPEN).await;
    let mut viewer = Program::watch(&server, &format!("/whep/{ROOM}")).await;
    let anna = publish_levels(&server, ANNA, 1).await;
    let ben = publish_levels(&server, BEN, 2).await;
    for (speaks, listens, number) in [(&anna, &ben, 1), (&ben, &anna, 2), (&anna, &ben, 1)] {
        listens.speaks_at(SILENCE);
        speaks.speaks_at(SPEECH);
        shows(&mut viewer, number).await;
    }
    viewer.peer.packet(OPUS_PAYLOAD_TYPE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_a_room_receives_a_program_that_sends_no_audio_levels() {
    let server = Server::start_with(OPEN).await;
    let mut before = Program::watch(&server, &format!("/whep/{ROOM}")).await;
    let (_anna, _media) = Program::publish(&server, ANNA).await;
    before.sees_and_hears().await;
    let mut after = Program::watch(&server, &format!("/whep/{ROOM}")).await;
    after.sees_and_hears().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_go_on_through_an_ice_restart_by_patch() {
    let server = Server::start_with(OPEN).await;
    let (mut ben, _) = Signaling::join(&server, Family::Id, ROOM, BEN).await;
    let (mut anna, _media) = Program::publish(&server, ANNA).await;
    let mut watching = subscribe(&mut ben, ANNA, |answer| answer).await;
    watching.packet(VP8_PAYLOAD_TYPE).await;

    anna.peer.restart_ice().await;
    let offer = anna.peer.offer().await;
    let line = |name: &str| {
        let wanted = format!("a={name}:");
        offer.lines().find(|line| line.starts_with(&wanted)).unwrap().to_owned()
    };
    let fragment = format!("{}\r\n{}\r\n", line("ice-ufrag"), line("ice-pwd"));
    let request = http().patch(server.plain("http", &anna.session));
    let request = request.header("content-type", TRICKLE).header("if-match", "*");
    let answer = request.body(fragment).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(header(&answer, "etag"), "\"2\"");
    let ours = answer.text().await.unwrap();
    anna.peer.accept(&restarted(&anna.answer, &ours)).await;
    anna.peer.connected().await;
    // What is on its way is received first.
    while !watching.is_silent(Duration::ZERO).await {}
    for _ in 0..50 {
        watching.packet(VP8_PAYLOAD_TYPE).await;
    }
    assert!(anna.is_known(&server).await);
    let left = tokio::time::timeout(Duration::from_millis(200), ben.receive("participantLeft")).await;
    assert!(left.is_err(), "the publisher has not left");
}

/// The answer before, with the ICE user and password of a fragment: what a client makes of the two (RFC 9725 §4.3.3).
fn restarted(answer: &str, fragment: &str) -> String {
    let line_of = |text: &str, prefix: &str| text.lines().find(|line| line.starts_with(prefix)).map(str::to_owned);
    let renewed = |line: &str| {
        let prefix = ["a=ice-ufrag:", "a=ice-pwd:"]
            .into_iter()
            .find(|prefix| line.starts_with(prefix));
        prefix
            .and_then(|prefix| line_of(fragment, prefix))
            .unwrap_or_else(|| line.to_owned())
    };
    answer.lines().map(renewed).collect::<Vec<_>>().join("\r\n") + "\r\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_offers_whose_ice_never_comes_vanish() {
    let server = Server::start_with(OPEN).await;
    for number in 0..100 {
        let path = match number % 3 {
            0 => format!("/whip/{ROOM}?userId={number}"),
            1 => format!("/whep/{ROOM}/0"),
            _ => format!("/whep/{ROOM}"),
        };
        let direction = if number % 3 == 0 { "sendonly" } else { "recvonly" };
        let answer = post(&server, &path, offer(direction, number, false)).await;
        assert_eq!(answer.status().as_u16(), 201, "{number}");
    }
    assert_eq!(server.metric("patchbay_peers").await, Some(100.0));
    for gauge in [
        "patchbay_peers",
        "patchbay_participants",
        "patchbay_sessions",
        "patchbay_rooms",
    ] {
        server.until_metric(gauge, 0.0, Duration::from_secs(40)).await;
    }
}
