//! One connection of the front door: TLS, then HTTP/2 where the client chose it there, otherwise HTTP/1.1. WebSockets leave
//! HTTP/1.1 by upgrade; over HTTP/2, where that is allowed, each is a stream of its own (RFC 8441), beside requests of the same page.
//!
//! A client that connects and sends nothing, sends its headers very slowly, or reads nothing loses its connection
//! within seconds, so that descriptors are left for others.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::door::{AdmittedConnection, Door};
use super::host::{AskedFor, OverTls};
use super::media_door::MediaDoor;
use super::open_sockets::OpenSockets;
use super::tls::{Certificate, HTTP_2};
use super::turn::{Prefixed, RelayDoor};
use super::watch::{self, Activity, InProgress, Watched, WatchedRequest};
use crate::media::tcp::first_bytes::{self, Speaker};
use crate::shares::ClientAddress;
use crate::turn::framing;

/// Bytes of the longest request line and headers together. Ours are below 2 KiB; cookies of a shared domain may add
/// some.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Read buffer of one connection, which is also the largest piece of an upload.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Requests in progress of one connection by HTTP/2. A page fetches about 80 files at once.
const MAX_STREAMS: u32 = 100;
/// Bytes of one upload by HTTP/2 that may come before they are read: at a round trip of 100 ms it has 10 Mb/s.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// The same of all requests and WebSockets of a connection together. One that is not read leaves room for the others; and a connection
/// cannot fill more of the memory.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Requests that a client has cancelled before the server saw them: a browser may cancel all of a page that is left. Whoever cancels
/// more loses the connection (CVE-2023-44487).
const MAX_CANCELLED: usize = MAX_STREAMS as usize;
/// Time for which sent data may stay unacknowledged, or a reader may keep its window shut, before the connection is
/// ended (TCP_USER_TIMEOUT). Shorter would end calls over a short outage, which they survive otherwise.
const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(30);
/// Time that a request in progress has after the server was asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Time for what has been said to leave, where nothing else is in progress.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Everything that serving needs beside sockets.
#[derive(Clone)]
pub struct Front {
    pub router: Router,
    pub certificate: Option<Certificate>,
    pub limits: watch::WatchLimits,
    /// Addresses of proxies. They have no share of the connections, because theirs belong to many clients.
    pub(crate) trusted_proxies: Arc<[IpAddr]>,
    pub door: Door,
    /// Where connections with media go. `None` where they are not taken.
    pub(crate) media: Option<MediaDoor>,
    /// Where clients of the relay go that come over TLS. `None` where there is no relay.
    pub(crate) relay: Option<RelayDoor>,
    pub stop: CancellationToken,
    pub connections: TaskTracker,
    /// Whether WebSockets may come over HTTP/2.
    pub(crate) sockets_over_http_2: bool,
}

impl Front {
    pub(super) fn address_of(&self, client: SocketAddr) -> ClientAddress {
        let ip = client.ip().to_canonical();
        if self.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == ip) {
            return ClientAddress::THIS_MACHINE;
        }
        ip.into()
    }
}

/// A connection's place and activity, and what serves it.
struct Served {
    guest: Arc<AdmittedConnection>,
    activity: Arc<Activity>,
    front: Front,
}

/// Serves a connection until it ends, is ended for another one, or has held its place for too long.
pub(super) async fn watched(stream: TcpStream, client: SocketAddr, tls: bool, guest: AdmittedConnection, front: Front) {
    let _open = super::metrics::OpenConnection::new();
    let (guest, activity) = (Arc::new(guest), Arc::new(Activity::default()));
    let (limits, door) = (front.limits, guest.door().clone());
    let served = Served {
        guest: Arc::clone(&guest),
        activity: Arc::clone(&activity),
        front,
    };
    tokio::select! {
        () = connection(stream, client, tls, served) => {}
        () = guest.gives_way() => tracing::debug!(%client, "ended for another connection, as it had sent nothing"),
        why = watch::until_given_up(&activity, &door, limits) => tracing::debug!(%client, ?why, "connection given up"),
    }
}

