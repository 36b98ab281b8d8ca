//! Participants who publish a camera and a screen, each over a connection of its own.

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
