//! Input that must do no harm: too long, too deep, too early, or under the names of others.

use patchbay::config::Config;
use serde_json::{Value, json};

use super::groupcall_id::two_in_a_room;
use super::offers::{fill_in, offer};
use super::{House, Stage};

#[tokio::test(start_paused = true)]
async fn before_joining_and_about_strangers_everything_is_ignored() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"leaveRoom"}
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1"}
            anna > {"id":"onIceCandidate","name":"anna","candidate":{"candidate":"","sdpMid":"","sdpMLineIndex":0}}
            anna > {"id":"dance"}
            anna > {"id":
            anna > {"id":null}
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            anna < {"id":"existingParticipants","data":[]}
            anna > {"id":"receiveVideoFrom","sender":"nobody","sdpOffer":"@recvonly 1"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_join_without_a_name_or_a_room_is_closed_with_the_reason() {
    for join in [
        r#"{"id":"joinRoom"}"#,
        r#"{"id":"joinRoom","room":"r"}"#,
        r#"{"id":"joinRoom","name":"","room":"r"}"#,
        r#"{"id":"joinRoom","name":1.5,"room":"r"}"#,
        r#"{"id":"joinRoom","name":null,"room":"r"}"#,
        r#"{"id":"joinRoom","name":["anna"],"room":"r"}"#,
        r#"{"id":"joinRoom","name":"anna"}"#,
        r#"{"id":"joinRoom","name":"anna","room":""}"#,
        r#"{"id":"joinRoom","name":"anna","room":true}"#,
    ] {
        for door in ["groupcall", "direct"] {
            let mut stage = Stage::new();
            stage.play(&format!("anna@{door} > {join}\n anna@{door} x 1008")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_cannot_be_answered_comes_back_with_the_reason_and_the_next_good_one_is_answered() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            ben > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"nonsense"}
            ben < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"anna","sdpOffer":"nonsense"},"reason":"the offer is missing or cannot be answered"}
            ben > {"id":"receiveVideoFrom","sender":"ben","sdpOffer":""}
            ben < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"ben","sdpOffer":""},"reason":"the offer is missing or cannot be answered"}
            ben > {"id":"receiveVideoFrom","sender":"ben"}
            ben < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"ben"},"reason":"*"}
            ben > {"id":"receiveVideoFrom","sender":"","sdpOffer":"v=0"}
            ben < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"","sdpOffer":"v=0"},"reason":"*"}
            ben > {"id":"receiveVideoFrom","sender":"ben","sdpOffer":{"sdp":"x"}}
            ben < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"ben","sdpOffer":{"sdp":"x"}},"reason":"*"}
            ben > {"id":"receiveVideoFrom","sender":"ben","sdpOffer":"@sendonly 1"}
            media open 1 publish
            ben < {"id":"receiveVideoAnswer","name":"ben","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"ben","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"ben","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_list_is_no_message_and_no_field_in_any_family() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > ["join",1]
            anna < {"id":"unrecognizedMessage","type":"unrecognizedMessage","message":["join",1]}
            anna > {"type":"join","userId":[1]}
            anna < {"type":"unrecognizedMessage","message":{"type":"join","userId":[1]}}
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            anna > ["sendMessage","x"]
            anna < {"type":"unrecognizedMessage","message":["sendMessage","x"]}
            anna > {"type":"sendMessage","message":["x"]}
            anna < {"type":"unrecognizedMessage","message":{"type":"sendMessage","message":["x"]}}
            listed > {"id":"joinRoom","name":["b"],"room":"r"}
            listed x 1008
            ben > {"id":"joinRoom","name":"b","room":"r"}
            ben < {"id":"existingParticipants","data":[]}
            ben > ["receiveVideoFrom","b","@sendonly 1"]
            ben > {"id":"receiveVideoFrom","sender":["b"],"sdpOffer":"@sendonly 1"}
            ben < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":["b"],"sdpOffer":"*"},"reason":"*"}
            ben > {"id":"receiveVideoFrom","sender":"b","sdpOffer":["@sendonly 1"]}
            ben < {"id":"unrecognizedMessage","message":{"id":"receiveVideoFrom","sender":"b","sdpOffer":["*"]},"reason":"*"}
            carl@call > ["register","carl"]
            carl@call > {"id":"register","name":["carl"]}
            carl@call < {"id":"registerResponse","response":"rejected: empty user name"}
            carl@call > {"id":"register","name":"carl"}
            carl@call < {"id":"registerResponse","response":"accepted","userId":"carl"}
            carl@call > {"id":"call","to":["carl"],"sdpOffer":"@sendrecv 1"}
            carl@call < {"id":"callResponse","response":"rejected","message":"'to' and 'sdpOffer' must be texts"}
            13800000001/a@device +
            13800000001/a@device > ["call","13800000002","b"]
            13800000001/a@device < {"type":"json_data_invalid","message":"the requested data is invalid"}
            13800000001/a@device > {"type":"call","to_phone":["13800000002"],"to_device_id":"b"}
            13800000001/a@device < {"type":"call_failed","message":"to_phone is failed to parse"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_reaches_into_another_room() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","room":1,"userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","room":2,"userId":2}
            ben < {"type":"existingParticipants","participants":[]}
            ben > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"v=0"}
            ben < {"type":"unrecognizedMessage","message":{"type":"receiveVideoFrom","userId":1,"sdpOffer":"v=0"}}
            ben > {"type":"onIceCandidate","userId":1,"candidate":{"candidate":"candidate:1"}}
            ben > {"type":"sendMessage","message":"x","room":1,"userId":1}
            ben < {"type":"reciveTextMessage","userId":2,"message":"x"}
            ben > {"type":"uploadSuccess","fileName":"f","fileUrl":"u","room":1,"userId":1}
            ben < {"type":"fileUploaded","userId":2,"fileName":"f","fileUrl":"u"}
            ben > {"type":"leave","room":1,"userId":1}
            anna > {"type":"sendMessage","message":"still here"}
            anna < {"type":"reciveTextMessage","userId":1,"message":"still here"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_of_ten_thousand_lines_is_refused_and_the_next_good_one_answered() {
    let mut stage = joined().await;
    let candidates = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n".repeat(10_000);
    let sections = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(1_500);
    for tail in [candidates, sections] {
        let sdp = offer("sendonly", 1, false) + &tail;
        let too_long = sdp.len() > 64 * 1024;
        let request = json!({ "type": "receiveVideoFrom", "userId": 1, "sdpOffer": sdp });
        stage.sends_text("anna", &request.to_string()).await;
        let mut refusal = json!({ "type": "unrecognizedMessage", "message": request });
        if too_long {
            refusal["reason"] = json!("sdpOffer has more than 65536 bytes");
        }
        assert_eq!(stage.heard("anna"), [refusal]);
    }
    let request = fill_in(r#"{"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 2"}"#);
    stage.sends_text("anna", &request).await;
    assert_eq!(stage.heard("anna")[0]["type"], "receiveVideoAnswer");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_lines_that_mean_nothing_and_fit_are_passed_over() {
    let mut stage = joined().await;
    let sdp = offer("sendonly", 1, false) + &"a=x\r\n".repeat(10_000);
    let request = json!({ "type": "receiveVideoFrom", "userId": 1, "sdpOffer": sdp });
    stage.sends_text("anna", &request.to_string()).await;
    assert_eq!(stage.heard("anna")[0]["type"], "receiveVideoAnswer");
}

#[tokio::test(start_paused = true)]
async fn a_bad_offer_leaves_a_live_connection_as_it_was() {
    let mut stage = joined().await;
    stage
        .play(
            r#"
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
            media open 1 publish
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
    let broken = offer("sendonly", 1, true).replace("m=audio", "m=") + "m=\r\n";
    let request = json!({ "type": "receiveVideoFrom", "userId": 1, "sdpOffer": broken });
    stage.sends_text("anna", &request.to_string()).await;
    assert_eq!(stage.heard("anna")[0]["type"], "unrecognizedMessage");
    stage
        .play(
            r#"
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1 again"}
            media again 1 publish
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_too_long_comes_back_and_is_sent_to_nobody_else() {
    let mut stage = joined().await;
    stage.sends_text("ben", r#"{"type":"join","userId":2}"#).await;
    stage.heard("anna");
    stage.heard("ben");
    for character in ["x", "字"] {
        let long = |characters: usize| character.repeat(characters);
        let messages = [
            (
                json!({ "type": "sendMessage", "message": long(16 * 1024 + 1) }),
                "message has more than 16384 characters",
            ),
            (
                json!({ "type": "uploadSuccess", "fileName": long(256), "fileUrl": "u" }),
                "fileName has more than 255 characters",
            ),
            (
                json!({ "type": "uploadSuccess", "fileName": "f", "fileUrl": "x".repeat(2 * 1024 + 1) }),
                "fileUrl has more than 2048 bytes",
            ),
            (
                json!({ "type": "uploadSuccess", "fileName": "f", "fileUrl": "u", "fileType": long(129) }),
                "fileType has more than 128 characters",
            ),
            (
                json!({ "type": "join", "userId": long(129) }),
                "a name has more than 128 characters",
            ),
            (
                json!({ "type": "join", "userId": 1, "room": long(129) }),
                "a name has more than 128 characters",
            ),
            (
                json!({ "type": "join", "userId": 1, "personName": long(129) }),
                "personName has more than 128 characters",
            ),
            (
                json!({ "type": "receiveVideoFrom", "userId": 1, "sdpOffer": long(64 * 1024 + 1) }),
                "sdpOffer has more than 65536 bytes",
            ),
        ];
        for (message, reason) in messages {
            stage.sends_text("anna", &message.to_string()).await;
            assert_eq!(
                stage.heard("anna"),
                [json!({ "type": "unrecognizedMessage", "message": message, "reason": reason })]
            );
            assert_eq!(stage.heard("ben"), Vec::<Value>::new());
        }
        let longest = json!({ "type": "sendMessage", "message": long(16 * 1024) });
        stage.sends_text("anna", &longest.to_string()).await;
        stage.heard("anna");
        assert_eq!(stage.heard("ben")[0]["message"], longest["message"]);
        let file = json!({ "type": "uploadSuccess", "fileName": long(255), "fileUrl": "u" });
        stage.sends_text("anna", &file.to_string()).await;
        stage.heard("anna");
        assert_eq!(stage.heard("ben")[0]["fileName"], file["fileName"]);
    }
}

/// Sends a message in a fresh conversation, after another one that makes it count.
async fn answer_after(before: &str, speaker: &str, message: Value, answer: &str) {
    let mut stage = Stage::new();
    stage.play(before).await;
    stage.sends_text(speaker, &message.to_string()).await;
    stage.play(answer).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_too_long_is_refused_with_the_reason_in_each_family_s_way_wherever_it_stands() {
    let long = "字".repeat(129);
    let sdp = offer("sendonly", 1, false);
    let joined = r#"
        a > {"id":"joinRoom","name":"a","room":"r"}
        a < {"id":"existingParticipants","data":[]}
    "#;
    for message in [
        json!({ "id": "receiveVideoFrom", "sender": long, "sdpOffer": sdp }),
        json!({ "id": "onIceCandidate", "name": long, "candidate": {} }),
        json!({ "id": "joinRoom", "name": "a", "room": long }),
    ] {
        answer_after(joined, "a", message, "a x 1008").await;
    }
    let endless = json!({ "id": "receiveVideoFrom", "sender": "a", "sdpOffer": "x".repeat(64 * 1024 + 1) });
    answer_after(joined, "a", endless, "a x 1009").await;

    let bound = r#"
        a@ws > {"cmd":1,"msgtype":1,"sender":"a"}
        a@ws < {"cmd":3,"sender":"a","timeStamp":"*"}
    "#;
    let message = json!({ "cmd": 5, "msgtype": 1, "sender": "a", "receiver": long });
    answer_after(bound, "a@ws", message, "a@ws x 1008").await;

    let registered = r#"
        a@call > {"id":"register","name":"a"}
        a@call < {"id":"registerResponse","response":"accepted","userId":"a"}
    "#;
    let refused =
        r#"a@call < {"id":"callResponse","response":"rejected","message":"a name has more than 128 characters"}"#;
    for message in [
        json!({ "id": "call", "from": "a", "to": long, "sdpOffer": sdp }),
        json!({ "id": "incomingCallResponse", "from": long, "callResponse": "accept", "sdpOffer": sdp }),
        json!({ "id": "incomingCallErrorResponse", "from": long, "errorResponse": "NoDevice" }),
    ] {
        answer_after(registered, "a@call", message, refused).await;
    }

    let reason = "a name has more than 128 characters";
    for (message, kind, field) in [
        (
            json!({ "type": "call", "to_phone": long, "to_device_id": "b" }),
            "call_failed",
            "to_phone",
        ),
        (
            json!({ "type": "call", "to_phone": "2", "to_device_id": long }),
            "call_failed",
            "to_device_id",
        ),
        (
            json!({ "type": "called_success", "from_phone": long, "from_device_id": "b", "room_id": "r" }),
            "called_failed",
            "from_phone",
        ),
        (
            json!({ "type": "calling_hangup", "notified_phone": "2", "notified_device_id": long }),
            "calling_hungup_error",
            "notified_device_id",
        ),
    ] {
        let answer = json!({ "type": kind, "message": format!("{field} is failed to parse: {reason}") });
        answer_after("1/a@device +", "1/a@device", message, &format!("1/a@device < {answer}")).await;
    }
    let message = json!({ "type": "called_refuse", "from_phone": "2", "from_device_id": "b", "room_id": long });
    let answer = json!({ "type": "called_failed", "from_phone": "2", "from_device_id": "b", "message": reason });
    answer_after("1/a@device +", "1/a@device", message, &format!("1/a@device < {answer}")).await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_password_is_a_wrong_one() {
    let mut stage = Stage::new();
    let join = json!({ "type": "join", "userId": 1, "pw": "x".repeat(257) });
    stage.sends_text("anna", &join.to_string()).await;
    stage
        .play("anna < {\"type\":\"permisionDeny\",\"userId\":1,\"roomId\":0}\n anna x 1008")
        .await;
    let join = json!({ "id": "joinRoom", "name": "b", "room": "r", "pw": "密".repeat(257) });
    stage.sends_text("ben", &join.to_string()).await;
    stage.play("ben x 1008").await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_password_that_a_room_can_have_opens_it_in_both_families() {
    let longest = "密".repeat(256);
    let mut stage = Stage::with(House::default().with_room("7", &longest), Config::default());
    let join = json!({ "type": "join", "userId": 1, "room": 7, "pw": longest });
    stage.sends_text("anna", &join.to_string()).await;
    assert_eq!(stage.heard("anna")[0]["type"], "existingParticipants");
    let join = json!({ "id": "joinRoom", "name": "b", "room": "7", "pw": longest });
    stage.sends_text("ben", &join.to_string()).await;
    assert_eq!(stage.heard("ben")[0]["id"], "existingParticipants");
}

#[tokio::test(start_paused = true)]
async fn deep_json_is_refused_without_being_parsed() {
    let mut stage = joined().await;
    for depth in [17, 100_000] {
        let text = format!(
            r#"{{"type":"sendMessage","message":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        stage.sends_text("anna", &text).await;
        assert_eq!(
            stage.heard("anna"),
            [json!({ "type": "unrecognizedMessage", "message": text })]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_misses_texts_and_stays() {
    let mut stage = joined().await;
    stage.sends_text("ben", r#"{"type":"join","userId":2}"#).await;
    stage.heard("anna");
    stage.heard("ben");
    stage.stop_reading("ben");
    let text = json!({ "type": "sendMessage", "message": "x".repeat(16 * 1024) }).to_string();
    for _ in 0..100 {
        stage.sends_text("anna", &text).await;
        for heard in stage.heard("anna") {
            assert_eq!(heard["type"], "reciveTextMessage", "ben stays");
        }
    }
    let unread = stage.unread_bytes("ben");
    assert!(
        (256 << 10..1 << 20).contains(&unread),
        "{unread} bytes are kept for ben"
    );
    stage
        .sends_text("anna", r#"{"type":"sendMessage","message":"again"}"#)
        .await;
    assert_eq!(stage.heard("ben").last().unwrap()["message"], "again");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_what_a_call_needs_is_dismissed_and_the_room_goes_on() {
    let mut stage = joined().await;
    stage.sends_text("ben", r#"{"type":"join","userId":2}"#).await;
    stage.heard("anna");
    stage.heard("ben");
    stage.stop_reading("ben");
    let mut left = Vec::new();
    for _ in 0..600 {
        stage.sends_text("carl", r#"{"type":"join","userId":3}"#).await;
        stage.sends_text("carl", r#"{"type":"leave"}"#).await;
        stage.heard("carl");
        let heard = stage.heard("anna");
        left.extend(
            heard
                .into_iter()
                .filter(|message| *message == json!({ "type": "participantLeft", "userId": 2 })),
        );
    }
    assert_eq!(left.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_joins_and_leaves_ends_with_nothing_left() {
    let mut stage = Stage::new();
    for round in 0..30 {
        for name in ["anna", "ben", "carl", "dora"] {
            let room = round % 3;
            stage
                .sends_text(name, &format!(r#"{{"id":"joinRoom","name":"same","room":"{room}"}}"#))
                .await;
            stage
                .sends_text(name, &format!(r#"{{"id":"joinRoom","name":"{name}","room":"{room}"}}"#))
                .await;
            stage.heard(name);
        }
    }
    for name in ["anna", "ben", "carl", "dora"] {
        stage.sends_text(name, r#"{"id":"leaveRoom"}"#).await;
        stage.heard(name);
    }
    for name in ["anna", "ben", "carl", "dora"] {
        stage.heard(name);
        stage
            .sends_text(name, r#"{"id":"joinRoom","name":"a","room":"0"}"#)
            .await;
        assert_eq!(stage.heard(name), [json!({ "id": "existingParticipants", "data": [] })]);
        stage.sends_text(name, r#"{"id":"leaveRoom"}"#).await;
    }
}

/// Anna, who is 1 in room 0.
async fn joined() -> Stage {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
    stage
}
