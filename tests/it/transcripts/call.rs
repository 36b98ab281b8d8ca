//! The family of `/call`: one user calls another, by name.

mod bad_input;
mod several;

use patchbay::config::Config;

use super::{House, Stage};

/// The candidates that follow every answer.
const CANDIDATES: &str = r#"
    WHO < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
    WHO < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
    "#;

const BEN_AND_ANNA_ARE_ANSWERED: &str = r#"
    media open 1 both ways
    media open 2 both ways
    ben < {"id":"startCommunication","sdpAnswer":"*"}
    CANDIDATES ben
    anna < {"id":"callResponse","response":"accepted","sdpAnswer":"*"}
    CANDIDATES anna
    "#;

fn call_stage() -> Stage {
    Stage::new()
}

async fn play(stage: &mut Stage, transcript: &str) {
    let mut whole = transcript.replace("BEN AND ANNA ARE ANSWERED", BEN_AND_ANNA_ARE_ANSWERED);
    for who in ["anna", "ben", "carl"] {
        whole = whole.replace(&format!("CANDIDATES {who}"), &CANDIDATES.replace("WHO", who));
    }
    stage.play(&all_at_call(&whole)).await;
}

/// Everybody in the transcript comes to `/call`.
fn all_at_call(transcript: &str) -> String {
    let lines = transcript.lines().map(str::trim).filter(|line| !line.is_empty());
    let at_call = lines.map(|line| match line.split_once(' ') {
        Some((who, rest)) if who != "media" => format!("{who}@call {rest}\n"),
        _ => format!("{line}\n"),
    });
    at_call.collect()
}

async fn registered() -> Stage {
    let mut stage = call_stage();
    play(
        &mut stage,
        r#"
        anna > {"id":"register","name":"anna"}
        anna < {"id":"registerResponse","response":"accepted","userId":"anna"}
        ben > {"id":"register","name":"ben"}
        ben < {"id":"registerResponse","response":"accepted","userId":"ben"}
        "#,
    )
    .await;
    stage
}

async fn ringing() -> Stage {
    let mut stage = registered().await;
    play(
        &mut stage,
        r#"
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        "#,
    )
    .await;
    stage
}

async fn in_a_call() -> Stage {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        BEN AND ANNA ARE ANSWERED
        "#,
    )
    .await;
    stage
}

