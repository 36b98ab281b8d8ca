//! Access tokens at the whole server: the three ways in which a client shows one, what they let it publish, and their end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay::auth::access_token::{App, Message};
use serde_json::json;

use super::peer::{OPUS_PAYLOAD_TYPE, Peer, VP8_PAYLOAD_TYPE};
use super::scenarios::{Media, subscribe};
use super::signaling::{Family, Signaling};
use crate::support::server::Server;

const ID: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";
const ANNA: u64 = 11;
const BEN: u64 = 22;

async fn server() -> Server {
    let channels = format!("[channels]\napp_id = \"{ID}\"\napp_certificate = \"{CERTIFICATE}\"\n");
    Server::start_with(&format!("{channels}[auth]\nrequired = true\n")).await
}

/// A token for `ch_1` that expires after so many seconds.
#[allow(clippy::disallowed_methods, reason = "the server under test has this clock")]
fn token(user: u64, privileges: &[u16], lasts_s: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let message = Message {
        salt: 1,
        expires_s: (now.as_secs() + lasts_s) as u32,
        privileges: privileges.iter().map(|privilege| (*privilege, 0)).collect(),
    };
    let app = App::new(ID, CERTIFICATE).unwrap();
    app.sign("ch_1", &user.to_string(), &message)
}

async fn join(server: &Server, user: u64, token: &str) -> Signaling {
    let mut signaling = Signaling::connect(&server.plain("ws", "/groupcall"), Family::Type).await;
    signaling
        .send(json!({ "type": "join", "room": "ch_1", "userId": user, "token": token }))
        .await;
    signaling.receive("existingParticipants").await;
    signaling
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_shown_in_the_message_in_the_query_or_in_the_header() {
    let server = server().await;
    let _anna = join(&server, ANNA, &token(ANNA, &[1], 60)).await;
    let ben = token(BEN, &[1], 60);
    let enters = json!({ "type": "join", "room": "ch_1", "userId": BEN });
    // Whoever makes the link may forget that a plus sign in a query stands for a space.
    let plus_signs: Vec<String> = (1..).map(|lasts_s| token(BEN, &[1], 60 + lasts_s)).take(200).collect();
    let with_plus = plus_signs
        .iter()
        .find(|token| token.contains('+'))
        .expect("a plus sign");
    let encoded = with_plus.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    for in_query in [&ben, with_plus, &encoded] {
        let url = server.plain("ws", &format!("/groupcall?token={in_query}"));
        let mut signaling = Signaling::connect(&url, Family::Type).await;
        signaling.send(enters.clone()).await;
        let existing = signaling.receive("existingParticipants").await;
        assert_eq!(existing["participants"][0]["userId"], ANNA);
    }
    let url = server.plain("ws", "/groupcall");
    let mut signaling = Signaling::connect_as(&url, &ben, Family::Type).await;
    signaling.send(enters.clone()).await;
    signaling.receive("existingParticipants").await;
    let mut signaling = Signaling::connect(&url, Family::Type).await;
    signaling.send(enters).await;
    signaling.receive("permisionDeny").await;
    assert_eq!(signaling.closed_within(Duration::from_secs(10)).await, 4401);
    assert!(!server.log().contains(&ben), "tokens are not logged");
    assert!(!server.log().contains(CERTIFICATE));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_publish_sound_alone_is_heard_and_not_seen() {
    let server = server().await;
    let mut anna = join(&server, ANNA, &token(ANNA, &[1, 2], 60)).await;
    let mut peer = Peer::new().await;
    let (audio, video) = (peer.add_audio(1).await, peer.add_video(2).await);
    let offer = peer.offer().await;
    let answer = anna.negotiate(ANNA, &offer).await;
    let (sound, pictures) = answer.split_once("m=video").expect("a section for pictures");
    assert!(sound.contains("a=recvonly"), "{answer}");
    assert!(pictures.contains("a=inactive"), "{answer}");
    peer.accept(&answer).await;
    peer.connected().await;
    // The client sends its pictures all the same.
    let _media = Media::start(audio, video);
    let mut ben = join(&server, BEN, &token(BEN, &[1], 60)).await;
    let mut watching = subscribe(&mut ben, ANNA, |answer| answer).await;
    watching.connected().await;
    for _ in 0..50 {
        let packet = watching.any_packet().await;
        assert_eq!(packet.header.payload_type, OPUS_PAYLOAD_TYPE, "sound alone");
    }
    assert_ne!(OPUS_PAYLOAD_TYPE, VP8_PAYLOAD_TYPE);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_closed_with_a_sentence_when_the_token_has_expired() {
    let server = server().await;
    let mut anna = join(&server, ANNA, &token(ANNA, &[1], 3)).await;
    let mut ben = join(&server, BEN, &token(BEN, &[1], 60)).await;
    anna.receive("newParticipantArrived").await;
    let (code, reason) = anna.farewell_within(Duration::from_secs(20)).await;
    assert_eq!(code, 4410);
    assert!(reason.contains("ask for a new one"), "{reason}");
    assert_eq!(ben.receive("participantLeft").await["userId"], ANNA);
}
