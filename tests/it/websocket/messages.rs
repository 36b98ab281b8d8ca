//! The message socket: its heartbeat in virtual time, and real sockets of a whole server.

use axum::extract::ws::Message;
use futures_util::SinkExt;
use patchbay::signaling::Entrance;
use prost::Message as _;
use tokio::time::{Duration, Instant, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite;

use super::pace::start as start_hub;
use super::sockets::{Client, Running, start};
use super::wire::{WireClient, connect_at};
use crate::transcripts::Model;

const MESSAGES: Entrance = Entrance::Messages {
    room_ids: || "room 4".into(),
};
const HEARTBEAT: [u8; 4] = [0x18, 2, 0x38, 1];
const HEARTBEAT_ANSWER: [u8; 4] = [0x18, 2, 0x38, 4];

fn model(json: &str) -> Message {
    Message::Binary(Model::read(json).bytes())
}

/// The next message that is not empty; pings are answered.
async fn hears(client: &mut WireClient) -> Vec<u8> {
    loop {
        match client.next().await.expect("the socket is open") {
            Message::Ping(data) => client.incoming.send(Message::Pong(data)).await.unwrap(),
            Message::Binary(bytes) => return bytes.to_vec(),
            other => panic!("not binary: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_after_forty_silent_seconds_and_again_when_it_is_answered() {
    let hub = start_hub();
    let mut anna = connect_at(MESSAGES, &hub).await;
    anna.incoming
        .send(model(r#"{"cmd":1,"msgtype":1,"sender":"1"}"#))
        .await
        .unwrap();
    assert_eq!(Model::of(&hears(&mut anna).await).written()["cmd"], 3);
    for _ in 0..20 {
        let since = Instant::now();
        assert_eq!(hears(&mut anna).await, HEARTBEAT);
        assert_eq!(since.elapsed().as_secs(), 40);
        anna.incoming
            .send(Message::Binary(HEARTBEAT_ANSWER.to_vec().into()))
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn each_frame_that_is_sent_puts_the_heartbeat_off() {
    let hub = start_hub();
    let mut anna = connect_at(MESSAGES, &hub).await;
    for _ in 0..20 {
        anna.incoming
            .send(model(r#"{"cmd":5,"msgtype":1,"sender":"1","groupId":"g"}"#))
            .await
            .unwrap();
        let heard = hears(&mut anna).await;
        assert_ne!(heard, HEARTBEAT);
        if Model::of(&heard).written()["cmd"] == 3 {
            hears(&mut anna).await;
        }
        let quiet = timeout(Duration::from_secs(39), hears(&mut anna)).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_but_no_heartbeat_is_closed_after_seventy_seconds() {
    let hub = start_hub();
    let mut anna = connect_at(MESSAGES, &hub).await;
    let since = Instant::now();
    assert_eq!(hears(&mut anna).await, HEARTBEAT);
    loop {
        assert!(since.elapsed().as_secs() <= 70, "it is not closed");
        match anna.next().await {
            Some(Message::Ping(data)) => anna.incoming.send(Message::Pong(data)).await.unwrap(),
            Some(Message::Close(Some(frame))) => {
                assert_eq!(frame.code, 1008);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(since.elapsed().as_secs(), 70);
}

async fn connect(running: &Running) -> Client {
    let address = format!("ws://127.0.0.1:{}/ws", running.port);
    Client(connect_async(address).await.unwrap().0)
}

async fn sends(client: &mut Client, json: &str) {
    let message = tungstenite::Message::Binary(Model::read(json).bytes());
    client.0.send(message).await.unwrap();
}

async fn hears_model(client: &mut Client) -> serde_json::Value {
    match client.next().await {
        Some(Ok(tungstenite::Message::Binary(bytes))) => Model::of(&bytes).written(),
        other => panic!("not binary: {other:?}"),
    }
}

#[tokio::test]
async fn a_frame_over_64_kib_closes_its_socket_and_no_other() {
    let running = start(|_| {}).await;
    let mut anna = connect(&running).await;
    sends(&mut anna, r#"{"cmd":1,"msgtype":1,"sender":"1"}"#).await;
    assert_eq!(hears_model(&mut anna).await["cmd"], 3);
    let mut ben = connect(&running).await;
    sends(&mut ben, r#"{"cmd":1,"msgtype":1,"sender":"2"}"#).await;
    assert_eq!(hears_model(&mut anna).await["sender"], "2");
    assert_eq!(hears_model(&mut ben).await["sender"], "2");
    // The largest message that fits is delivered whole.
    let mut largest = Model::read(r#"{"cmd":5,"msgtype":1,"receiver":"1"}"#);
    largest.set_content(vec![7; 64 * 1024 - 40]);
    let bytes = largest.bytes();
    assert!(bytes.len() <= 64 * 1024);
    ben.0.send(tungstenite::Message::Binary(bytes)).await.unwrap();
    assert_eq!(
        hears_model(&mut anna).await["content"].as_array().unwrap().len(),
        64 * 1024 - 40
    );
    ben.0
        .send(tungstenite::Message::Binary(vec![0x0a; 64 * 1024 + 1].into()))
        .await
        .unwrap();
    assert_eq!(ben.closed().await, Some(1009));
    assert_eq!(hears_model(&mut anna).await["cmd"], 4);
    sends(&mut anna, r#"{"cmd":5,"msgtype":1}"#).await;
    assert_eq!(hears_model(&mut anna).await["sender"], "1");
}

#[tokio::test]
async fn messages_that_wait_are_in_the_database_until_their_receiver_comes() {
    let running = start(|_| {}).await;
    let mut anna = connect(&running).await;
    sends(&mut anna, r#"{"cmd":1,"msgtype":1,"sender":"1"}"#).await;
    assert_eq!(hears_model(&mut anna).await["cmd"], 3);
    for room in 0..50 {
        sends(
            &mut anna,
            &format!(r#"{{"cmd":5,"msgtype":4,"receiver":"2","vagroupId":"{room}"}}"#),
        )
        .await;
    }
    for round in 0..2 {
        let mut ben = connect(&running).await;
        sends(&mut ben, r#"{"cmd":1,"msgtype":1,"sender":"2"}"#).await;
        assert_eq!(hears_model(&mut ben).await["cmd"], 3);
        assert_eq!(hears_model(&mut anna).await["cmd"], 3);
        for room in (0..50).filter(|_| round == 0) {
            assert_eq!(hears_model(&mut ben).await["vagroupId"], room.to_string());
        }
        sends(&mut ben, r#"{"cmd":5,"msgtype":1,"vagroupId":"mine"}"#).await;
        assert_eq!(
            hears_model(&mut ben).await["vagroupId"],
            "mine",
            "and nothing before it"
        );
        ben.0.close(None).await.unwrap();
        assert_eq!(hears_model(&mut anna).await["cmd"], 4);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_messages_is_let_go_and_the_others_are_served() {
    let running = start(|_| {}).await;
    let mut deaf = connect(&running).await;
    sends(&mut deaf, r#"{"cmd":1,"msgtype":1,"sender":"1"}"#).await;
    assert_eq!(hears_model(&mut deaf).await["cmd"], 3);
    let mut ben = connect(&running).await;
    sends(&mut ben, r#"{"cmd":1,"msgtype":1,"sender":"2"}"#).await;
    assert_eq!(hears_model(&mut ben).await["cmd"], 3);
    let mut large = Model::read(r#"{"cmd":5,"msgtype":1,"receiver":"1"}"#);
    large.set_content(vec![7; 60 * 1024]);
    for _ in 0..100 {
        ben.0.send(tungstenite::Message::Binary(large.bytes())).await.unwrap();
    }
    assert_eq!(
        hears_model(&mut ben).await["cmd"],
        4,
        "the receiver is offline for the others"
    );
}

#[test]
fn the_heartbeats_bytes_are_what_generated_clients_make() {
    let answer = Model::read(r#"{"cmd":2,"msgtype":4}"#);
    assert_eq!(answer.encode_to_vec(), HEARTBEAT_ANSWER);
}
