//! Participants of conferences: what their apps send, and what they are sent. Over real HTTP and WebSockets.

mod bad_input;
mod by_message;
mod calls;
mod commands;
mod dialing;
mod entering;
mod families;
mod media;
mod quality;
mod slow;
mod together;

use std::time::Duration;

use futures_util::StreamExt;
use patchbay::config::Config;
use patchbay::storage::{NewConference, NewGuests};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{json_of, records, start_adjusted};
use crate::front::running::{PATIENCE, Running};

const HOST_PIN: &str = "123456";
const GUEST_PIN: &str = "2222";

/// A server with four conferences: `open` lets guests in without a PIN, `closed` with one, `other` is as `open`, and in `patient`
/// guests wait for a host.
async fn start() -> Running {
    start_with(|_| {}).await
}

async fn start_with(adjust: impl FnOnce(&mut Config)) -> Running {
    let running = start_adjusted(adjust).await;
    let records = records(&running).await;
    for (alias, guests, waits_for_host) in [
        ("open", NewGuests::Anybody, false),
        ("closed", NewGuests::WithPin(GUEST_PIN.to_owned()), false),
        ("other", NewGuests::Anybody, false),
        ("patient", NewGuests::Anybody, true),
    ] {
        let conference = NewConference {
            alias: alias.into(),
            name: format!("The {alias} one"),
            host_pin: Some(HOST_PIN.to_owned()),
            guests,
            waits_for_host,
        };
        records.add_conference(conference).await.unwrap();
    }
    records.close().await;
    running
}

/// The session of somebody in a conference.
struct Participant<'a> {
    running: &'a Running,
    alias: String,
    token: String,
    uuid: String,
}

impl<'a> Participant<'a> {
    async fn enter(running: &'a Running, alias: &str, pin: &str, name: &str) -> Participant<'a> {
        Participant::enter_with(running, alias, pin, json!({ "display_name": name })).await
    }

    async fn enter_with(running: &'a Running, alias: &str, pin: &str, fields: Value) -> Participant<'a> {
        let (status, answer) = new_session(running, alias, Some(pin), fields).await;
        assert_eq!(status, 200, "{answer}");
        let text = |key: &str| answer["result"][key].as_str().unwrap().to_owned();
        Participant {
            running,
            alias: alias.to_owned(),
            token: text("token"),
            uuid: text("participant_uuid"),
        }
    }

    async fn guest(running: &'a Running, name: &str) -> Participant<'a> {
        Participant::enter(running, "open", "none", name).await
    }

    async fn host(running: &'a Running, name: &str) -> Participant<'a> {
        Participant::enter(running, "open", HOST_PIN, name).await
    }

    async fn request(&self, method: Method, request: &str, body: Value) -> (u16, Value) {
        let url = self.running.url(&format!("/api/services/{}/{request}", self.alias));
        let request = self.running.http.request(method, url).header("token", &self.token);
        let response = request.body(body.to_string()).send().await.unwrap();
        (response.status().as_u16(), json_of(response).await)
    }

    /// Asks for something. Returns the result.
    async fn ask(&self, request: &str, body: Value) -> Value {
        let (status, answer) = self.request(Method::POST, request, body).await;
        assert_eq!(
            (status, &answer["status"]),
            (200, &json!("success")),
            "{request}: {answer}"
        );
        answer["result"].clone()
    }

    /// Asks for something that is refused. Returns the status.
    async fn is_refused(&self, request: &str, body: Value) -> u16 {
        let (status, answer) = self.request(Method::POST, request, body).await;
        assert_eq!(answer["status"], "failed", "{request}: {answer}");
        assert!(answer["result"].is_string(), "{answer}");
        status
    }

    async fn get(&self, request: &str) -> Value {
        let (status, answer) = self.request(Method::GET, request, Value::Null).await;
        assert_eq!(
            (status, &answer["status"]),
            (200, &json!("success")),
            "{request}: {answer}"
        );
        answer["result"].clone()
    }

    fn about(&self, other: &Participant<'_>, command: &str) -> String {
        format!("participants/{}/{command}", other.uuid)
    }

    async fn events(&self) -> Events {
        Events::of(self.running, &self.alias, &self.token).await
    }
}

async fn new_session(running: &Running, alias: &str, pin: Option<&str>, body: Value) -> (u16, Value) {
    let request = running
        .http
        .post(running.url(&format!("/api/services/{alias}/new_session")));
    let request = match pin {
        Some(pin) => request.header("pin", pin),
        None => request,
    };
    let response = request.body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), json_of(response).await)
}

/// The events of a session, in a WebSocket.
struct Events {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
}

impl Events {
    async fn of(running: &Running, alias: &str, token: &str) -> Events {
        let url = format!(
            "ws://{}/wapi/services/{alias}/wsevents?token={token}",
            running.address()
        );
        let (socket, _) = connect_async(url).await.unwrap();
        Events { socket, last_id: 0 }
    }

    /// The next frame. `None` where the server closes.
    async fn frame(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match message.expect("a frame comes") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_))) | None => return None,
                Some(Ok(_)) => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }

    /// The next event: its kind and its data.
    async fn next(&mut self) -> (String, Value) {
        let frame = self.frame().await.expect("the stream goes on");
        assert_eq!(frame["_command"], "event", "{frame}");
        assert_eq!(frame.as_object().unwrap().len(), 4, "{frame}");
        let id = frame["_eventId"].as_u64().unwrap();
        assert!(id > self.last_id, "{frame}");
        self.last_id = id;
        (frame["_eventName"].as_str().unwrap().to_owned(), frame["data"].clone())
    }

    /// The data of the next event of a kind. Others before it are skipped.
    async fn until(&mut self, kind: &str) -> Value {
        let mut skipped = Vec::new();
        loop {
            let (next, data) = self.next().await;
            if next == kind {
                return data;
            }
            skipped.push(next);
            assert!(skipped.len() < 100, "no {kind}, but {skipped:?}");
        }
    }

    /// Whether nothing comes for a moment.
    async fn is_silent(&mut self) -> bool {
        let next = tokio::time::timeout(Duration::from_millis(300), self.frame());
        next.await.is_err()
    }
}
