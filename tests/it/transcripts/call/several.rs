//! Several calls at a time, and several sockets of one name.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_name_that_registers_again_is_taken_over_and_the_older_call_is_over() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        ben2 > {"id":"register","name":"ben"}
        ben2 < {"id":"registerResponse","response":"accepted","userId":"ben"}
        media close 1
        media close 2
        anna < {"id":"stopCommunication"}
        ben < {"id":"stopCommunication"}
        ben x 4001
        anna > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 3"}
        ben2 < {"id":"incomingCall","from":"anna","to":"ben"}
        ben3 > {"id":"register","name":"ben"}
        ben3 < {"id":"registerResponse","response":"accepted","userId":"ben"}
        ben3 < {"id":"incomingCall","from":"anna","to":"ben"}
        ben2 x 4001
        ben3 > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 4"}
        media open 3 both ways
        media open 4 both ways
        ben3 < {"id":"startCommunication","sdpAnswer":"*"}
        ben3 < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
        ben3 < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
        anna < {"id":"callResponse","response":"accepted","sdpAnswer":"*"}
        CANDIDATES anna
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_third_who_calls_gets_busy_from_the_callees_client_and_disturbs_nothing() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        carl > {"id":"register","name":"carl"}
        carl < {"id":"registerResponse","response":"accepted","userId":"carl"}
        carl > {"id":"call","from":"carl","to":"ben","sdpOffer":"@sendrecv 3"}
        ben < {"id":"incomingCall","from":"carl","to":"ben"}
        ben > {"id":"incomingCallResponse","from":"carl","callResponse":"reject","message":"bussy"}
        carl < {"id":"callResponse","response":"rejected","message":"bussy"}
        carl > {"id":"call","from":"carl","to":"ben","sdpOffer":"@sendrecv 3"}
        ben < {"id":"incomingCall","from":"carl","to":"ben"}
        carl > {"id":"stop"}
        carl > {"id":"call","from":"carl","to":"anna","sdpOffer":"@sendrecv 3"}
        anna < {"id":"incomingCall","from":"carl","to":"anna"}
        anna > {"id":"stop"}
        media close 1
        media close 2
        ben < {"id":"stopCommunication"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn while_one_rings_another_that_ends_is_not_taken_for_it() {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        carl > {"id":"register","name":"carl"}
        carl < {"id":"registerResponse","response":"accepted","userId":"carl"}
        carl > {"id":"call","from":"carl","to":"ben","sdpOffer":"@sendrecv 3"}
        ben < {"id":"incomingCall","from":"carl","to":"ben"}
        carl -
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        BEN AND ANNA ARE ANSWERED
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_who_call_one_another_get_one_call() {
    let mut stage = ringing().await;
    play(
        &mut stage,
        r#"
        ben > {"id":"call","from":"ben","to":"anna","sdpOffer":"@sendrecv 2"}
        anna < {"id":"incomingCall","from":"ben","to":"anna"}
        ben > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 3"}
        BEN AND ANNA ARE ANSWERED
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_accepted_call_ends_the_one_before_it() {
    let mut stage = in_a_call().await;
    play(
        &mut stage,
        r#"
        carl > {"id":"register","name":"carl"}
        carl < {"id":"registerResponse","response":"accepted","userId":"carl"}
        carl > {"id":"call","from":"carl","to":"ben","sdpOffer":"@sendrecv 3"}
        ben < {"id":"incomingCall","from":"carl","to":"ben"}
        ben > {"id":"incomingCallResponse","from":"carl","callResponse":"accept","sdpOffer":"@sendrecv 4"}
        media close 1
        media close 2
        anna < {"id":"stopCommunication"}
        media open 3 both ways
        media open 4 both ways
        ben < {"id":"startCommunication","sdpAnswer":"*"}
        CANDIDATES ben
        carl < {"id":"callResponse","response":"accepted","sdpAnswer":"*"}
        CANDIDATES carl
        "#,
    )
    .await;
}
