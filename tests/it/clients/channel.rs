//! The sequence of the call API with two clients that talk to one another: every request over HTTP, and media in the channel.

use std::time::Duration;

use serde_json::{Value, json};

use super::peer::{OPUS_PAYLOAD_TYPE, Peer};
use super::scenarios::{Media, pictures_in_order, subscribe};
use super::signaling::{Family, Signaling};
use crate::support::server::{Server, http};

const ANNA: u64 = 1234;
const BEN: u64 = 4321;

/// What an app asks of the server. Returns the data of the answer.
async fn ask(server: &Server, path: &str, body: Value) -> Value {
    let url = server.plain("http", &format!("/dapi/{path}"));
    let response = http().post(&url).body(body.to_string()).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["success"], true, "{path}: {answer}");
    answer["data"].clone()
}

async fn report(server: &Server, user: u64, channel: &Value, code: u16) {
    let event = json!({ "uid": user.to_string(), "channel": channel, "code": code });
    ask(server, "call/event", event).await;
}

async fn waiting(server: &Server, user: u64) -> Vec<Value> {
    let messages = ask(server, "call/msg", json!({ "uid": user.to_string() })).await;
    messages.as_array().unwrap().clone()
}

/// Enters the channel with the token of an entry, and publishes.
async fn talk(server: &Server, user: u64, entry: &Value) -> (Signaling, Peer, Media) {
    let mut signaling = Signaling::connect(&server.plain("ws", "/groupcall"), Family::Type).await;
    let join = json!({ "type": "join", "room": entry["channel"], "userId": user, "token": entry["token"] });
    signaling.send(join).await;
    signaling.receive("existingParticipants").await;
    let mut peer = Peer::new().await;
    let (audio, video) = (peer.add_audio(user as u32).await, peer.add_video(user as u32 + 1).await);
    let offer = peer.offer().await;
    let answer = signaling.negotiate(user, &offer).await;
    peer.accept(&answer).await;
    peer.connected().await;
    (signaling, peer, Media::start(audio, video))
}

/// Sound and pictures of somebody arrive, and go on.
async fn hears_and_sees(signaling: &mut Signaling, of: u64) -> Peer {
    let mut peer = subscribe(signaling, of, |answer| answer).await;
    peer.connected().await;
    pictures_in_order(&mut peer, 50).await;
    peer.packet(OPUS_PAYLOAD_TYPE).await;
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn one_calls_another_both_talk_in_the_channel_and_the_call_ends_when_both_say_so() {
    let server = Server::start().await;
    let call = json!({ "src_uid": ANNA.to_string(), "dst_uid": [BEN.to_string()], "extra_msg": "hello" });
    let annas = ask(&server, "call/user", call).await;
    let channel = annas["channel"].clone();
    let (mut anna, _anna_publishing, _anna_media) = talk(&server, ANNA, &annas).await;

    let rings = waiting(&server, BEN).await;
    assert_eq!(
        (&rings[0]["channel"], &rings[0]["status"]),
        (&channel, &json!(0)),
        "{rings:?}"
    );
    let bens = json!({ "uid": BEN.to_string(), "channel": channel });
    let bens = ask(&server, "call/token", bens).await;
    let (mut ben, _ben_publishing, _ben_media) = talk(&server, BEN, &bens).await;
    let arrived = anna.receive("newParticipantArrived").await;
    assert_eq!(arrived["participant"]["userId"], BEN, "{arrived}");
    let _anna_watching = hears_and_sees(&mut anna, BEN).await;
    let _ben_watching = hears_and_sees(&mut ben, ANNA).await;

    for user in [ANNA, BEN] {
        report(&server, user, &channel, 1).await;
        let alive = json!({ "uid": user.to_string(), "channel": channel });
        assert_eq!(ask(&server, "call/heartbeat", alive).await, Value::Null);
    }
    assert_eq!(waiting(&server, ANNA).await[0]["status"], 1);
    report(&server, ANNA, &channel, 2).await;
    drop(anna);
    assert_eq!(
        ben.receive_within("participantLeft", Duration::from_secs(10)).await["userId"],
        ANNA
    );
    report(&server, BEN, &channel, 2).await;
    assert_eq!(waiting(&server, BEN).await, Vec::<Value>::new(), "the call is over");
    let record = ask(&server, "call/record", json!({ "channel": channel })).await;
    assert_eq!(record["ending"], "ended", "{record}");
    assert_eq!(record["events"].as_array().unwrap().len(), 4, "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_somebody_whose_app_is_closed_is_a_push_notice_and_its_end_another() {
    let server = Server::start().await;
    let device = json!({ "uid": BEN.to_string(), "device": "phone", "apns_token": "secret-of-the-phone" });
    ask(&server, "account/update", device).await;
    let call = json!({ "src_uid": ANNA.to_string(), "dst_uid": [BEN.to_string()] });
    let channel = ask(&server, "call/user", call).await["channel"].clone();
    let notices = "patchbay_push_notices_total";
    server.until_metric(notices, 1.0, Duration::from_secs(10)).await;
    report(&server, ANNA, &channel, 1000).await;
    server.until_metric(notices, 2.0, Duration::from_secs(10)).await;
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("a push notice")).collect();
    for (line, kind) in lines.iter().zip(["incoming", "over"]) {
        assert!(line.contains(kind), "{line}");
    }
    assert_eq!(lines.len(), 2, "{log}");
    for secret in ["secret-of-the-phone", channel.as_str().unwrap()] {
        assert!(!log.contains(secret), "neither targets nor names are logged: {log}");
    }
}
