//! Our relay (TURN): its sockets and its secret, as the configuration has them.

use std::net::{IpAddr, SocketAddr};

use crate::config::{Config, Listener, TurnRelay};
use crate::http::connection::Front;
use crate::http::listeners::{self, Bound, ListenError};
use crate::http::turn::{BoundUdp, Relay, bind_udp};
use crate::turn::announced::{AnnouncedRelay, Places};
use crate::turn::credentials::Secret;

/// The settings that have its port.
const SETTING: &str = "turn.port or turn.relay";

/// The sockets of the relay, before anybody reads them.
pub(super) struct RelaySockets {
    pub udp: Vec<BoundUdp>,
    pub tcp: Vec<Bound>,
    /// The port of all of them.
    pub port: u16,
}

impl RelaySockets {
    /// Opens them where media is received, if this server is to relay. A port that is taken is an error only where the relay was
    /// asked for.
    pub fn bind(config: &Config, addresses: &[IpAddr]) -> Result<Option<RelaySockets>, ListenError> {
        if !config.relays() {
            return Ok(None);
        }
        match bind(addresses, config.turn.port) {
            Ok(sockets) => Ok(Some(sockets)),
            Err(error) if config.turn.relay == TurnRelay::Auto => {
                tracing::warn!(%error, "this server does not relay media (TURN)");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The line for the person who started the server.
    pub fn line(&self) -> String {
        let addresses: Vec<String> = self.udp.iter().map(|socket| socket.address.to_string()).collect();
        format!("Relay (TURN) by UDP and TCP on {}", addresses.join(", "))
    }
}

/// Binds one port for both protocols on every address. With port 0 the system chooses one.
fn bind(addresses: &[IpAddr], port: u16) -> Result<RelaySockets, ListenError> {
    // A port that is free for the first socket may be taken for the next, so a few are tried.
    let attempts = if port == 0 { 16 } else { 1 };
    let mut tried = bind_once(addresses, port);
    for _ in 1..attempts {
        if tried.is_ok() {
            break;
        }
        tried = bind_once(addresses, port);
    }
    tried
}

fn bind_once(addresses: &[IpAddr], mut port: u16) -> Result<RelaySockets, ListenError> {
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for &ip in addresses {
        match bind_udp(SocketAddr::new(ip, port)) {
            Ok(socket) => {
                let address = socket.address;
                port = address.port();
                udp.push(socket);
                tcp.push(listeners::bind(Listener { address, tls: false }, SETTING)?);
            }
            Err(error) if ip.is_ipv6() && error.is_missing_address() => {
                tracing::debug!(%error, "this machine has no IPv6 address for the relay");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(RelaySockets { udp, tcp, port })
}

/// Relays for the clients that come to the sockets of the relay, until the server stops.
pub(super) fn serve(sockets: Option<RelaySockets>, relay: &Relay, front: &Front) {
    let (Some(RelaySockets { udp, tcp, .. }), Some(door)) = (sockets, &front.relay) else {
        return;
    };
    for socket in udp {
        let serving = socket.serve(relay.clone());
        front
            .connections
            .spawn(front.stop.clone().run_until_cancelled_owned(serving));
    }
    for socket in tcp {
        front.connections.spawn(socket.serve_relay(door.clone(), front.clone()));
    }
}

/// What clients are told of the relay. `None`: there is none. `tls_port` is that of a listener with TLS.
pub(super) fn announced(
    config: &Config,
    sockets: Option<&RelaySockets>,
    tls_port: Option<u16>,
    secret: Secret,
) -> Option<AnnouncedRelay> {
    let turn = &config.turn;
    let places = match sockets {
        Some(sockets) => Places::Here {
            host: Some(turn.host.clone()).filter(|host| !host.is_empty()),
            port: sockets.port,
            tls_port,
        },
        None if turn.urls.is_empty() => return None,
        None => Places::Elsewhere(turn.urls.clone()),
    };
    Some(AnnouncedRelay::new(places, secret, turn.credentials_lifetime_s))
}

/// The reason why the secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("turn.secret_file {0}: {1}")]
    Unreadable(String, std::io::Error),
    #[error("turn.secret_file {0} is empty; write the secret there, and nothing else")]
    Empty(String),
}

/// What signs the credentials of the relay: what the file has, or something new.
pub(super) async fn secret(config: &Config) -> Result<Secret, SecretError> {
    let file = &config.turn.secret_file;
    if file.as_os_str().is_empty() {
        return Ok(Secret::new(&rand::random::<[u8; 32]>()));
    }
    let name = file.display().to_string();
    let text = match tokio::fs::read_to_string(file).await {
        Ok(text) => text,
        Err(error) => return Err(SecretError::Unreadable(name, error)),
    };
    match text.trim() {
        "" => Err(SecretError::Empty(name)),
        secret => Ok(Secret::new(secret.as_bytes())),
    }
}
