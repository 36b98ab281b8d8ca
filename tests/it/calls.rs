//! Calls from one person to another against the whole server: what sockets do to them, and that nothing of them is left.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::server::Server;
use crate::transcripts::offers::offer;

const SESSIONS: usize = 1_000;
const CALLS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(20);

/// A length like that of browsers' offers: one that stayed in memory would be noticed.
const PADDING_BYTES: usize = 16 * 1024;

/// The memory that the allocator keeps for the next round changes by a little each time. A session that stayed would
/// hold some KiB, a call its offers: the sessions or the calls of two rounds together are more than this.
const MAY_DIFFER_KIB: u64 = 3 * 1024;

struct Phone {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    name: String,
}

impl Phone {
    async fn register(server: &Server, name: String) -> Phone {
        let (socket, _) = connect_async(server.plain("ws", "/call")).await.unwrap();
        let mut phone = Phone { socket, name };
        phone.sends(json!({ "id": "register", "name": phone.name })).await;
        assert_eq!(phone.hears("registerResponse").await["response"], "accepted");
        phone
    }

    async fn sends(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Receives the next message that is not a candidate; it has to be of this kind.
    async fn hears(&mut self, id: &str) -> Value {
        let next = async {
            loop {
                let message = self.socket.next().await.expect("the socket is open").unwrap();
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["id"] != "iceCandidate" {
                    return message;
                }
            }
        };
        let message = tokio::time::timeout(PATIENCE, next).await;
        let message = message.unwrap_or_else(|_| panic!("{}: no {id}", self.name));
        assert_eq!(message["id"], id, "{}: {message}", self.name);
        message
    }
}

/// Sets a call up.
async fn call(caller: &mut Phone, callee: &mut Phone, number: u32) {
    let padding = "x".repeat(PADDING_BYTES);
    let sdp = |number| offer("sendrecv", number % 90, false) + &format!("a=x-padding:{padding}\r\n");
    let (from, to) = (caller.name.clone(), callee.name.clone());
    caller
        .sends(json!({ "id": "call", "from": from, "to": to, "sdpOffer": sdp(2 * number) }))
        .await;
    callee.hears("incomingCall").await;
    let accept = json!({
        "id": "incomingCallResponse",
        "from": from,
        "callResponse": "accept",
        "sdpOffer": sdp(2 * number + 1),
    });
    callee.sends(accept).await;
    callee.hears("startCommunication").await;
    assert_eq!(caller.hears("callResponse").await["response"], "accepted");
}

/// Everybody registers, so many calls are set up and ended one after another, and everybody leaves.
async fn round(server: &Server) {
    let mut phones = Vec::new();
    for number in 0..SESSIONS {
        phones.push(Phone::register(server, format!("user {number}")).await);
    }
    server
        .until_metric("patchbay_reachable_sessions", SESSIONS as f64, PATIENCE)
        .await;
    for number in 0..CALLS {
        let (callers, callees) = phones.split_at_mut(SESSIONS / 2);
        let (caller, callee) = (&mut callers[number], &mut callees[number]);
        call(caller, callee, number as u32).await;
        caller.sends(json!({ "id": "stop" })).await;
        callee.hears("stopCommunication").await;
    }
    drop(phones);
    for gauge in [
        "patchbay_sessions",
        "patchbay_reachable_sessions",
        "patchbay_calls",
        "patchbay_rooms",
        "patchbay_peers",
        "patchbay_media_peers",
        "patchbay_media_rooms",
    ] {
        server.until_metric(gauge, 0.0, PATIENCE).await;
    }
}

/// Anna and Ben, in a call.
async fn two_in_a_call(server: &Server) -> (Phone, Phone) {
    let mut anna = Phone::register(server, "anna".to_owned()).await;
    let mut ben = Phone::register(server, "ben".to_owned()).await;
    call(&mut anna, &mut ben, 0).await;
    (anna, ben)
}

#[tokio::test]
async fn a_cut_connection_ends_the_call_for_the_other_at_once() {
    let server = Server::start().await;
    let (mut anna, ben) = two_in_a_call(&server).await;
    drop(ben);
    anna.hears("stopCommunication").await;
    server.until_metric("patchbay_media_peers", 0.0, PATIENCE).await;
}

#[tokio::test]
async fn long_frames_are_read_and_one_over_the_limit_closes_its_socket_and_ends_its_call() {
    let server = Server::start().await;
    let (mut anna, mut ben) = two_in_a_call(&server).await;
    ben.sends(json!({ "id": "heart", "padding": "x".repeat(200 * 1024) }))
        .await;
    ben.hears("heart").await;
    let too_long = Message::text("x".repeat(256 * 1024 + 1));
    ben.socket.send(too_long).await.ok();
    anna.hears("stopCommunication").await;
    anna.sends(json!({ "id": "heart" })).await;
    anna.hears("heart").await;
}

#[tokio::test]
async fn whoever_calls_without_end_is_closed_and_the_calls_of_others_go_on() {
    let server = Server::start().await;
    let (mut anna, mut ben) = two_in_a_call(&server).await;
    let mut carl = Phone::register(&server, "carl".to_owned()).await;
    let invite = json!({ "id": "call", "from": "carl", "to": "nobody", "sdpOffer": "" }).to_string();
    let flood = async {
        for _ in 0..100_000 {
            if carl.socket.feed(Message::text(invite.clone())).await.is_err() {
                return;
            }
        }
        carl.socket.flush().await.ok();
        while let Some(Ok(message)) = carl.socket.next().await {
            assert!(!matches!(message, Message::Binary(_)));
        }
    };
    tokio::time::timeout(PATIENCE, flood)
        .await
        .expect("the server closes it");
    server.until_metric("patchbay_reachable_sessions", 2.0, PATIENCE).await;
    anna.sends(json!({ "id": "stop" })).await;
    ben.hears("stopCommunication").await;
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_call() {
    let server = Server::start().await;
    let mut request = server.plain("ws", "/call").into_client_request().unwrap();
    let origin = "https://evil.example".parse().unwrap();
    request.headers_mut().insert("origin", origin);
    let refused = connect_async(request).await.expect_err("it is refused");
    assert!(refused.to_string().contains("403"), "{refused}");
}

/// It measures memory, so nothing else runs beside it: see `tests/run`.
mod alone {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_thousand_sessions_and_two_hundred_calls_leave_memory_where_it_began() {
        let server = Server::start().await;
        // The first round fills what the process keeps for good: stacks, pools, tables that grow once.
        round(&server).await;
        let before = server.resident_kib();
        round(&server).await;
        round(&server).await;
        let after = server.resident_kib();
        println!(
            "memory before {before} KiB, after {after} KiB, of two rounds of {SESSIONS} sessions and {CALLS} calls"
        );
        assert!(
            after <= before + MAY_DIFFER_KIB,
            "{before} KiB before, {after} KiB after"
        );
    }
}