async fn connection(mut stream: TcpStream, client: SocketAddr, tls: bool, served: Served) {
    let socket = socket2::SockRef::from(&stream);
    // Best effort: the connection works without these options, too.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR));
    let activity = Arc::clone(&served.activity);
    let Some(certificate) = served.front.certificate.as_ref().filter(|_| tls) else {
        let socket = stream;
        return http(Watched { socket, activity }, client, Protocol::PLAIN, served).await;
    };
    let acceptor = TlsAcceptor::from(certificate.current());
    let handshake = async {
        let mut first = [0];
        let peeked = stream.peek(&mut first).await?;
        match first_bytes::tell(first.get(..peeked).unwrap_or_default()) {
            Some(Speaker::Http) => {
                answer_without_https(&mut stream).await?;
                Err(ErrorKind::InvalidData.into())
            }
            Some(Speaker::Media) if served.front.media.is_some() => Ok(Spoken::Media(stream)),
            _ => {
                let socket = stream;
                acceptor.accept(Watched { socket, activity }).await.map(Spoken::Tls)
            }
        }
    };
    match tokio::time::timeout(served.front.limits.silence, handshake).await {
        Ok(Ok(Spoken::Media(stream))) => {
            // It needs a place at another door from now on.
            served.guest.heard();
            served.guest.give_place_back();
            if let Some(media) = &served.front.media {
                media.receive(stream, client, served.front.address_of(client)).await;
            }
        }
        Ok(Ok(Spoken::Tls(stream))) => {
            let protocol = Protocol {
                over_tls: OverTls(true),
                is_http_2: stream.get_ref().1.alpn_protocol() == Some(HTTP_2),
                asked_for: AskedFor(stream.get_ref().1.server_name().map(Arc::from)),
            };
            over_tls(stream, client, protocol, served).await;
        }
        Ok(Err(error)) => tracing::debug!(%client, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%client, "TLS handshake did not finish in time"),
    }
}

/// Serves what comes over TLS: pages, or the relay. The first byte tells them apart, as messages of the relay begin with a small number.
/// HTTP/2 was agreed on before that.
async fn over_tls<S>(mut stream: S, client: SocketAddr, protocol: Protocol, served: Served)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(relay) = served.front.relay.clone().filter(|_| !protocol.is_http_2) else {
        return http(stream, client, protocol, served).await;
    };
    let mut first = [0];
    let Ok(1) = stream.read(&mut first).await else {
        return;
    };
    if framing::begins_message(first[0]) {
        // It needs a place at another door. While it waits for that it keeps the one that it has, so it may still be ended for others.
        let address = served.front.address_of(client);
        let Some(place) = relay.admit(client, address).await else {
            return;
        };
        // Nobody watches for its requests any more.
        served.guest.heard();
        served.guest.give_place_back();
        let tasks = served.front.connections.clone();
        tasks.spawn(async move { relay.serve(stream, first.to_vec(), (client, address), &place).await });
        return;
    }
    http(Prefixed::new(first[0], stream), client, protocol, served).await;
}

/// What a client has begun to speak on a port with TLS.
enum Spoken<T> {
    Tls(T),
    Media(TcpStream),
}

/// Answers a client that left out the "s" of https. A TLS record starts with a small number, an HTTP request with a
/// capital letter.
async fn answer_without_https(stream: &mut TcpStream) -> std::io::Result<()> {
    const BODY: &str = r#"{"error":"this address needs https:// in front of it"}"#;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    // The request is read first: closing a socket with unread data resets it, and the answer would be lost.
    let _some = stream.read(&mut [0; 4_096]).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// What a client speaks on its connection.
struct Protocol {
    over_tls: OverTls,
    is_http_2: bool,
    asked_for: AskedFor,
}

impl Protocol {
    /// Browsers speak HTTP/2 over TLS only.
    const PLAIN: Protocol = Protocol {
        over_tls: OverTls(false),
        is_http_2: false,
        asked_for: AskedFor(None),
    };
}

async fn http<S>(stream: S, client: SocketAddr, protocol: Protocol, served: Served)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Served { guest, activity, front } = served;
    let sockets = OpenSockets::new(&guest, &activity);
    let answering = Answering {
        client,
        over_tls: protocol.over_tls,
        asked_for: protocol.asked_for,
        router: front.router.clone(),
        guest,
        activity,
        sockets: sockets.clone(),
    };
    let service = hyper::service::service_fn(move |request| answering.answer(request));
    let io = TokioIo::new(stream);
    let result = if protocol.is_http_2 {
        let serving = http_2(&front).serve_connection(io, service);
        tokio::pin!(serving);
        let ended = loop {
            tokio::select! {
                result = serving.as_mut() => break Some(result),
                () = front.stop.cancelled() => break None,
                () = sockets.last_has_ended() => {
                    if !sockets.have_place_again() {
                        break None;
                    }
                }
            }
        };
        match ended {
            Some(result) => result,
            None => {
                serving.as_mut().graceful_shutdown();
                until_ended(serving, &sockets).await
            }
        }
    } else {
        let serving = http_1(&front).serve_connection(io, service).with_upgrades();
        tokio::pin!(serving);
        tokio::select! {
            result = serving.as_mut() => result,
            () = front.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%client, %error, "HTTP connection ended early");
    }
}

