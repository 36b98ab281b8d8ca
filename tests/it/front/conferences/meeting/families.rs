//! A conference in which people, a program and a robot come by several ways: a session of the SDK, the socket of rooms, WHIP and
//! WHEP. Whoever is let in sees and hears the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use patchbay::shares::ClientAddress;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::media::negotiate;
use super::together::roommate_with;
use super::{GUEST_PIN, HOST_PIN, Participant, new_session, start, start_with};
use crate::clients::peer::{OPUS_PAYLOAD_TYPE, PATIENCE, Peer, Track, VP8_PAYLOAD_TYPE};
use crate::conference::{SILENCE, SPEECH, level_extension, send};
use crate::front::running::{Running, header};
use crate::transcripts::offers::offer;
use crate::whip::SDP;

const PROGRAM: u8 = 1;
const BEN: u8 = 2;
const ANNA: u8 = 3;

/// The user as whom the program publishes, and their name. On a server with users nobody else may.
const CAMERA: &str = "anna@example.org";
const CAMERAS_NAME: &str = "安娜";

/// Voices of the main connection of a participant.
const VOICES: usize = 5;

/// Whose sound a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Voice {
    Of(u8),
    Robot,
}

/// Only robots send a recording.
fn voice(payload: &[u8]) -> Voice {
    match payload {
        [0xfc, number, rest @ ..] if rest.iter().all(|byte| byte == number) => Voice::Of(*number),
        _ => Voice::Robot,
    }
}

/// A connection that publishes sound and pictures which say whose they are. The sound is silence at first.
struct Line {
    peer: Peer,
    tracks: (Track, Track),
    number: u8,
}

/// What a connection sends, until it is dropped.
struct Sending {
    level: Arc<AtomicU8>,
    task: JoinHandle<()>,
}

impl Line {
    async fn of(number: u8) -> Line {
        let peer = Peer::new().await;
        let ssrc = u32::from(number) << 16;
        let tracks = (peer.add_audio(ssrc).await, peer.add_video(ssrc + 1).await);
        Line { peer, tracks, number }
    }

    /// Begins to send over a connection that is up.
    fn begin(self, offer: &str) -> (Peer, Sending) {
        let level = Arc::new(AtomicU8::new(SILENCE));
        let (audio, video) = self.tracks;
        let task = tokio::spawn(send(audio, video, level_extension(offer), self.number, level.clone()));
        (self.peer, Sending { level, task })
    }
}

