//! A whole server on a port of its own, and clients over real sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay::config::{self, Config, Listener};
use patchbay::domain::Person;
use patchbay::server::Server;
use patchbay::storage::Records;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A time longer than any step of a test over loopback takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Running {
    pub server: Server,
    pub port: u16,
    storage: config::Storage,
    _data: TempDir,
}

pub async fn start(adjust: impl FnOnce(&mut Config)) -> Running {
    let data = tempfile::tempdir().unwrap();
    let listener = Listener {
        address: ([127, 0, 0, 1], 0).into(),
        tls: false,
    };
    let mut config = Config {
        listeners: vec![listener],
        ..Config::default()
    };
    config.storage.url = format!("sqlite:{}", data.path().join("records.db").display());
    config.files.directory = data.path().join("files");
    config.media.first_port = 0;
    config.media.workers = 1;
    adjust(&mut config);
    let storage = config.storage.clone();
    let server = Server::start(config).await.unwrap();
    let port = server.listeners()[0].address.port();
    Running {
        server,
        port,
        storage,
        _data: data,
    }
}

pub struct Client(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Running {
    pub async fn connect(&self) -> Client {
        self.connect_from(None).await.unwrap()
    }

    /// Connects as a page of `origin`. Returns the status if the server refuses.
    pub async fn connect_from(&self, origin: Option<&str>) -> Result<Client, u16> {
        self.connect_with(origin.map(|origin| ("origin", origin))).await
    }

    /// Connects through a proxy that names the client.
    pub async fn connect_for(&self, address: &str) -> Client {
        self.connect_with(Some(("x-forwarded-for", address))).await.unwrap()
    }

    /// Connects with so much more in the address.
    pub async fn connect_asking(&self, query: &str) -> Client {
        self.connect_asking_at("/groupcall", query).await
    }

    pub async fn connect_asking_at(&self, path: &str, query: &str) -> Client {
        self.connect_to(&format!("{path}?{query}"), None).await.unwrap()
    }

    async fn connect_with(&self, header: Option<(&'static str, &str)>) -> Result<Client, u16> {
        self.connect_to("/groupcall", header).await
    }

    async fn connect_to(&self, path: &str, header: Option<(&'static str, &str)>) -> Result<Client, u16> {
        let address = format!("ws://127.0.0.1:{}{path}", self.port);
        let mut request = address.into_client_request().unwrap();
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match timeout(PATIENCE, connect_async(request))
            .await
            .expect("an answer comes")
        {
            Ok((socket, _)) => Ok(Client(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    /// Adds a user as another process does.
    async fn add_user(&self, id: &str) {
        let records = Records::open(&self.storage).await.unwrap();
        records.add_user(&Person::unnamed(id.into())).await.unwrap();
        records.close().await;
    }

    /// Adds a room as another process does.
    pub async fn add_room(&self, name: &str, password: &str) {
        let records = Records::open(&self.storage).await.unwrap();
        records.add_room(&name.into(), Some(password)).await.unwrap();
        records.close().await;
    }

    pub async fn join(&self, user: u32) -> Client {
        let mut client = self.connect().await;
        client.sends(json!({ "type": "join", "userId": user })).await;
        assert_eq!(client.hears().await["type"], "existingParticipants");
        client
    }
}

impl Client {
    pub async fn sends(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next text.
    pub async fn hears(&mut self) -> Value {
        match self.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// The next message that is no ping.
    pub async fn next(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => return other,
                }
            }
        };
        timeout(PATIENCE, next).await.expect("something comes")
    }

    /// The code with which the server closes. Messages before it are skipped.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await? {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(error) => panic!("not closed properly: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn only_pages_of_the_server_and_configured_ones_may_connect() {
    let running = start(|config| config.http.allowed_origins = vec!["https://app.example".to_owned()]).await;
    let own = format!("http://127.0.0.1:{}", running.port);
    assert_eq!(
        running.connect_from(Some("https://evil.example")).await.err(),
        Some(403)
    );
    assert_eq!(running.connect_from(Some("null")).await.err(), Some(403));
    assert_eq!(running.connect_from(Some("http://127.0.0.1:1")).await.err(), Some(403));
    assert!(running.connect_from(Some(&own)).await.is_ok());
    assert!(running.connect_from(Some("https://app.example")).await.is_ok());
    assert!(running.connect_from(None).await.is_ok());
}

#[tokio::test]
async fn a_refusal_arrives_before_the_socket_closes() {
    let running = start(|_| {}).await;
    running.add_user("1").await;
    let mut stranger = running.connect().await;
    stranger.sends(json!({ "type": "join", "userId": 2 })).await;
    // More of the client's messages are on the way when the server closes.
    for _ in 0..50 {
        stranger
            .sends(json!({ "type": "sendMessage", "message": "hello?" }))
            .await;
    }
    assert_eq!(stranger.hears().await, json!({ "type": "userNotFound", "userId": 2 }));
    assert_eq!(stranger.closed().await, Some(1008));
}

#[tokio::test]
async fn a_huge_frame_closes_its_socket_and_no_other() {
    let running = start(|_| {}).await;
    let mut anna = running.join(1).await;
    let mut ben = running.join(2).await;
    assert_eq!(anna.hears().await["type"], "newParticipantArrived");
    let largest = "x".repeat(256 * 1024 - 30);
    ben.sends(json!({ "type": "dance", "with": largest })).await;
    assert_eq!(ben.hears().await["type"], "unrecognizedMessage");

    ben.0.send(Message::text("x".repeat(16 << 20))).await.ok();
    assert_eq!(anna.hears().await, json!({ "type": "participantLeft", "userId": 2 }));
    anna.sends(json!({ "type": "sendMessage", "message": "still here" }))
        .await;
    assert_eq!(anna.hears().await["message"], "still here");
}

#[tokio::test]
async fn a_frame_somewhat_too_long_is_answered_with_that_reason() {
    let running = start(|_| {}).await;
    let mut anna = running.join(1).await;
    anna.0.send(Message::text("x".repeat(256 * 1024 + 1))).await.unwrap();
    assert_eq!(anna.closed().await, Some(1009));
}

#[tokio::test]
async fn deep_json_and_json_in_binary_frames() {
    let running = start(|_| {}).await;
    let mut anna = running.connect().await;
    anna.0.send(Message::text("[".repeat(200_000))).await.unwrap();
    anna.0.send(Message::binary(vec![0xFF; 1_000])).await.unwrap();
    for _ in 0..2 {
        assert_eq!(anna.hears().await["type"], "unrecognizedMessage");
    }
    anna.0
        .send(Message::binary(&br#"{"type":"join","userId":1}"#[..]))
        .await
        .unwrap();
    assert_eq!(anna.hears().await["type"], "existingParticipants");
}

#[tokio::test]
async fn a_cut_connection_is_a_leave_at_once() {
    let running = start(|_| {}).await;
    let mut anna = running.join(1).await;
    let ben = running.join(2).await;
    assert_eq!(anna.hears().await["type"], "newParticipantArrived");
    drop(ben);
    assert_eq!(anna.hears().await, json!({ "type": "participantLeft", "userId": 2 }));
}

#[tokio::test]
async fn a_client_that_closes_gets_its_close_answered() {
    let running = start(|_| {}).await;
    let mut anna = running.join(1).await;
    anna.0.close(None).await.unwrap();
    assert!(matches!(anna.next().await, Some(Ok(Message::Close(_)))));
    assert!(anna.next().await.is_none());
}

#[tokio::test]
async fn a_full_server_says_so_and_takes_the_next_when_somebody_goes() {
    let running = start(|config| config.limits.max_sessions = 2).await;
    let anna = running.join(1).await;
    let mut ben = running.join(2).await;
    assert_eq!(running.connect_from(None).await.err(), Some(503));
    drop(anna);
    assert_eq!(ben.hears().await["type"], "participantLeft");
    running.join(3).await;
}

#[tokio::test]
async fn a_server_that_stops_announces_it_to_its_clients() {
    let running = start(|_| {}).await;
    let mut anna = running.join(1).await;
    let mut idle = running.connect().await;
    let (code, idle_code, ()) = tokio::join!(anna.closed(), idle.closed(), running.server.stop());
    assert_eq!((code, idle_code), (Some(1001), Some(1001)));
}