#[tokio::test(start_paused = true)]
async fn registering_is_answered_and_a_name_is_needed() {
    let mut stage = call_stage();
    play(
        &mut stage,
        r#"
        anna > {"id":"register","name":""}
        anna < {"id":"registerResponse","response":"rejected: empty user name"}
        anna > {"id":"register"}
        anna < {"id":"registerResponse","response":"rejected: empty user name"}
        anna > {"id":"register","name":["anna"]}
        anna < {"id":"registerResponse","response":"rejected: empty user name"}
        anna > {"id":"register","name":7}
        anna < {"id":"registerResponse","response":"accepted","userId":"7"}
        anna > {"id":"register","name":"7"}
        anna < {"id":"registerResponse","response":"accepted","userId":"7"}
        "#,
    )
    .await;
    let long = format!(r#"{{"id":"register","name":"{}"}}"#, "x".repeat(129));
    stage.sends_text("anna@call", &long).await;
    let heard = stage.heard("anna@call");
    assert_eq!(heard[0]["response"], "rejected");
    assert!(heard[0]["message"].is_string());
}

#[tokio::test(start_paused = true)]
async fn two_who_call_again_over_the_connections_of_their_last_call_begin_them_anew() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        anna > {"id":"stop"}
        media close 1
        media close 2
        ben < {"id":"stopCommunication"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1 again"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2 again"}
        media open 3 both ways, other certificate
        media open 4 both ways, other certificate
        ben < {"id":"startCommunication","sdpAnswer":"*"}
        CANDIDATES ben
        anna < {"id":"callResponse","response":"accepted","sdpAnswer":"*"}
        CANDIDATES anna
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_on_both_sides_the_callees_first_and_ends_with_stop() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        anna > {"id":"stop"}
        media close 1
        media close 2
        ben < {"id":"stopCommunication"}
        ben > {"id":"stop"}
        anna > {"id":"stop"}
        "#,
    )
    .await;

    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        ben > {"id":"stop"}
        media close 1
        media close 2
        anna < {"id":"stopCommunication"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 3"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_callee_hears_before_the_caller_and_each_gets_both_directions() {
    let mut stage = ringing().await;
    let accept = super::offers::fill_in(
        r#"{"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}"#,
    );
    stage.stop_reading("anna@call");
    stage.sends_text("ben@call", &accept).await;
    let ben = stage.heard("ben@call");
    assert_eq!(ben[0]["id"], "startCommunication");
    let answer = ben[0]["sdpAnswer"].as_str().unwrap();
    assert_eq!(answer.matches("a=sendrecv").count(), 2, "{answer}");
    assert_eq!(answer.matches("a=msid:").count(), 2, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn names_may_be_numbers_and_callers_need_not_say_who_they_are() {
    let mut stage = call_stage();
    play(
        &mut stage,
        r#"
        anna > {"id":"register","name":1}
        anna < {"id":"registerResponse","response":"accepted","userId":"1"}
        ben > {"id":"register","name":"2"}
        ben < {"id":"registerResponse","response":"accepted","userId":"2"}
        anna > {"id":"call","from":1,"to":2,"sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"1","to":"2"}
        ben > {"id":"incomingCallResponse","from":1,"callResponse":"reject","message":"user declined"}
        anna < {"id":"callResponse","response":"rejected","message":"user declined"}
        anna > {"id":"call","to":2,"sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"1","to":"2"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_not_registered_cannot_be_called() {
    let mut stage = registered().await;
    play(
        &mut stage,
        r#"
        anna > {"id":"call","from":"anna","to":"carl","sdpOffer":"@sendrecv 1"}
        anna < {"id":"callResponse","response":"rejected: user 'carl' is not registered"}
        carl > {"id":"register","name":"carl"}
        carl < {"id":"registerResponse","response":"accepted","userId":"carl"}
        carl -
        anna > {"id":"call","from":"anna","to":"carl","sdpOffer":"@sendrecv 1"}
        anna < {"id":"callResponse","response":"rejected: user 'carl' is not registered"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_caller_is_sent_why() {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"reject","message":"bussy"}
        anna < {"id":"callResponse","response":"rejected","message":"bussy"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"reject","message":"user declined"}
        anna < {"id":"callResponse","response":"rejected","message":"user declined"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"reject"}
        anna < {"id":"callResponse","response":"rejected","message":"user declined"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"reject"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_callee_without_a_device_says_so() {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        ben > {"id":"incomingCallErrorResponse","from":"anna","to":"ben","errorResponse":"NoDevice"}
        anna < {"id":"incomingCallError","from":"anna","to":"ben","errorResponse":"NoDevice"}
        ben > {"id":"incomingCallErrorResponse","from":"anna","to":"ben","errorResponse":"NoDevice"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_or_vanishes_stops_the_ringing() {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        anna > {"id":"stop"}
        ben < {"id":"stopCommunication"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        anna -
        ben < {"id":"stopCommunication"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_callee_who_stops_or_vanishes_while_it_rings_declines() {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        ben > {"id":"stop"}
        anna < {"id":"callResponse","response":"rejected","message":"user declined"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        ben -
        anna < {"id":"callResponse","response":"rejected","message":"user 'ben' is gone"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn ringing_ends_after_its_time_for_both() {
    let mut stage = ringing().await;
    tokio::time::sleep(std::time::Duration::from_secs(59)).await;
    play(&mut stage, "anna > {\"id\":\"heart\"}\nanna < {\"id\":\"heart\"}").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    stage.hear().await;
    play(
        &mut stage,
        r#"
        anna < {"id":"callResponse","response":"rejected","message":"timeout"}
        ben < {"id":"stopCommunication"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        "#,
    )
    .await;

    let mut config = Config::default();
    config.calls.ring_timeout_s = 3;
    let mut stage = Stage::with(House::default(), config);
    play(
        &mut stage,
        r#"
        anna > {"id":"register","name":"anna"}
        anna < {"id":"registerResponse","response":"accepted","userId":"anna"}
        ben > {"id":"register","name":"ben"}
        ben < {"id":"registerResponse","response":"accepted","userId":"ben"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        "#,
    )
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    stage.hear().await;
    play(
        &mut stage,
        r#"
        anna < {"id":"callResponse","response":"rejected","message":"timeout"}
        ben < {"id":"stopCommunication"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sudden_loss_reaches_the_other_side() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        ben -
        media close 1
        media close 2
        anna < {"id":"stopCommunication"}
        "#,
    )
    .await;

    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        media lost 1
        media close 2
        anna < {"id":"stopCommunication"}
        ben < {"id":"stopCommunication"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_down_says_so() {
    let mut stage = in_a_call().await;
    stage.shut_down().await;
    play(
        &mut stage,
        r#"
        media close 1
        media close 2
        media shutdown
        media shutdown
        anna x 1001
        ben x 1001
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_outlives_a_silence_of_either_side_and_a_restart_goes_on_with_it() {
    let mut stage = call_stage();
    play(
        &mut stage,
        r#"
        anna > {"id":"register","name":"anna","notices":true}
        anna < {"id":"registerResponse","response":"accepted","userId":"anna"}
        ben > {"id":"register","name":"ben"}
        ben < {"id":"registerResponse","response":"accepted","userId":"ben"}
        anna > {"id":"restart","sdpOffer":"@sendrecv 1"}
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben < {"id":"incomingCall","from":"anna","to":"ben"}
        anna > {"id":"restart","sdpOffer":"@sendrecv 1"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        BEN AND ANNA ARE ANSWERED
        media silent 1
        anna < {"id":"otherMedia","media":"lost"}
        media silent 2
        ben > {"id":"restart","sdpOffer":"@sendrecv 2 again"}
        media again 1 both ways
        ben < {"id":"restartAnswer","sdpAnswer":"*"}
        CANDIDATES ben
        media heard 1
        anna < {"id":"otherMedia","media":"back"}
        anna > {"id":"restart","sdpOffer":"@sendrecv 3"}
        media close 2
        media open 3 both ways
        anna < {"id":"restartAnswer","sdpAnswer":"*"}
        CANDIDATES anna
        media heard 3
        anna > {"id":"stop"}
        media close 1
        media close 3
        ben < {"id":"stopCommunication"}
        ben > {"id":"restart","sdpOffer":"@sendrecv 2 again"}
        "#,
    )
    .await;
}
