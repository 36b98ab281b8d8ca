//! Many calls from one to another against the whole server: nothing of them stays.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::server::Server;
use crate::transcripts::offers::offer;

const SESSIONS: usize = 1_000;
const CALLS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(20);

/// Browsers' offers are as long; one that stayed would be noticed.
const PADDING_BYTES: usize = 16 * 1024;

/// Of what a round leaves, that which the allocator keeps for the next one changes by a little each time. A session that
/// stayed would hold some KiB, a call its offers: the sessions or the calls of two rounds together are more than this.
const MAY_DIFFER_KIB: u64 = 3 * 1024;

struct Phone {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    name: String,
}

impl Phone {
    async fn register(server: &Server, name: String) -> Phone {
        let (socket, _) = connect_async(server.plain("ws", "/call")).await.unwrap();
        let mut phone = Phone { socket, name };
        phone.says(json!({ "id": "register", "name": phone.name })).await;
        assert_eq!(phone.hears("registerResponse").await["response"], "accepted");
        phone
    }

    async fn says(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message that is not a candidate has to be of this kind.
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

async fn call(caller: &mut Phone, callee: &mut Phone, number: u32) {
    let padding = "x".repeat(PADDING_BYTES);
    let sdp = |number| offer("sendrecv", number % 90, false) + &format!("a=x-padding:{padding}\r\n");
    let (from, to) = (caller.name.clone(), callee.name.clone());
    caller
        .says(json!({ "id": "call", "from": from, "to": to, "sdpOffer": sdp(2 * number) }))
        .await;
    callee.hears("incomingCall").await;
    let accept = json!({
        "id": "incomingCallResponse",
        "from": from,
        "callResponse": "accept",
        "sdpOffer": sdp(2 * number + 1),
    });
    callee.says(accept).await;
    callee.hears("startCommunication").await;
    assert_eq!(caller.hears("callResponse").await["response"], "accepted");
    caller.says(json!({ "id": "stop" })).await;
    callee.hears("stopCommunication").await;
}

/// Everybody registers, so many calls are set up and ended one after another, and everybody goes.
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
        call(&mut callers[number], &mut callees[number], number as u32).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sessions_and_two_hundred_calls_leave_memory_where_it_began() {
    let server = Server::start().await;
    // The first round fills what the process keeps for good: stacks, pools, tables that grow once.
    round(&server).await;
    let before = server.resident_kib();
    round(&server).await;
    round(&server).await;
    let after = server.resident_kib();
    println!("memory before {before} KiB, after {after} KiB, of two rounds of {SESSIONS} sessions and {CALLS} calls");
    assert!(
        after <= before + MAY_DIFFER_KIB,
        "{before} KiB before, {after} KiB after"
    );
}
