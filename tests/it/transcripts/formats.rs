//! Formats that people in a room can decode: how publishers are answered, and to whom it is announced that something
//! cannot be decoded.

use super::Stage;

/// The video formats of the newest answer that a client was sent, in their order. Its earlier messages count as heard.
fn answered(stage: &mut Stage, who: &str) -> Vec<String> {
    let heard = stage.heard(who);
    let mut answers = heard.iter().filter_map(|frame| frame.get("sdpAnswer"));
    let answer = answers
        .next_back()
        .and_then(|answer| answer.as_str())
        .expect("an answer");
    let (_, video) = answer.split_once("m=video ").expect("a section for video");
    let numbers = video.lines().next().unwrap().split(' ').skip(2);
    let name = |number: &str| {
        let map = video.split_once(&format!("a=rtpmap:{number} ")).expect("a map").1;
        map.split('/').next().unwrap().to_owned()
    };
    numbers.map(name).collect()
}

async fn sends_text(stage: &mut Stage, who: &str, what: &str) {
    stage.sends_text(who, &super::offers::fill_in(what)).await;
}

async fn two_in_a_room() -> Stage {
    let mut stage = Stage::new();
    sends_text(&mut stage, "anna", r#"{"type":"join","userId":1}"#).await;
    sends_text(&mut stage, "ben", r#"{"type":"join","userId":2}"#).await;
    stage
}

async fn anna_publishes(stage: &mut Stage, offer: &str) -> Vec<String> {
    let message = format!(r#"{{"type":"receiveVideoFrom","userId":1,"sdpOffer":"{offer}"}}"#);
    sends_text(stage, "anna", &message).await;
    answered(stage, "anna")
}

async fn ben_watches(stage: &mut Stage, offer: &str) {
    let message = format!(r#"{{"type":"receiveVideoFrom","userId":1,"sdpOffer":"{offer}"}}"#);
    sends_text(stage, "ben", &message).await;
}

#[tokio::test(start_paused = true)]
async fn a_publisher_whom_nobody_watches_is_answered_beginning_with_what_everybody_decodes() {
    let mut stage = two_in_a_room().await;
    let formats = anna_publishes(&mut stage, "@sendonly 1 video=AV1,VP9,VP8").await;
    assert_eq!(formats, ["VP8", "AV1", "VP9"]);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_is_answered_with_formats_that_the_people_in_the_room_decode() {
    let mut stage = two_in_a_room().await;
    ben_watches(&mut stage, "@recvonly 2 video=VP9,VP8").await;
    let formats = anna_publishes(&mut stage, "@sendonly 1 video=AV1,VP9,VP8").await;
    assert_eq!(
        formats,
        ["VP9", "VP8"],
        "the offer's order, without what Ben cannot decode"
    );
    // One more comes, who decodes less, and watches Ben, not Anna.
    sends_text(&mut stage, "carl", r#"{"type":"join","userId":3}"#).await;
    let watches = r#"{"type":"receiveVideoFrom","userId":2,"sdpOffer":"@recvonly 3 video=VP8"}"#;
    sends_text(&mut stage, "carl", watches).await;
    let formats = anna_publishes(&mut stage, "@sendonly 1 again video=AV1,VP9,VP8").await;
    assert_eq!(formats, ["VP8", "VP9"]);
    // They leave, and from then on it does not matter what they could decode.
    for who in ["carl", "ben"] {
        sends_text(&mut stage, who, r#"{"type":"leave"}"#).await;
    }
    let formats = anna_publishes(&mut stage, "@sendonly 1 again video=AV1,VP9,VP8").await;
    assert_eq!(formats, ["VP8", "AV1", "VP9"]);
}

#[tokio::test(start_paused = true)]
async fn people_in_other_rooms_are_no_audience() {
    let mut stage = two_in_a_room().await;
    sends_text(&mut stage, "carl", r#"{"type":"join","room":5,"userId":3}"#).await;
    sends_text(&mut stage, "dora", r#"{"type":"join","room":5,"userId":4}"#).await;
    let watches = r#"{"type":"receiveVideoFrom","userId":3,"sdpOffer":"@recvonly 4 video=AV1"}"#;
    sends_text(&mut stage, "dora", watches).await;
    let formats = anna_publishes(&mut stage, "@sendonly 1 video=AV1,VP8").await;
    assert_eq!(formats, ["VP8", "AV1"]);
}

#[tokio::test(start_paused = true)]
async fn each_of_a_call_is_answered_beginning_with_what_the_other_decodes() {
    let mut stage = Stage::new();
    for who in ["anna", "ben"] {
        sends_text(
            &mut stage,
            &format!("{who}@call"),
            &format!(r#"{{"id":"register","name":"{who}"}}"#),
        )
        .await;
    }
    let call = r#"{"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1 video=AV1,VP9,VP8"}"#;
    sends_text(&mut stage, "anna@call", call).await;
    let accepts = r#"{"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2 video=H265,VP9,VP8"}"#;
    sends_text(&mut stage, "ben@call", accepts).await;
    // Formats that work for some stay possible, in the last place.
    assert_eq!(answered(&mut stage, "ben@call"), ["VP9", "VP8", "H265"]);
    assert_eq!(answered(&mut stage, "anna@call"), ["VP9", "VP8", "AV1"]);
}

#[tokio::test(start_paused = true)]
async fn another_offer_in_a_call_is_answered_beginning_with_what_the_other_decodes() {
    let mut stage = Stage::new();
    for who in ["anna", "ben"] {
        sends_text(
            &mut stage,
            &format!("{who}@call"),
            &format!(r#"{{"id":"register","name":"{who}","notices":true}}"#),
        )
        .await;
    }
    let call = r#"{"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1 video=VP9"}"#;
    sends_text(&mut stage, "anna@call", call).await;
    let accepts =
        r#"{"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2 video=VP8"}"#;
    sends_text(&mut stage, "ben@call", accepts).await;
    assert_eq!(answered(&mut stage, "anna@call"), ["VP9"], "nothing better was offered");
    // The same connection, with more formats.
    let again = r#"{"id":"restart","sdpOffer":"@sendrecv 1 video=VP9,VP8"}"#;
    sends_text(&mut stage, "anna@call", again).await;
    assert_eq!(answered(&mut stage, "anna@call"), ["VP8", "VP9"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_could_not_be_set_up_leaves_nothing_for_the_next_one() {
    let mut stage = Stage::new();
    for who in ["anna", "ben"] {
        sends_text(
            &mut stage,
            &format!("{who}@call"),
            &format!(r#"{{"id":"register","name":"{who}"}}"#),
        )
        .await;
    }
    let call =
        |formats: &str| format!(r#"{{"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1 video={formats}"}}"#);
    sends_text(&mut stage, "anna@call", &call("AV1,VP8")).await;
    let accepts = r#"{"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"nonsense"}"#;
    sends_text(&mut stage, "ben@call", accepts).await;
    sends_text(&mut stage, "anna@call", &call("AV1,VP8")).await;
    let accepts =
        r#"{"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2 video=VP8"}"#;
    stage.heard("anna@call");
    sends_text(&mut stage, "ben@call", accepts).await;
    assert_eq!(answered(&mut stage, "anna@call"), ["VP8", "AV1"]);
}

#[tokio::test(start_paused = true)]
async fn a_format_that_somebody_cannot_decode_is_announced_to_both_if_they_asked_for_it() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","userId":1,"notices":true}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","userId":2,"notices":true}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            ben > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@recvonly 1"}
            media open 1 watch
            ben < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            ben < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media cannot 1
            anna < {"type":"mediaUndecodable","userId":1,"watcherId":2,"media":"video","codec":"AV1 profile 0, tier 0"}
            ben < {"type":"mediaUndecodable","userId":1,"watcherId":2,"media":"video","codec":"AV1 profile 0, tier 0"}
            media can 1
            anna < {"type":"mediaDecodable","userId":1,"watcherId":2,"media":"video"}
            ben < {"type":"mediaDecodable","userId":1,"watcherId":2,"media":"video"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_did_not_ask_are_not_sent_what_cannot_be_decoded() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","userId":2,"notices":"yes"}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            carl > {"id":"joinRoom","name":"3","room":"0"}
            anna < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            carl < {"id":"existingParticipants","data":["1","2"]}
            carl > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@recvonly 1"}
            media open 1 watch
            carl < {"id":"receiveVideoAnswer","name":"1","sdpAnswer":"*"}
            carl < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            carl < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media cannot 1
            media can 1
            ben > {"type":"leave"}
            anna < {"type":"participantLeft","userId":2}
            carl < {"id":"participantLeft","name":"2"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn in_a_call_a_client_that_registered_for_it_is_sent_what_cannot_be_decoded() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna@call > {"id":"register","name":"anna","notices":true}
            anna@call < {"id":"registerResponse","response":"accepted","userId":"anna"}
            ben@call > {"id":"register","name":"ben"}
            ben@call < {"id":"registerResponse","response":"accepted","userId":"ben"}
            anna@call > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
            ben@call < {"id":"incomingCall","from":"anna","to":"ben"}
            ben@call > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
            media open 1 both ways
            media open 2 both ways
            ben@call < {"id":"startCommunication","sdpAnswer":"*"}
            ben@call < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben@call < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna@call < {"id":"callResponse","response":"accepted","sdpAnswer":"*"}
            anna@call < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna@call < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media cannot 2
            anna@call < {"id":"mediaUndecodable","from":"ben","to":"anna","media":"video","codec":"AV1 profile 0, tier 0"}
            media can 2
            anna@call < {"id":"mediaDecodable","from":"ben","to":"anna","media":"video"}
            media cannot 1
            anna@call < {"id":"mediaUndecodable","from":"anna","to":"ben","media":"video","codec":"AV1 profile 0, tier 0"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn in_the_family_of_ids_a_client_that_asked_for_it_is_sent_what_cannot_be_decoded() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"r","notices":true}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"id":"joinRoom","name":"ben","room":"r","notices":true}
            anna < {"id":"newParticipantArrived","name":"ben"}
            ben < {"id":"existingParticipants","data":["anna"]}
            ben > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@recvonly 1"}
            media open 1 watch
            ben < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media cannot 1
            anna < {"id":"mediaUndecodable","name":"anna","watcher":"ben","media":"video","codec":"AV1 profile 0, tier 0"}
            ben < {"id":"mediaUndecodable","name":"anna","watcher":"ben","media":"video","codec":"AV1 profile 0, tier 0"}
            media can 1
            anna < {"id":"mediaDecodable","name":"anna","watcher":"ben","media":"video"}
            ben < {"id":"mediaDecodable","name":"anna","watcher":"ben","media":"video"}
            "#,
        )
        .await;
}
