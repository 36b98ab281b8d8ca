//! Messages without sense, from the wrong client, or about somebody else's call.

use super::*;
use crate::transcripts::offers;

#[tokio::test(start_paused = true)]
async fn media_that_cannot_be_set_up_rejects_the_caller_and_stops_the_callee() {
    for bad in [r#","sdpOffer":"nonsense""#, r#","sdpOffer":"""#, ""] {
        let mut stage = ringing().await;
        let accept = format!(r#"{{"id":"incomingCallResponse","from":"anna","callResponse":"accept"{bad}}}"#);
        play(
            &mut stage,
            &format!(
                r#"
                ben > {accept}
                anna < {{"id":"callResponse","response":"rejected","message":"the call could not be set up"}}
                ben < {{"id":"stopCommunication"}}
                ben > {{"id":"stop"}}
                "#
            ),
        )
        .await;
    }

    let mut stage = registered().await;
    play(
        &mut stage,
        r#"
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"nonsense"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        anna < {"id":"callResponse","response":"rejected","message":"the call could not be set up"}
        ben < {"id":"stopCommunication"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn candidates_may_come_at_any_time_with_any_keys_and_are_never_answered() {
    let candidates = r#"
        anna > {"id":"onIceCandidate","candidate":{"candidate":"candidate:1 1 udp 1 ::1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}
        anna > {"id":"onIceCandidate","candidate":{"candidate":"candidate:1 1 tcp 1 ::1 9 typ host tcptype active","sdpMid":"0","sdpMLineIndex":0}}
        anna > {"id":"onIceCandidate","candidate":{"candidate":"","sdpMid":null,"sdpMLineIndex":null}}
        anna > {"id":"onIceCandidate","candidate":null}
        "#;
    play(&mut call_stage(), candidates).await;
    play(&mut registered().await, candidates).await;
    play(&mut ringing().await, candidates).await;
    play(&mut in_a_call().await, candidates).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_make_no_sense_are_rejected_with_the_reason() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        carl > {"id":"call","from":"carl","to":"ben","sdpOffer":"@sendrecv 3"}
        carl < {"id":"callResponse","response":"rejected","message":"register first"}
        carl > {"id":"register","name":"carl"}
        carl < {"id":"registerResponse","response":"accepted","userId":"carl"}
        carl > {"id":"call","from":"carl","to":"carl","sdpOffer":"@sendrecv 3"}
        carl < {"id":"callResponse","response":"rejected","message":"*"}
        carl > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 3"}
        carl < {"id":"callResponse","response":"rejected","message":"'from' is not the name that you registered"}
        carl > {"id":"call","from":"carl","sdpOffer":"@sendrecv 3"}
        carl < {"id":"callResponse","response":"rejected","message":"*"}
        carl > {"id":"call","from":"carl","to":"ben"}
        carl < {"id":"callResponse","response":"rejected","message":"*"}
        carl > {"id":"call","from":"carl","to":"ben","sdpOffer":7}
        carl < {"id":"callResponse","response":"rejected","message":"*"}
        anna > {"id":"call","from":"anna","to":"carl","sdpOffer":"@sendrecv 3"}
        anna < {"id":"callResponse","response":"rejected","message":"the session is in a call"}
        "#,
    )
    .await;
    let offer = "v".repeat(64 * 1024 + 1);
    let long = format!(r#"{{"id":"call","from":"carl","to":"ben","sdpOffer":"{offer}"}}"#);
    stage.sends_text("carl@call", &long).await;
    let heard = stage.heard("carl@call");
    assert_eq!(heard[0]["message"], "the offer is too long");
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_or_ends_the_calls_of_others() {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        carl > {"id":"register","name":"carl"}
        carl < {"id":"registerResponse","response":"accepted","userId":"carl"}
        carl > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 9"}
        carl > {"id":"incomingCallResponse","from":"anna","callResponse":"reject","message":"user declined"}
        carl > {"id":"incomingCallErrorResponse","from":"anna","to":"ben","errorResponse":"NoDevice"}
        carl > {"id":"stop"}
        anna > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 9"}
        ben > {"id":"incomingCallResponse","from":"carl","callResponse":"accept","sdpOffer":"@sendrecv 9"}
        ben > {"id":"incomingCallResponse","from":"nobody","callResponse":"accept","sdpOffer":"@sendrecv 9"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        BEN AND ANNA ARE ANSWERED
        carl > {"id":"stop"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"reject"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_no_message_of_the_family_is_ignored_and_the_socket_stays() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        anna > nonsense
        anna > {
        anna > []
        anna > 7
        anna > null
        anna > {}
        anna > {"id":7}
        anna > {"id":"nonsense"}
        anna > {"type":"join","room":1,"userId":1}
        anna > {"id":"joinRoom","name":"anna","room":"r"}
        anna > {"id":"incomingCallResponse"}
        anna > {"id":"incomingCallResponse","from":"ben"}
        anna > {"id":"incomingCallResponse","from":{},"callResponse":"accept"}
        anna > {"id":"incomingCallErrorResponse","from":"ben"}
        anna > {"id":"incomingCallErrorResponse","from":"ben","errorResponse":"SomethingElse"}
        anna > {"id":"heart"}
        anna < {"id":"heart"}
        stranger > {"id":"stop"}
        stranger > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 9"}
        stranger > {"id":"heart"}
        stranger < {"id":"heart"}
        "#,
    )
    .await;
    stage.sends_text("anna@call", &"[".repeat(100_000)).await;
    let heart = format!(r#"{{"id":"heart","padding":"{}"}}"#, "x".repeat(100_000));
    stage.sends_text("anna@call", &heart).await;
    assert_eq!(stage.heard("anna@call").len(), 1, "more than 64 KiB are read");
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_cannot_be_answered_is_rejected_with_the_reason() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        anna > {"id":"restart"}
        anna < {"id":"callResponse","response":"rejected","message":"'sdpOffer' must be a text"}
        anna > {"id":"restart","sdpOffer":7}
        anna < {"id":"callResponse","response":"rejected","message":"'sdpOffer' must be a text"}
        "#,
    )
    .await;
    let restart = |offer: &str| serde_json::json!({ "id": "restart", "sdpOffer": offer }).to_string();
    stage.sends_text("ben@call", &restart(&"v".repeat(64 * 1024 + 1))).await;
    assert_eq!(stage.heard("ben@call")[0]["message"], "the offer is too long");
    // An offer of the existing connection, with sections that no answer can accept.
    let without_mux = offers::offer("sendrecv", 2, true).replace("a=rtcp-mux\r\n", "");
    stage.sends_text("ben@call", &restart(&without_mux)).await;
    let heard = stage.heard("ben@call");
    assert_eq!(heard.len(), 1, "the call goes on: {heard:?}");
    assert_eq!(heard[0]["message"], "the offer is missing or cannot be answered");
    play(
        &mut stage,
        r#"
        ben > {"id":"restart","sdpOffer":"@sendrecv 2 again"}
        media again 1 both ways
        ben < {"id":"restartAnswer","sdpAnswer":"*"}
        CANDIDATES ben
        anna > {"id":"restart","sdpOffer":"nonsense"}
        anna < {"id":"callResponse","response":"rejected","message":"the offer is missing or cannot be answered"}
        anna < {"id":"stopCommunication"}
        ben < {"id":"stopCommunication"}
        media close 2
        media close 1
        ben > {"id":"restart","sdpOffer":"@sendrecv 2 again"}
        ben > {"id":"restart","sdpOffer":"nonsense"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_there_are_users_only_they_register() {
    let house = House::default().with_user("anna", "Anna", "", "");
    let mut stage = Stage::with(house, Config::default());
    play(
        &mut stage,
        r#"
        anna > {"id":"register","name":"anna"}
        anna < {"id":"registerResponse","response":"accepted","userId":"anna"}
        carl > {"id":"register","name":"carl"}
        carl < {"id":"registerResponse","response":"rejected","message":"no such user"}
        carl > {"id":"call","from":"carl","to":"anna","sdpOffer":"@sendrecv 1"}
        carl < {"id":"callResponse","response":"rejected","message":"register first"}
        "#,
    )
    .await;
    let mut stage = Stage::with(House::broken(), Config::default());
    play(
        &mut stage,
        r#"
        anna > {"id":"register","name":"anna"}
        anna < {"id":"registerResponse","response":"rejected","message":"the server cannot look users up now"}
        "#,
    )
    .await;
}
