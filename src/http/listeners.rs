//! The sockets of the front door: any number of addresses, each with TLS or without. HTTP/1.1; WebSockets leave here
//! by upgrade.
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
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::door::{AdmittedConnection, Door};
use super::host::OverTls;
use super::tls::Certificate;
use super::watch::{self, Activity, InProgress, Watched, WatchedRequest};
use crate::config::{Config, Listener};
use crate::ports::{PortError, Setting};
use crate::shares::ClientAddress;
use crate::tasks::never_ending;

/// Bytes of the longest request line and headers together. Ours are below 2 KiB; cookies of a shared domain may add
/// some.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Read buffer of one connection, which is also the largest piece of an upload.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Connections that wait in the kernel to be accepted: a full room of clients that reconnect at once.
const BACKLOG: i32 = 1_024;
/// Time for which sent data may stay unacknowledged, or a reader may keep its window shut, before the connection is
/// ended (TCP_USER_TIMEOUT). Shorter would end calls over a short outage, which they survive otherwise.
const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(30);
/// Time that a request in progress has after the server was asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after an accept that failed for lack of descriptors or memory: others need time to end.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// A listening socket.
#[derive(Debug)]
pub struct Bound {
    socket: std::net::TcpListener,
    pub address: SocketAddr,
    pub tls: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}")]
pub struct ListenError {
    address: SocketAddr,
    why: PortError,
}

/// Everything that serving needs beside sockets.
#[derive(Clone)]
pub struct Front {
    pub router: Router,
    pub certificate: Option<Certificate>,
    pub limits: watch::WatchLimits,
    /// Addresses of proxies. They have no share of the connections, because theirs belong to many clients.
    pub(crate) trusted_proxies: Arc<[IpAddr]>,
    pub door: Door,
    pub stop: CancellationToken,
    pub connections: TaskTracker,
}

/// Opens all listeners of the configuration, or none. Of the default ones, those with IPv6 are left out on a machine
/// without it.
pub(crate) fn bind_all(config: &Config) -> Result<Vec<Bound>, ListenError> {
    let mut bound = Vec::new();
    for listener in &config.listeners {
        match bind(*listener, "listeners") {
            Ok(socket) => bound.push(socket),
            Err(ListenError { address, why })
                if address.is_ipv6() && config.has_default_listeners() && why.is_missing_address() =>
            {
                tracing::debug!(%address, "this machine has no IPv6 loopback address");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

/// Opens the listening socket that is configured under `setting`.
pub fn bind(listener: Listener, setting: Setting) -> Result<Bound, ListenError> {
    let address = listener.address;
    let open = || {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        // With this a restart need not wait until old connections time out.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // [::] and 0.0.0.0 are two listeners, whatever the system's default is.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = std::net::TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    let (socket, address) = open().map_err(|source| ListenError {
        address,
        why: PortError::of(source, address.port(), setting),
    })?;
    Ok(Bound {
        socket,
        address,
        tls: listener.tls,
    })
}

impl Bound {
    /// Accepts connections until the server stops. They run as tasks of `front.connections`.
    pub async fn serve(self, front: Front) {
        let address = self.address;
        let listener = match TcpListener::from_std(self.socket) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%address, %error, "the listener cannot be used");
                return;
            }
        };
        let accepting = never_ending("accepting connections", || accept(&listener, self.tls, &front));
        front.stop.run_until_cancelled(accepting).await;
    }
}

async fn accept(listener: &TcpListener, tls: bool, front: &Front) {
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                failing = false;
                let Some(guest) = front.door.admit(front.address_of(client)).await else {
                    tracing::debug!(%client, "its address has as many connections as it may");
                    continue;
                };
                let front = front.clone();
                front
                    .connections
                    .clone()
                    .spawn(async move { watched(stream, client, tls, guest, front).await });
            }
            // The connection ended before it was accepted.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "cannot accept connections; trying again until it works");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

impl Front {
    fn address_of(&self, client: SocketAddr) -> ClientAddress {
        let ip = client.ip().to_canonical();
        if self.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == ip) {
            return ClientAddress::THIS_MACHINE;
        }
        ip.into()
    }
}

/// Serves a connection until it ends, is ended for another one, or has held its place for too long.
async fn watched(stream: TcpStream, client: SocketAddr, tls: bool, guest: AdmittedConnection, front: Front) {
    let _open = super::metrics::OpenConnection::new();
    let (guest, activity) = (Arc::new(guest), Arc::new(Activity::default()));
    let (limits, door) = (front.limits, guest.door().clone());
    tokio::select! {
        () = connection(stream, client, tls, Served { guest: Arc::clone(&guest), activity: Arc::clone(&activity), front }) => {}
        () = guest.gives_way() => tracing::debug!(%client, "ended for another connection, as it had sent nothing"),
        why = watch::until_given_up(&activity, &door, limits) => tracing::debug!(%client, ?why, "connection given up"),
    }
}

/// A connection's place and activity, and what serves it.
struct Served {
    guest: Arc<AdmittedConnection>,
    activity: Arc<Activity>,
    front: Front,
}

async fn connection(mut stream: TcpStream, client: SocketAddr, tls: bool, served: Served) {
    let socket = socket2::SockRef::from(&stream);
    // Best effort: the connection works without these options, too.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR));
    let activity = Arc::clone(&served.activity);
    let Some(certificate) = served.front.certificate.as_ref().filter(|_| tls) else {
        let socket = stream;
        return http(Watched { socket, activity }, client, OverTls(false), served).await;
    };
    let acceptor = TlsAcceptor::from(certificate.current());
    let handshake = async {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first[0].is_ascii_uppercase() {
            answer_without_https(&mut stream).await?;
            return Err(ErrorKind::InvalidData.into());
        }
        let socket = stream;
        acceptor.accept(Watched { socket, activity }).await
    };
    match tokio::time::timeout(served.front.limits.silence, handshake).await {
        Ok(Ok(stream)) => http(stream, client, OverTls(true), served).await,
        Ok(Err(error)) => tracing::debug!(%client, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%client, "TLS handshake did not finish in time"),
    }
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

async fn http<S>(stream: S, client: SocketAddr, transport: OverTls, served: Served)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Served { guest, activity, front } = served;
    let router = front.router;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        guest.heard();
        let in_progress = InProgress::begin(&activity);
        let mut request = request.map(|body| WatchedRequest::noted(Body::new(body), &activity));
        request.extensions_mut().insert(ConnectInfo(client));
        request.extensions_mut().insert(transport);
        let mut router = router.clone();
        async move {
            let response = router.call(request).await.unwrap_or_else(|never| match never {});
            Ok::<_, Infallible>(response.map(|body| in_progress.until_sent(body)))
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(front.limits.silence)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = front.stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%client, %error, "HTTP connection ended early");
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
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
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
                () = http(Watched { socket, activity }, client, OverTls(false), served) => {}
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
