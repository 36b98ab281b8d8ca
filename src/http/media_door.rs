//! Connections with media by TCP, from their first byte until a media worker has them. They come to a port of their own, or to a port with
//! TLS, where their first byte tells them from browsers.
//!
//! Nobody knows yet who they are: so they have a door of their own, at which the oldest that has named nobody gives way, and
//! each address has its share.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::door::{AdmittedConnection, Door};
use crate::media::tcp::entrance::{Arrival, Refused, TcpEntrance};
use crate::shares::ClientAddress;

/// The places of these connections, and the way to the workers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct MediaDoor {
    pub door: Door,
    pub entrance: TcpEntrance,
    pub stop: CancellationToken,
}

impl MediaDoor {
    /// Takes a connection that has come to a port for pages; `address` is that whose share it counts to.
    pub(super) async fn receive(&self, stream: TcpStream, client: SocketAddr, address: ClientAddress) {
        match self.door.admit(address).await {
            Some(guest) => self.take(stream, client, guest).await,
            None => refused(client, "its address has as many connections as it may", "share"),
        }
    }

    /// Waits for the first connectivity check, and hands the connection to the worker that it is for. The place goes with it.
    pub(super) async fn take(&self, mut stream: TcpStream, client: SocketAddr, guest: AdmittedConnection) {
        let first = tokio::select! {
            first = TcpEntrance::first_check(&mut stream) => first,
            () = self.stop.cancelled() => return,
            () = guest.gives_way() => return refused(client, "ended for another one, as it had named nobody", "gave_way"),
        };
        let handed_over = first.and_then(|check| {
            guest.heard();
            let arrival = Arrival {
                stream: stream.into_std()?.into(),
                client,
                bytes: check.bytes,
                place: Box::new(guest),
            };
            self.entrance.hand_over(check.worker, arrival)
        });
        if let Err(error) = handed_over {
            refused(client, &error.to_string(), Refused::name(&error));
        }
    }
}

fn refused(client: SocketAddr, why: &str, name: &'static str) {
    tracing::debug!(%client, why, "connection for media closed");
    metrics::counter!("patchbay_media_tcp_unnamed_connections_total", "why" => name).increment(1);
}