impl Sending {
    fn speaks_at(&self, level: u8) {
        self.level.store(level, Ordering::Relaxed);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn post(running: &Running, path: &str, offer: String) -> Response {
    let request = running.http.post(running.url(path)).header("content-type", SDP);
    request.body(offer).send().await.unwrap()
}

/// Publishes by WHIP.
async fn publish(running: &Running, path: &str, number: u8) -> (Peer, Sending) {
    let mut line = Line::of(number).await;
    let offer = line.peer.offer().await;
    let answer = post(running, path, offer.clone()).await;
    assert_eq!(answer.status().as_u16(), 201);
    line.peer.accept(&answer.text().await.unwrap()).await;
    line.peer.connected().await;
    line.begin(&offer)
}

/// Watches by WHEP.
async fn watch(running: &Running, path: &str) -> Peer {
    let mut peer = Peer::new().await;
    peer.receive().await;
    let answer = post(running, path, peer.offer().await).await;
    assert_eq!(answer.status().as_u16(), 201);
    peer.accept(&answer.text().await.unwrap()).await;
    peer.connected().await;
    peer
}

/// The offer with one section of each kind: the server has one for all voices.
fn for_server(offer: &str) -> String {
    let sections: Vec<&str> = offer.trim_end().split("\r\nm=").take(3).collect();
    let text = sections.join("\r\nm=") + "\r\n";
    let bundle = |line: &str| match line.starts_with("a=group:BUNDLE") {
        true => "a=group:BUNDLE 0 1".to_owned(),
        false => line.to_owned(),
    };
    text.split("\r\n").map(bundle).collect::<Vec<_>>().join("\r\n")
}

/// The answer with a section for each voice, as clients write it for their own connection.
fn for_client(answer: &str, voices: &[u64]) -> String {
    let sections: Vec<&str> = answer.trim_end().split("\r\nm=").collect();
    let [session, audio, video] = sections[..] else {
        panic!("{answer}");
    };
    let mids: Vec<String> = (0..=VOICES).map(|mid| mid.to_string()).collect();
    let session = session.replace("a=group:BUNDLE 0 1", &format!("a=group:BUNDLE {}", mids.join(" ")));
    let mut sections = vec![session, audio.to_owned(), video.to_owned()];
    for (mid, ssrc) in (2..).zip(&voices[1..]) {
        let line = |line: &str| match line {
            "a=mid:0" => format!("a=mid:{mid}"),
            "a=sendrecv" => "a=sendonly".to_owned(),
            // No two tracks have one name.
            line if line.starts_with("a=ssrc:") => {
                let (_, of) = line.split_once(' ').unwrap();
                format!("a=ssrc:{ssrc} {of}-{mid}")
            }
            line if line.starts_with("a=msid:") => format!("{line}-{mid}"),
            line => line.to_owned(),
        };
        sections.push(audio.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n"));
    }
    sections.join("\r\nm=") + "\r\n"
}

/// Offers the main connection of a participant.
async fn connect(participant: &Participant<'_>, number: u8) -> (Peer, Sending) {
    let mut line = Line::of(number).await;
    line.peer.receive_audios(VOICES - 1).await;
    let offer = line.peer.offer().await;
    let calls = participant.about(participant, "calls");
    let body = json!({ "call_type": "WEBRTC", "sdp": for_server(&offer) });
    let called = participant.ask(&calls, body).await;
    let voices: Vec<u64> = serde_json::from_value(called["audio_ssrcs"].clone()).unwrap();
    let answer = for_client(called["sdp"].as_str().unwrap(), &voices);
    line.peer.accept(&answer).await;
    line.peer.connected().await;
    line.begin(&offer)
}

/// Waits until these voices are heard, each by a stream of its own.
async fn hears(peer: &mut Peer, voices: &[Voice]) {
    let mut streams = BTreeMap::new();
    let heard = async {
        while !voices.iter().all(|voice| streams.values().any(|one| one == voice)) {
            let packet = peer.packet(OPUS_PAYLOAD_TYPE).await;
            streams.insert(packet.header.ssrc, voice(&packet.payload));
        }
    };
    let heard = timeout(PATIENCE, heard).await;
    assert!(heard.is_ok(), "{voices:?} are not heard, but {streams:?}");
}

/// Waits until this publisher is seen.
async fn sees(peer: &mut Peer, number: u8) {
    let seen = async { while peer.packet(VP8_PAYLOAD_TYPE).await.payload.last() != Some(&number) {} };
    assert!(timeout(PATIENCE, seen).await.is_ok(), "{number} is not seen");
}

/// The `uri` of each participant by the name that is shown.
async fn people(participant: &Participant<'_>) -> BTreeMap<String, String> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let people = participant.get("participants").await;
    let people = people.as_array().unwrap().iter();
    people
        .map(|one| (text(one, "display_name"), text(one, "uri")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_a_robot_somebody_in_the_room_and_a_participant_see_and_hear_one_another() {
    let running = start_with(|config| config.whip.watch_without_token = true).await;
    let robots = running.server.robots();
    robots
        .invite(&"closed".into(), ClientAddress::THIS_MACHINE)
        .await
        .unwrap();
    let anna = Participant::enter(&running, "closed", HOST_PIN, "Anna").await;
    let (mut annas, _hers) = connect(&anna, ANNA).await;
    hears(&mut annas, &[Voice::Robot]).await;

    let (_program, programs) = publish(
        &running,
        &format!("/whip/closed?userId={CAMERA}&pw={GUEST_PIN}"),
        PROGRAM,
    )
    .await;
    let join = json!({ "type": "join", "room": "closed", "userId": "ben", "pw": GUEST_PIN });
    let mut ben = roommate_with(&running, join).await;
    let there = ben.receive("existingParticipants").await;
    assert_eq!(there["participants"].as_array().unwrap().len(), 3, "{there}");
    let mut line = Line::of(BEN).await;
    let offered = negotiate(&mut ben, "ben", &mut line.peer).await;
    let (_bens, his) = line.begin(&offered);
    let people = people(&anna).await;
    let names: Vec<&str> = people.keys().map(String::as_str).collect();
    assert_eq!(names, ["Anna", "Ben", "robot", CAMERAS_NAME]);

    hears(&mut annas, &[Voice::Robot, Voice::Of(PROGRAM), Voice::Of(BEN)]).await;
    for (speaks, listens, number) in [(&programs, &his, PROGRAM), (&his, &programs, BEN)] {
        listens.speaks_at(SILENCE);
        speaks.speaks_at(SPEECH);
        sees(&mut annas, number).await;
    }
    hears(&mut annas, &[Voice::Robot, Voice::Of(PROGRAM), Voice::Of(BEN)]).await;

    for (user, number) in [(CAMERA, PROGRAM), (people["Anna"].as_str(), ANNA)] {
        let mut watching = Peer::new().await;
        watching.receive().await;
        negotiate(&mut ben, user, &mut watching).await;
        sees(&mut watching, number).await;
        hears(&mut watching, &[Voice::Of(number)]).await;
    }
    let mut listening = Peer::new().await;
    listening.receive().await;
    negotiate(&mut ben, "robot", &mut listening).await;
    hears(&mut listening, &[Voice::Robot]).await;
    let place = format!("/whep/closed/{}?userId=ben&pw={GUEST_PIN}", people["Anna"]);
    let mut viewer = watch(&running, &place).await;
    sees(&mut viewer, ANNA).await;
    hears(&mut viewer, &[Voice::Of(ANNA)]).await;
}

fn as_user(protocol: &str, place: &str) -> String {
    let separator = if place.contains('?') { '&' } else { '?' };
    format!("/{protocol}/{place}{separator}userId={CAMERA}")
}

/// The status with which a program is answered that wants to publish in a conference.
async fn published(running: &Running, place: &str) -> u16 {
    let response = post(running, &as_user("whip", place), offer("sendonly", 1, false)).await;
    response.status().as_u16()
}

#[tokio::test]
async fn a_program_enters_with_a_pin_where_one_is_needed_and_while_it_may() {
    let running = start_with(|config| config.whip.watch_without_token = true).await;
    let wrong = "closed?pw=9999";
    for (place, status) in [
        ("closed", 403),
        (wrong, 403),
        (&*format!("closed?pw={GUEST_PIN}"), 201),
        (&*format!("closed?pw={HOST_PIN}"), 201),
        ("open", 201),
        ("patient", 403),
    ] {
        assert_eq!(published(&running, place).await, status, "{place}");
        let watched = as_user("whep", place);
        let answer = post(&running, &watched, offer("recvonly", 2, false)).await;
        assert_eq!(answer.status().as_u16(), status, "{watched}");
    }
    let host = Participant::enter(&running, "patient", HOST_PIN, "Host").await;
    assert_eq!(published(&running, "patient").await, 201, "a host is there");
    host.ask("lock", json!({})).await;
    assert_eq!(published(&running, "patient").await, 403, "it is locked");
    let by_host = format!("patient?pw={HOST_PIN}");
    assert_eq!(published(&running, &by_host).await, 201, "for guests");
}

#[tokio::test]
async fn a_host_removes_a_program_and_a_robot_and_the_robot_does_not_come_again() {
    let running = start().await;
    let host = Participant::host(&running, "Host").await;
    let mut events = host.events().await;
    events.until("participant_sync_end").await;
    let robots = running.server.robots();
    robots
        .invite(&"open".into(), ClientAddress::THIS_MACHINE)
        .await
        .unwrap();
    let response = post(&running, &as_user("whip", "open"), offer("sendonly", 1, false)).await;
    assert_eq!(response.status().as_u16(), 201);
    let session = header(&response, "location").to_owned();
    let mut there = Vec::new();
    for _ in 0..2 {
        there.push(events.until("participant_create").await["uuid"].clone());
    }
    for uuid in there {
        let remove = format!("participants/{}/disconnect", uuid.as_str().unwrap());
        host.ask(&remove, json!({})).await;
        assert_eq!(events.until("participant_delete").await["uuid"], uuid);
    }
    assert_eq!(running.get(&session).await.status().as_u16(), 404);
    // A robot that was lost comes again after half a second.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(people(&host).await.len(), 1);
    assert!(!robots.remove(&"open".into()).await, "it has left");
}

#[tokio::test]
async fn wrong_pins_by_one_way_slow_down_the_others() {
    let running = start().await;
    let address = "192.0.2.1";
    for _ in 0..10 {
        let request = running.http.post(running.url(&as_user("whip", "closed?pw=9999")));
        let request = request.header("content-type", SDP).header("X-Forwarded-For", address);
        let response = request.body(offer("sendonly", 1, false)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 403);
    }
    let request = running.http.post(running.url("/api/services/closed/new_session"));
    let request = request.header("pin", HOST_PIN).header("X-Forwarded-For", address);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 429);
    let (status, answer) = new_session(&running, "closed", Some(HOST_PIN), json!({})).await;
    assert_eq!(status, 200, "another address: {answer}");
}
