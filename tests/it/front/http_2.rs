//! HTTP/2 (RFC 9113), with WebSockets over it (RFC 8441), by a client that can also do what no browser does.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use patchbay::config::Config;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::running::{PATIENCE, Running, listener, start};
use super::uploads::{form, post};

/// The paths of sockets that need no account.
const SOCKETS: [&str; 4] = ["/call", "/direct", "/groupcall", "/ws"];

async fn over_tls(adjust: impl FnOnce(&mut Config)) -> Running {
    start(|config| {
        config.listeners = vec![listener("127.0.0.1:0", true)];
        config.http.websockets_over_http2 = true;
        adjust(config);
    })
    .await
}

fn host_of(running: &Running) -> String {
    format!("localhost:{}", running.address().port())
}

/// A connection with TLS for `localhost` on which both sides have chosen HTTP/2.
async fn over_tls_to(running: &Running) -> TlsStream<TcpStream> {
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
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
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
        let (requests, connection) = builder.handshake(over_tls_to(running).await).await.unwrap();
        Connection {
            requests,
            task: tokio::spawn(connection),
            host: host_of(running),
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
async fn browsers_are_not_asked_to_open_sockets_over_http_2_by_default() {
    let running =
        over_tls(|config| config.http.websockets_over_http2 = Config::default().http.websockets_over_http2).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    assert!(!connection.requests.is_extended_connect_protocol_enabled());
}

#[tokio::test]
async fn what_is_refused_by_http_1_is_refused_by_http_2() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    let mut requests = connection.ready().await;
    // The latter is ours, but the connection was not made for it.
    for host in ["rebind.example".to_owned(), running.address().to_string()] {
        let request = Request::get(format!("https://{host}/healthz")).body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 421, "{host}");
        requests = connection.ready().await;
    }
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://{}/groupcall", connection.host))
        .header("sec-websocket-version", "13")
        .header("origin", "https://elsewhere.example")
        .extension(Protocol::from_static("websocket"));
    let (response, _sending) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    assert_eq!(response.await.unwrap().status(), 403, "a page of another origin");
}

#[tokio::test]
async fn a_socket_holds_its_connection_but_no_place() {
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
        let (status, mut sending, mut receiving) = connection.socket("/groupcall").await;
        assert_eq!(status, 200);
        ping(&mut sending, &mut receiving).await;
        connections.push((connection, sending, receiving));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (_, sending, receiving) in &mut connections {
        ping(sending, receiving).await;
    }
    // One of them finds a place again, and is then silent; the others find none, as the listener holds the other one.
    for (connection, mut sending, _receiving) in connections {
        sending.send_data(Bytes::from_static(CLOSE), true).unwrap();
        let ended = timeout(PATIENCE, connection.task).await.expect("the connection ends");
        ended.unwrap().ok();
    }
}

#[tokio::test]
async fn a_download_goes_on_after_the_last_socket_of_its_connection() {
    let running = over_tls(|_| {}).await;
    let path = uploaded(&running).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    let (_, mut sending, mut receiving) = connection.socket("/groupcall").await;
    ping(&mut sending, &mut receiving).await;
    let response = connection.get(&path).await;
    let mut body = timeout(PATIENCE, response).await.unwrap().unwrap().into_body();
    sending.send_data(Bytes::from_static(CLOSE), true).unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let mut bytes = 0;
    while let Some(piece) = timeout(PATIENCE, body.data()).await.unwrap() {
        let piece = piece.unwrap();
        bytes += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(bytes, 2 * 1024 * 1024);
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

/// The beginning of a connection (RFC 9113 §3.4), with a window of nothing for each answer.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
const RST_STREAM: u8 = 0x3;
const GOAWAY: u8 = 0x7;
const REFUSED_STREAM: u32 = 0x7;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A whole request for a file, without compression (RFC 7541 §6.1, §6.2.2).
fn asks(running: &Running, stream: u32) -> Vec<u8> {
    let text = |index: u8, value: &str| [&[index, value.len() as u8], value.as_bytes()].concat();
    let (authority, path) = (text(0x01, &host_of(running)), text(0x04, "/static/common/lang-en.js"));
    frame(0x1, 0x5, stream, &[&[0x82, 0x87][..], &authority, &path].concat())
}

/// Sends these bytes after the beginning, and returns the error code of the first frame of this kind that comes.
async fn answered_by(running: &Running, bytes: &[u8], kind: u8) -> u32 {
    let mut stream = over_tls_to(running).await;
    stream.write_all(&[PREFACE, bytes].concat()).await.unwrap();
    let first = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if head[3] == kind {
                let code = if kind == GOAWAY { &payload[4..8] } else { &payload[..4] };
                return u32::from_be_bytes(code.try_into().unwrap());
            }
        }
    };
    timeout(PATIENCE, first).await.expect("such a frame")
}

