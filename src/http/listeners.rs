//! The sockets of the front door: any number of addresses, each with TLS or without.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::connection::{Front, watched};
use crate::config::{Config, Listener};
use crate::ports::{PortError, Setting};
use crate::tasks::never_ending;

/// Connections that wait in the kernel to be accepted: a full room of clients that reconnect at once.
const BACKLOG: i32 = 1_024;
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
