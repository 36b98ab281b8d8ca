//! Connections with media by TCP, from their first byte until a media worker has them. They come to a port of their own, or to a port with
//! TLS, where their first byte tells them from browsers.
//!
//! Nobody knows yet who they are: so they have a door of their own, at which the oldest whose check no worker has found authentic gives
//! way, and each address has its share.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::door::{AdmittedConnection, Door};
use crate::media::tcp::entrance::{Arrival, Refused, TcpEntrance, TcpPlace};
use crate::shares::ClientAddress;

/// Time that a connection waits for a place here, while it has one among those for pages.
const PLACE_WITHIN: Duration = Duration::from_secs(5);

/// The places of these connections, and the way to the workers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct MediaDoor {
    pub door: Door,
    pub entrance: TcpEntrance,
    pub stop: CancellationToken,
}

impl MediaDoor {
    /// Takes a connection that has come to a port for pages, and keeps its place there until it has one here; `address` is that whose
    /// share it counts to.
    pub(super) async fn receive(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        address: ClientAddress,
        there: &AdmittedConnection,
    ) {
        let admitted = tokio::select! {
            // Who has a place here gives back that there, and need not give way.
            biased;
            admitted = tokio::time::timeout(PLACE_WITHIN, self.door.admit(address)) => admitted,
            () = self.stop.cancelled() => return,
            () = there.gives_way() => return refused(client, "ended for another one while it waited for a place", "gave_way"),
        };
        match admitted {
            Ok(Some(guest)) => {
                there.heard();
                there.give_place_back();
                self.take(stream, client, guest).await;
            }
            Ok(None) => refused(client, "its address has as many connections as it may", "share"),
            Err(_) => refused(client, "there was no place for it in time", "no_place"),
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

impl TcpPlace for AdmittedConnection {
    fn client_is_known(&self) {
        self.heard();
    }
}

fn refused(client: SocketAddr, why: &str, name: &'static str) {
    tracing::debug!(%client, why, "connection for media closed");
    metrics::counter!("patchbay_media_tcp_unnamed_connections_total", "why" => name).increment(1);
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    struct Scene {
        media: MediaDoor,
        pages: Door,
        /// Who has the only place for media.
        other: AdmittedConnection,
    }

    fn address(number: u8) -> ClientAddress {
        std::net::IpAddr::from([192, 0, 2, number]).into()
    }

    async fn scene() -> Scene {
        let media = MediaDoor {
            door: Door::new(1, 100),
            entrance: TcpEntrance::default(),
            stop: CancellationToken::new(),
        };
        let other = media.door.admit(address(1)).await.unwrap();
        other.heard();
        let pages = Door::new(1, 100);
        Scene { media, pages, other }
    }

    /// Begins to take a connection with media that has come to a port for pages.
    async fn receiving(scene: &Scene) -> tokio::task::JoinHandle<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        let there = scene.pages.admit(address(2)).await.unwrap();
        let media = scene.media.clone();
        let receiving = tokio::spawn(async move {
            media.receive(stream, from, address(2), &there).await;
            drop(client);
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        receiving
    }

    async fn ends(receiving: tokio::task::JoinHandle<()>) {
        tokio::time::timeout(Duration::from_secs(2), receiving)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_connection_has_a_place_among_pages_until_it_has_one_here() {
        let scene = scene().await;
        let receiving = receiving(&scene).await;
        assert!(!receiving.is_finished() && scene.pages.free() < 0.5);
        drop(scene.other);
        let next = scene.pages.admit(address(3)).await.unwrap();
        assert!(!receiving.is_finished(), "its place there is free, and it goes on");
        scene.media.stop.cancel();
        ends(receiving).await;
        drop(next);
    }

    #[tokio::test]
    async fn a_connection_that_waits_for_a_place_ends_when_the_server_stops_and_gives_way_to_pages() {
        let scene = scene().await;
        let waiting = receiving(&scene).await;
        let page = scene.pages.admit(address(3)).await.unwrap();
        ends(waiting).await;
        drop(page);
        let waiting = receiving(&scene).await;
        assert!(!waiting.is_finished());
        scene.media.stop.cancel();
        ends(waiting).await;
    }
}