fn http_1(front: &Front) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(front.limits.silence)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES);
    builder
}

fn http_2(front: &Front) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_CANCELLED)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(MAX_BUFFER_BYTES);
    if front.sockets_over_http_2 {
        builder.enable_connect_protocol();
    }
    builder
}

/// Waits until the requests in progress are answered. WebSockets end by themselves; the rest is given up after a time, which is short
/// where there is no rest: a client may leave unanswered that it has read of the end.
async fn until_ended<F>(serving: F, sockets: &OpenSockets) -> hyper::Result<()>
where
    F: Future<Output = hyper::Result<()>>,
{
    let too_long = async {
        tokio::time::sleep(LAST_WORDS).await;
        if sockets.has_other_requests() {
            tokio::time::sleep(GRACE).await;
        }
        sockets.none_is_open().await;
        // The last frames of the last socket have to leave, too.
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        result = serving => result,
        () = too_long => Ok(()),
    }
}

/// What answers the requests of one connection.
struct Answering {
    client: SocketAddr,
    over_tls: OverTls,
    asked_for: AskedFor,
    router: Router,
    guest: Arc<AdmittedConnection>,
    activity: Arc<Activity>,
    sockets: OpenSockets,
}

impl Answering {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<> {
        self.guest.heard();
        let in_progress = InProgress::begin(&self.activity);
        let mut request = request.map(|body| WatchedRequest::noted(Body::new(body), &self.activity));
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(self.client));
        extensions.insert(self.over_tls);
        extensions.insert(self.asked_for.clone());
        extensions.insert(self.sockets.clone());
        let mut router = self.router.clone();
        async move {
            let response = router.call(request).await.unwrap_or_else(|never| match never {});
            Ok(response.map(|body| in_progress.until_sent(body)))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::time::{Instant, sleep};

    use super::*;

    const ANSWER_BYTES: usize = 400_000;

    fn front() -> Front {
        Front {
            router: Router::new().route("/", get(async || "x".repeat(ANSWER_BYTES))),
            certificate: None,
            limits: watch::WatchLimits {
                silence: Duration::from_secs(15),
                bytes_per_s: 8_000,
            },
            trusted_proxies: Arc::new([]),
            door: Door::new(10, 100),
            media: None,
            relay: None,
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
            sockets_over_http_2: true,
        }
    }

    /// The bytes sent to a client that reads `bytes_per_s`, and the time that its connection lasts.
    async fn read_at(bytes_per_s: usize) -> (usize, Duration) {
        let (front, client) = (front(), SocketAddr::from(([127, 0, 0, 1], 1)));
        let guest = Arc::new(front.door.admit(client.ip().into()).await.unwrap());
        let (activity, door) = (Arc::new(Activity::default()), front.door.clone());
        let (socket, mut other) = tokio::io::duplex(1_024);
        let limits = front.limits;
        let served = Served {
            guest,
            activity: Arc::clone(&activity),
            front,
        };
        let serving = tokio::spawn(async move {
            let activity_too = Arc::clone(&activity);
            tokio::select! {
                () = http(Watched { socket, activity }, client, Protocol::PLAIN, served) => {}
                _ = watch::until_given_up(&activity_too, &door, limits) => {}
            }
        });
        let since = Instant::now();
        other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let (mut got, mut buffer) = (0, vec![0; bytes_per_s]);
        while let Ok(bytes @ 1..) = other.read(&mut buffer).await {
            got += bytes;
            sleep(Duration::from_secs(1).mul_f64(bytes as f64 / bytes_per_s as f64)).await;
        }
        serving.await.unwrap();
        (got, since.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_too_slowly_is_ended_and_one_at_the_least_speed_is_not() {
        let (got, lasted) = read_at(100).await;
        assert!(got < ANSWER_BYTES / 10, "{got}");
        assert!(lasted < Duration::from_secs(40), "{lasted:?}");
        let (got, lasted) = read_at(10_000).await;
        assert!(got > ANSWER_BYTES, "{got}");
        // The idle connection is ended, too.
        assert!(lasted < Duration::from_secs(70), "{lasted:?}");
    }
}
