//! The sockets of the front door: any number of addresses, each with TLS or without.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::connection::{Front, watched};
use super::media_door::MediaDoor;
use super::turn::RelayDoor;
use crate::config::{Config, Listener};
use crate::ports::{PortError, Setting};
use crate::tasks::never_ending;

/// Connections that wait in the kernel to be accepted: a full room of clients that reconnect at once.
const BACKLOG: i32 = 1_024;
/// Pause after an accept that failed for lack of descriptors or memory: others need time to end.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Opens the listening sockets for media. Where a machine has no IPv6, those with IPv6 are left out.
pub(crate) fn bind_media(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Vec<Bound>, ListenError> {
    let mut bound = Vec::new();
    for address in addresses {
        match bind(Listener { address, tls: false }, "media.tcp_port or media.tcp") {
            Ok(socket) => bound.push(socket),
            Err(ListenError { address, why }) if address.is_ipv6() && why.is_missing_address() => {
                tracing::debug!(%address, "this machine has no IPv6 address for media");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

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

impl ListenError {
    pub(crate) fn new(address: SocketAddr, why: PortError) -> ListenError {
        ListenError { address, why }
    }

    /// Whether this machine has no such address.
    pub(crate) fn is_missing_address(&self) -> bool {
        self.why.is_missing_address()
    }
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

/// What a listener is for.
#[derive(Clone)]
enum Serves {
    Pages { tls: bool },
    Media(MediaDoor),
    Relay(RelayDoor),
}

impl Bound {
    /// Accepts connections for pages until the server stops. They run as tasks of `front.connections`.
    pub async fn serve(self, front: Front) {
        let pages = Serves::Pages { tls: self.tls };
        self.accept_until_stopped(pages, front).await;
    }

    /// Accepts connections for media, as [`Bound::serve`].
    pub(crate) async fn serve_media(self, media: MediaDoor, front: Front) {
        self.accept_until_stopped(Serves::Media(media), front).await;
    }

    /// Accepts connections of clients of the relay, as [`Bound::serve`].
    pub(crate) async fn serve_relay(self, relay: RelayDoor, front: Front) {
        self.accept_until_stopped(Serves::Relay(relay), front).await;
    }

    async fn accept_until_stopped(self, serves: Serves, front: Front) {
        let address = self.address;
        let listener = match TcpListener::from_std(self.socket) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%address, %error, "the listener cannot be used");
                return;
            }
        };
        let accepting = never_ending("accepting connections", || accept(&listener, &serves, &front));
        front.stop.run_until_cancelled(accepting).await;
    }
}

async fn accept(listener: &TcpListener, serves: &Serves, front: &Front) {
    let mut failing = false;
    let door = match serves {
        Serves::Pages { .. } => &front.door,
        Serves::Media(media) => &media.door,
        Serves::Relay(relay) => &relay.door,
    };
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                failing = false;
                let Some(guest) = door.admit(front.address_of(client)).await else {
                    tracing::debug!(%client, "its address has as many connections as it may");
                    continue;
                };
                let (front, tasks) = (front.clone(), front.connections.clone());
                match serves.clone() {
                    Serves::Pages { tls } => tasks.spawn(watched(stream, client, tls, guest, front)),
                    Serves::Media(media) => tasks.spawn(async move { media.take(stream, client, guest).await }),
                    Serves::Relay(relay) => {
                        let address = front.address_of(client);
                        tasks.spawn(relay.take(stream, client, address, guest))
                    }
                };
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
