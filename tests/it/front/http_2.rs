//! HTTP/2 (RFC 9113), with WebSockets over it (RFC 8441), by a client that can also do what no browser does.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use patchbay::config::Config;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::running::{PATIENCE, Running, listener, start};

/// The paths of sockets that need no account.
const SOCKETS: [&str; 4] = ["/call", "/direct", "/groupcall", "/ws"];

async fn over_tls(adjust: impl FnOnce(&mut Config)) -> Running {
    start(|config| {
        config.listeners = vec![listener("127.0.0.1:0", true)];
        adjust(config);
    })
    .await
}

/// One connection by HTTP/2.
struct Connection {
    requests: SendRequest<Bytes>,
    /// What drives it. It ends with the connection.
    task: JoinHandle<Result<(), h2::Error>>,
    host: String,
}

impl Connection {
    async fn open(running: &Running, builder: &Builder) -> Connection {
        let pem = std::fs::read(running.data.path().join("certs/localhost.pem")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(running.address()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        Connection {
            requests,
            task: tokio::spawn(connection),
            host: format!("localhost:{}", running.address().port()),
        }
    }

    async fn ready(&mut self) -> SendRequest<Bytes> {
        self.requests.clone().ready().await.unwrap()
    }

    async fn get(&mut self, path: &str) -> ResponseFuture {
        let request = Request::get(format!("https://{}{path}", self.host)).body(()).unwrap();
        self.ready().await.send_request(request, true).unwrap().0
    }

    async fn status(&mut self, path: &str) -> StatusCode {
        let response = self.get(path).await;
        timeout(PATIENCE, response).await.unwrap().unwrap().status()
    }

    /// Asks for a WebSocket. Returns the status, and both directions.
    async fn socket(&mut self, path: &str) -> (StatusCode, SendStream<Bytes>, RecvStream) {
        let mut requests = self.ready().await;
        // The server's settings, which say that it knows of sockets, come before its first answer.
        assert!(requests.is_extended_connect_protocol_enabled());
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("https://{}{path}", self.host))
            .header("sec-websocket-version", "13")
            .header("origin", format!("https://{}", self.host))
            .extension(Protocol::from_static("websocket"));
        let (response, sending) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        (response.status(), sending, response.into_body())
    }
}

/// A ping of a client (RFC 6455 §5.2, §5.5.2): masked, with a mask of zeros.
const PING: &[u8] = &[0x89, 0x82, 0, 0, 0, 0, b'h', b'i'];
/// Its answer.
const PONG: &[u8] = &[0x8a, 0x02, b'h', b'i'];
/// A close frame of a client, with the code 1000.
const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// Sends a ping, and waits for its answer among what comes.
async fn ping(sending: &mut SendStream<Bytes>, receiving: &mut RecvStream) {
    sending.send_data(Bytes::from_static(PING), false).unwrap();
    let mut all = Vec::new();
    while !all.windows(PONG.len()).any(|window| window == PONG) {
        let came = timeout(PATIENCE, receiving.data())
            .await
            .unwrap()
            .expect("an open stream")
            .unwrap();
        receiving.flow_control().release_capacity(came.len()).unwrap();
        all.extend_from_slice(&came);
    }
}

#[tokio::test]
async fn pages_and_sockets_come_by_one_connection() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/room").await, 200);
    let mut sockets = Vec::new();
    for path in SOCKETS {
        let (status, mut sending, mut receiving) = connection.socket(path).await;
        assert_eq!(status, 200, "{path}");
        ping(&mut sending, &mut receiving).await;
        sockets.push((sending, receiving));
    }
    assert_eq!(connection.status("/healthz").await, 200);
    for (sending, receiving) in &mut sockets {
        ping(sending, receiving).await;
    }
    let (status, ..) = connection.socket("/socket.io").await;
    assert_eq!(status, 401, "a device without a token");
    let (status, ..) = connection.socket("/wapi/services/x/wsevents?token=x").await;
    assert_eq!(status, 401, "a participant without a session");
    assert_eq!(connection.status("/call").await, 426, "not for a WebSocket");
}

#[tokio::test]
async fn what_is_refused_by_http_1_is_refused_by_http_2() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    let mut requests = connection.ready().await;
    let request = Request::get("https://rebind.example/healthz").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 421, "a host name that is not ours");
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://{}/groupcall", connection.host))
        .header("sec-websocket-version", "13")
        .header("origin", "https://elsewhere.example")
        .extension(Protocol::from_static("websocket"));
    let mut requests = connection.ready().await;
    let (response, _sending) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    assert_eq!(response.await.unwrap().status(), 403, "a page of another origin");
}