#[tokio::test]
async fn requests_at_once_are_bounded() {
    let running = over_tls(|_| {}).await;
    let requests: Vec<u8> = (0..101).flat_map(|number| asks(&running, 2 * number + 1)).collect();
    assert_eq!(answered_by(&running, &requests, RST_STREAM).await, REFUSED_STREAM);
    let mut other = Connection::open(&running, &Builder::new()).await;
    assert_eq!(other.status("/healthz").await, 200);
}

#[tokio::test]
async fn who_cancels_all_that_they_ask_for_loses_their_connection_and_nobody_else_notices() {
    let running = over_tls(|_| {}).await;
    let mut other = Connection::open(&running, &Builder::new()).await;
    let cancel = 8_u32.to_be_bytes();
    let cancelled = |number: u32| {
        [
            asks(&running, 2 * number + 1),
            frame(RST_STREAM, 0, 2 * number + 1, &cancel),
        ]
        .concat()
    };
    let requests: Vec<u8> = (0..1_000).flat_map(cancelled).collect();
    assert_eq!(answered_by(&running, &requests, GOAWAY).await, ENHANCE_YOUR_CALM);
    assert_eq!(other.status("/healthz").await, 200);
}

#[tokio::test]
async fn answers_in_one_piece_have_to_be_taken_as_well() {
    let running = over_tls(|_| {}).await;
    let mut stingy = Builder::new();
    stingy.initial_window_size(1);
    let mut connection = Connection::open(&running, &stingy).await;
    let response = connection.get("/static/swagger-ui/swagger-ui-bundle.js").await;
    let _untaken = timeout(PATIENCE, response).await.unwrap().unwrap();
    // It asks for something each second, so it is not silent.
    let asking = async {
        while connection.requests.clone().ready().await.is_ok() {
            let response = connection.get("/favicon.ico").await;
            let _untaken = response.await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("it is ended");
}

/// The path of a download of two megabytes.
async fn uploaded(running: &Running) -> String {
    let (_, answer) = post(running, form(vec![7; 2 * 1024 * 1024], "film.mp4", "video/mp4")).await;
    answer["fileUrl"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

#[tokio::test]
async fn downloads_that_nobody_takes_cost_the_connection_but_some_may_rest_beside_a_socket() {
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
    let (one, beside, too_many) = tokio::join!(lasts(1, false), lasts(6, true), lasts(7, true));
    assert!(!one, "without a socket");
    assert!(beside, "six that somebody has paused");
    assert!(!too_many, "seven");
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    let request = Request::get(format!("https://{}/healthz", connection.host)).header("x", "y".repeat(20_000));
    let mut requests = connection.ready().await;
    let (response, _) = requests.send_request(request.body(()).unwrap(), true).unwrap();
    assert_eq!(timeout(PATIENCE, response).await.unwrap().unwrap().status(), 431);
    let mut other = Connection::open(&running, &Builder::new()).await;
    assert_eq!(other.status("/healthz").await, 200);
}

#[tokio::test]
async fn stopping_the_server_ends_connections_with_sockets() {
    let running = over_tls(|_| {}).await;
    let mut connection = Connection::open(&running, &Builder::new()).await;
    assert_eq!(connection.status("/healthz").await, 200);
    let (_, mut sending, mut receiving) = connection.socket("/groupcall").await;
    ping(&mut sending, &mut receiving).await;
    let closed = async {
        let mut all = Vec::new();
        while let Some(Ok(came)) = receiving.data().await {
            all.extend_from_slice(&came);
        }
        all
    };
    let (_, said) = tokio::join!(timeout(PATIENCE, running.server.stop()), timeout(PATIENCE, closed));
    let said = said.expect("the stream ends");
    // A close frame with the code 1012 (service restart) or 1001 (going away).
    let is_close = |window: &[u8]| {
        window[0] == 0x88 && [1012_u16.to_be_bytes(), 1001_u16.to_be_bytes()].contains(&[window[2], window[3]])
    };
    assert!(said.windows(4).any(is_close), "{said:?}");
    timeout(PATIENCE, connection.task).await.expect("it ends").unwrap().ok();
}
