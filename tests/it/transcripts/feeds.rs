//! Participants who publish a camera and a screen, each over a connection of its own.

use super::Stage;
use super::groupcall_id::two_in_a_room;

#[tokio::test(start_paused = true)]
async fn somebody_publishes_a_camera_and_a_screen_over_two_connections() {
    let mut stage = two_in_a_room().await;
    let answered = |who: &str, feed: &str| {
        let candidate = r#"{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}"#;
        let candidate = format!(r#"{who} < {{"id":"iceCandidate","name":"anna"{feed},"candidate":{candidate}}}"#);
        format!(
            "{who} < {{\"id\":\"receiveVideoAnswer\",\"name\":\"anna\"{feed},\"sdpAnswer\":\"*\"}}\n{candidate}\n{candidate}"
        )
    };
    let screen = r#","feed":"screen""#;
    let steps = [
        r#"anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1"}"#,
        "media open 1 publish",
        &answered("anna", ""),
        r#"anna > {"id":"receiveVideoFrom","sender":"anna","feed":"screen","sdpOffer":"@sendonly 2"}"#,
        "media open 2 publish",
        &answered("anna", screen),
        r#"anna > {"id":"onIceCandidate","name":"anna","feed":"screen","candidate":{}}"#,
        r#"ben > {"id":"receiveVideoFrom","sender":"anna","feed":7,"sdpOffer":"@recvonly 3"}"#,
        "media open 3 watch",
        &answered("ben", ""),
        r#"ben > {"id":"receiveVideoFrom","sender":"anna","feed":"screen","sdpOffer":"@recvonly 4"}"#,
        "media open 4 watch",
        &answered("ben", screen),
        // A reloaded connection takes the place of the one of its name, and of no other.
        r#"anna > {"id":"receiveVideoFrom","sender":"anna","feed":"screen","sdpOffer":"@sendonly 5"}"#,
        "media close 2",
        "media open 5 publish",
        &answered("anna", screen),
        r#"anna > {"id":"receiveVideoFrom","sender":"anna","feed":"hologram","sdpOffer":"x"}"#,
        r#"anna < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"anna","feed":"hologram","sdpOffer":"x"},"reason":"an offer has a sender and an sdpOffer, which is a text; its feed is camera or screen"}"#,
        r#"anna > {"id":"leaveRoom"}"#,
        "media close 1",
        "media close 5",
        "media close 3",
        "media close 4",
        r#"ben < {"id":"participantLeft","name":"anna"}"#,
    ];
    stage.play(&steps.join("\n")).await;
}

const TO_ANNA: &str = r#"{"id":"receiveVideoAnswer","name":"anna","feed":"screen","sdpAnswer":"*"}"#;
const CANDIDATE: &str = r#"{"id":"iceCandidate","name":"anna","feed":"screen","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}"#;

#[tokio::test(start_paused = true)]
async fn those_who_take_notices_are_sent_who_publishes_a_screen_and_that_it_is_over() {
    let mut stage = Stage::new();
    let answered = format!("anna < {TO_ANNA}\nanna < {CANDIDATE}\nanna < {CANDIDATE}");
    let people = ["anna", "ben", "carl"].map(|name| {
        format!(r#"{{"id":"{name}","userId":"{name}","name":"{name}","prefix":"","postfix":"","suffix":""}}"#)
    });
    let steps = [
        r#"anna > {"id":"joinRoom","name":"anna","room":"r","notices":true}"#,
        r#"anna < {"id":"existingParticipants","data":[]}"#,
        r#"ben > {"id":"joinRoom","name":"ben","room":"r","notices":true}"#,
        r#"anna < {"id":"newParticipantArrived","name":"ben"}"#,
        r#"ben < {"id":"existingParticipants","data":["anna"]}"#,
        r#"carl > {"id":"joinRoom","name":"carl","room":"r"}"#,
        r#"anna < {"id":"newParticipantArrived","name":"carl"}"#,
        r#"ben < {"id":"newParticipantArrived","name":"carl"}"#,
        r#"carl < {"id":"existingParticipants","data":["anna","ben"]}"#,
        // Of an offer that cannot be answered the others are sent nothing.
        r#"anna > {"id":"receiveVideoFrom","sender":"anna","feed":"screen","sdpOffer":"x"}"#,
        r#"anna < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"anna","feed":"screen","sdpOffer":"x"},"reason":"the offer is missing or cannot be answered"}"#,
        r#"anna > {"id":"receiveVideoFrom","sender":"anna","feed":"screen","sdpOffer":"@sendonly 1"}"#,
        "media open 1 publish",
        &answered,
        r#"ben < {"id":"participantFeeds","name":"anna","feeds":["screen"]}"#,
        // Whoever comes is sent it, too.
        r#"dora > {"type":"join","userId":4,"room":"r","notices":true}"#,
        r#"anna < {"id":"newParticipantArrived","name":"4"}"#,
        r#"ben < {"id":"newParticipantArrived","name":"4"}"#,
        r#"carl < {"id":"newParticipantArrived","name":"4"}"#,
        &format!(
            r#"dora < {{"type":"existingParticipants","participants":[{}]}}"#,
            people.join(",")
        ),
        r#"dora < {"type":"participantFeeds","userId":"anna","feeds":["screen"]}"#,
        // A new connection in the place of the old one changes nothing.
        r#"anna > {"id":"receiveVideoFrom","sender":"anna","feed":"screen","sdpOffer":"@sendonly 2"}"#,
        "media close 1",
        "media open 2 publish",
        &answered,
        "media lost 2",
        r#"ben < {"id":"participantFeeds","name":"anna","feeds":[]}"#,
        r#"dora < {"type":"participantFeeds","userId":"anna","feeds":[]}"#,
    ];
    stage.play(&steps.join("\n")).await;
}