#[tokio::test]
async fn a_socket_holds_its_connection_but_no_place_and_takes_it_along_when_it_ends() {
    let running = over_tls(|config| {
        config.http.max_connections = 2;
        config.http.header_timeout_s = 1;
    })
    .await;
    let mut connections = Vec::new();
    // More than there are places.
    for _ in 0..4 {
        let mut connection = timeout(PATIENCE, Connection::open(&running, &Builder::new()))
            .await
            .unwrap();
        assert_eq!(connection.status("/healthz").await, 200);
        let (status, sending, receiving) = connection.socket("/groupcall").await;
        assert_eq!(status, 200);
        connections.push((connection, sending, receiving));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (_, sending, receiving) in &mut connections {
        ping(sending, receiving).await;
    }
    for (connection, mut sending, _receiving) in connections {
        sending.send_data(Bytes::from_static(CLOSE), true).unwrap();
        let ended = timeout(PATIENCE, connection.task).await.expect("the connection ends");
        ended.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_more_is_ended() {
    let running = over_tls(|config| config.http.header_timeout_s = 1).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    timeout(PATIENCE, connection.task).await.expect("it ends").unwrap().ok();
    let silent = Connection::open(&running, &Builder::new()).await;
    timeout(PATIENCE, silent.task).await.expect("it ends").unwrap().ok();
}

#[tokio::test]
async fn requests_at_once_are_bounded() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    assert_eq!(connection.requests.current_max_send_streams(), 100);
    // What a client keeps of our answers is counted, too: it takes nothing.
    let mut stingy = Builder::new();
    stingy.initial_window_size(0).initial_max_send_streams(1_000);
    let mut connection = Connection::open(&running, &stingy).await;
    let mut asked = Vec::new();
    for _ in 0..100 {
        asked.push(connection.get("/static/common/lang-en.js").await);
    }
    let more = timeout(Duration::from_millis(500), connection.ready()).await;
    let refused = match more {
        Err(_) => true,
        Ok(mut requests) => {
            let request = Request::get(format!("https://{}/healthz", connection.host))
                .body(())
                .unwrap();
            let response = requests.send_request(request, true).unwrap().0;
            timeout(Duration::from_millis(500), response)
                .await
                .map_or(true, |answer| answer.is_err())
        }
    };
    assert!(refused, "the 101st");
    let mut other = Connection::open(&running, &Builder::new()).await;
    assert_eq!(other.status("/healthz").await, 200);
}

/// The path of a download of two megabytes.
async fn uploaded(running: &Running) -> String {
    let part = reqwest::multipart::Part::bytes(vec![7; 2 * 1024 * 1024]).file_name("film.mp4");
    let part = part.mime_str("video/mp4").unwrap();
    let form = reqwest::multipart::Form::new().part("file", part);
    let answer = running
        .http
        .post(running.url("/files"))
        .multipart(form)
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    answer["fileUrl"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

#[tokio::test]
async fn downloads_that_nobody_takes_cost_the_connection_but_two_may_rest_beside_a_socket() {
    let running = over_tls(|_| {}).await;
    let path = uploaded(&running).await;
    let lasts = async |downloads: usize, with_socket: bool| {
        let mut connection = Connection::open(&running, &Builder::new()).await;
        let mut socket = None;
        assert_eq!(connection.status("/healthz").await, 200);
        if with_socket {
            socket = Some(connection.socket("/groupcall").await);
        }
        let mut taken = Vec::new();
        for _ in 0..downloads {
            let response = connection.get(&path).await;
            taken.push(timeout(PATIENCE, response).await.unwrap().unwrap());
        }
        // Nothing of a body is read, so that its window stays shut. Fifteen seconds are given to a pause.
        let ended = timeout(Duration::from_secs(20), connection.task).await.is_ok();
        drop(socket);
        !ended
    };
    let (one, beside, too_many) = tokio::join!(lasts(1, false), lasts(2, true), lasts(3, true));
    assert!(!one, "without a socket");
    assert!(beside, "two films that somebody has paused");
    assert!(!too_many, "three");
}

#[tokio::test]
async fn a_client_that_cancels_all_that_it_asks_for_loses_its_connection_and_nobody_else_notices() {
    let running = over_tls(|_| {}).await;
    let mut other = Connection::open(&running, &Builder::new()).await;
    let connection = Connection::open(&running, &Builder::new()).await;
    for _ in 0..10_000 {
        let Ok(mut requests) = connection.requests.clone().ready().await else {
            break;
        };
        let request = Request::get(format!("https://{}/room", connection.host))
            .body(())
            .unwrap();
        let Ok((response, mut sending)) = requests.send_request(request, true) else {
            break;
        };
        sending.send_reset(Reason::CANCEL);
        drop(response);
    }
    assert_eq!(other.status("/healthz").await, 200);
    let mut next = Connection::open(&running, &Builder::new()).await;
    assert_eq!(next.status("/healthz").await, 200);
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    let request = Request::get(format!("https://{}/healthz", connection.host)).header("x", "y".repeat(20_000));
    let mut requests = connection.ready().await;
    let answer = match requests.send_request(request.body(()).unwrap(), true) {
        Ok((response, _)) => timeout(PATIENCE, response).await.unwrap(),
        Err(error) => Err(error),
    };
    let is_refused = answer.as_ref().map_or(true, |response| response.status() == 431);
    assert!(is_refused, "{answer:?}");
    let mut other = Connection::open(&running, &Builder::new()).await;
    assert_eq!(other.status("/healthz").await, 200);
}

#[tokio::test]
async fn stopping_the_server_ends_connections_with_sockets() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    let (_, _sending, _receiving) = connection.socket("/groupcall").await;
    timeout(PATIENCE, running.server.stop()).await.unwrap();
    timeout(PATIENCE, connection.task).await.expect("it ends").unwrap().ok();
}
