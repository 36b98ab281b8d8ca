//! Clients that do not read their events, and clients that do not refresh their sessions.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{advance, pause, resume};

use super::{Events, Participant, start};

/// Lets time pass for the server, except for its hub. Sockets work only while it goes on by itself.
async fn pass(seconds: u64) {
    pause();
    advance(Duration::from_secs(seconds)).await;
    resume();
}

#[tokio::test]
async fn a_session_ends_two_minutes_after_it_was_refreshed_last_and_the_others_are_sent_that() {
    let mut running = start().await;
    // A connection that is kept would have been silent for too long.
    running.http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let anna = Participant::guest(&running, "Anna").await;
    let ben = Participant::guest(&running, "Ben").await;
    for _ in 0..2 {
        pass(118).await;
        anna.ask("refresh_session", json!({})).await;
        ben.ask("refresh_session", json!({})).await;
    }
    pass(100).await;
    ben.ask("refresh_session", json!({})).await;
    let (mut annas, mut bens) = (anna.events().await, ben.events().await);
    for events in [&mut annas, &mut bens] {
        events.until("participant_sync_end").await;
    }
    pass(21).await;
    assert_eq!(anna.is_refused("refresh_session", json!({})).await, 401);
    assert_eq!(bens.until("participant_delete").await, json!({ "uuid": anna.uuid }));
    ends(&mut annas).await;
    assert_eq!(ben.get("participants").await.as_array().unwrap().len(), 1);
}

/// Waits until a stream ends.
async fn ends(events: &mut Events) {
    while events.frame().await.is_some() {}
}

/// Memory is measured, so nothing else may run meanwhile.
mod alone {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt;
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::time::{sleep, timeout};
    use tokio_tungstenite::connect_async;

    use super::*;
    use crate::front::running::PATIENCE;
    use crate::support::server::{Server, http};

    const ALIAS: &str = "open";

    /// Texts of the greatest length: 16 MiB for each of those who are there.
    const TEXTS: usize = 1_000;
    const TEXT_CHARACTERS: usize = 16 * 1024;

    /// The text that comes after these.
    const CALM: &str = "calm";

    /// What a server may take more for two who do not read, of whom each has 256 KiB that wait and as much that is being sent.
    const GROWTH_KIB_MAX: u64 = 4 * 1024;

    /// Time in which the stream of a client that does not read ends: longer than a write may take, and a pause of an answer.
    const UNREAD: Duration = Duration::from_secs(17);

    struct Session {
        http: reqwest::Client,
        token: String,
    }

    impl Session {
        async fn enter(server: &Server, name: &str) -> Session {
            let url = server.plain("http", &format!("/api/services/{ALIAS}/new_session"));
            let http = http();
            let request = http.post(url).header("pin", "none");
            let answer = request.body(json!({ "display_name": name }).to_string()).send().await;
            let answer: Value = answer.unwrap().json().await.unwrap();
            let token = answer["result"]["token"].as_str();
            let token = token.unwrap_or_else(|| panic!("{answer}")).to_owned();
            Session { http, token }
        }

        async fn post(&self, server: &Server, request: &str, body: Value) -> u16 {
            let url = server.plain("http", &format!("/api/services/{ALIAS}/{request}"));
            let request = self.http.post(url).header("token", &self.token);
            request.body(body.to_string()).send().await.unwrap().status().as_u16()
        }

        /// Says so until it is read, by a client that may be behind.
        async fn says_that_it_is_calm(&self, server: &Server, texts: &AtomicUsize) {
            let read = async {
                while texts.load(Ordering::Relaxed) == 0 {
                    assert_eq!(self.post(server, "message", json!({ "payload": CALM })).await, 200);
                    sleep(Duration::from_millis(50)).await;
                }
            };
            assert!(timeout(PATIENCE, read).await.is_ok(), "they do not read on");
        }

        /// Asks for the events, by WebSocket or as server-sent events, and reads nothing. Its system buffers little for it.
        async fn unread(&self, server: &Server, by_socket: bool) -> TcpStream {
            let url: reqwest::Url = server.plain("http", "/").parse().unwrap();
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(16 * 1024).unwrap();
            let address = ([127, 0, 0, 1], url.port().unwrap()).into();
            let mut stream = socket.connect(address).await.unwrap();
            let (path, upgrade) = match by_socket {
                true => (
                    format!("/wapi/services/{ALIAS}/wsevents"),
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                ),
                false => (format!("/api/services/{ALIAS}/events"), ""),
            };
            let token = &self.token;
            let request = format!("GET {path}?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n{upgrade}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.unwrap();
            let status = if by_socket { "HTTP/1.1 101" } else { "HTTP/1.1 200" };
            assert_eq!(std::str::from_utf8(&first).unwrap(), status);
            stream
        }

        /// Reads all events from now on, and counts the texts that are [`CALM`].
        async fn counts(&self, server: &Server) -> Arc<AtomicUsize> {
            let path = format!("/wapi/services/{ALIAS}/wsevents?token={}", self.token);
            let (mut socket, _) = connect_async(server.plain("ws", &path)).await.unwrap();
            let texts = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&texts);
            tokio::spawn(async move {
                while let Some(Ok(message)) = socket.next().await {
                    let is_text = message.to_text().is_ok_and(|frame| frame.contains(CALM));
                    counted.fetch_add(usize::from(is_text), Ordering::Relaxed);
                }
            });
            texts
        }
    }

    /// What comes until the server has closed.
    async fn rest(mut stream: TcpStream) -> usize {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.expect("the server has ended the stream").ok();
        bytes.len()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_clients_that_do_not_read_the_streams_end_and_their_sessions_and_the_others_go_on() {
        let server = Server::start_with("[limits]\nfan_out_kib_per_s = 65536").await;
        let settings = ["--host-pin", "471147", "--guests", "anybody"];
        server
            .command(&[&["conference", "add", ALIAS], &settings[..]].concat(), "")
            .await;
        let (by_socket, by_answer) = (
            Session::enter(&server, "Anna").await,
            Session::enter(&server, "Ben").await,
        );
        let witness = Session::enter(&server, "Chen").await;
        let texts = witness.counts(&server).await;
        let talker = Session::enter(&server, "Dora").await;
        // The memory of a server that has sent texts before.
        for _ in 0..20 {
            talker
                .post(&server, "message", json!({ "payload": "x".repeat(TEXT_CHARACTERS) }))
                .await;
        }
        let unread = [
            by_socket.unread(&server, true).await,
            by_answer.unread(&server, false).await,
        ];
        let before = server.resident_kib();
        for _ in 0..TEXTS {
            let text = json!({ "payload": "x".repeat(TEXT_CHARACTERS) });
            assert_eq!(talker.post(&server, "message", text).await, 200);
        }
        let growth = server.resident_kib().saturating_sub(before);
        println!("{growth} KiB more");
        assert!(growth < GROWTH_KIB_MAX, "{growth} KiB more");
        talker.says_that_it_is_calm(&server, &texts).await;

        sleep(UNREAD).await;
        for stream in unread {
            let bytes = rest(stream).await;
            println!("{bytes} bytes before the end");
            assert!(bytes < TEXTS * TEXT_CHARACTERS / 2, "{bytes} bytes were sent");
        }
        for session in [&by_socket, &by_answer] {
            assert_eq!(session.post(&server, "refresh_session", json!({})).await, 200);
            let texts = session.counts(&server).await;
            talker.says_that_it_is_calm(&server, &texts).await;
        }
    }
}
