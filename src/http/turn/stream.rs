//! The relay by TCP and TLS: one task for each connection, which owns its client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::waiting::Waiting;
use super::{Relay, dropped};
use crate::http::door::{AdmittedConnection, Door};
use crate::media::relay::ToRelay;
use crate::media::tcp::outgoing::Importance;
use crate::shares::ClientAddress;
use crate::turn::client::Client;
use crate::turn::framing;

/// Time that a connection has until it has an allocation, and again after that has ended: some round trips of a bad path.
const ALLOCATES_WITHIN: Duration = Duration::from_secs(10);

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// Runs of packets that wait for the task of one connection. A run has some packets; the task takes them at once.
const RUNS: usize = 32;

/// Bytes that wait in one connection at most (a second of 4 Mb/s), and in all together, of which each may have its part.
const MAX_BYTES: usize = 512 * 1024;
const TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// Bytes that the kernel holds of what has not been sent, and time for which sent data may stay unacknowledged, as for media by TCP.
const UNSENT_BYTES: u32 = 16 * 1024;
const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(30);

/// The places of these connections, and the relay. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RelayDoor {
    pub relay: Relay,
    pub door: Door,
    pub stop: CancellationToken,
    open: Arc<AtomicUsize>,
}

/// The reason why a connection is closed, as a word for counting.
type Why = &'static str;

impl RelayDoor {
    pub fn new(relay: Relay, door: Door, stop: CancellationToken) -> RelayDoor {
        RelayDoor {
            relay,
            door,
            stop,
            open: Arc::default(),
        }
    }

    /// A place for a connection that has come to a port for pages; `address` is that whose share it counts to. `None` if it gets none.
    pub(in crate::http) async fn admit(
        &self,
        client: SocketAddr,
        address: ClientAddress,
    ) -> Option<AdmittedConnection> {
        let admitted = tokio::select! {
            admitted = self.door.admit(address) => admitted,
            () = self.stop.cancelled() => return None,
        };
        if admitted.is_none() {
            closed(client, "share");
        }
        admitted
    }

    /// Takes a connection that has come to the port of the relay.
    pub(in crate::http) async fn take(
        self,
        stream: TcpStream,
        client: SocketAddr,
        address: ClientAddress,
        guest: AdmittedConnection,
    ) {
        sparing(&stream);
        self.serve(stream, Vec::new(), (client, address), &guest).await;
    }

    /// Serves a connection of which `first` was read before.
    pub(in crate::http) async fn serve<S>(
        &self,
        stream: S,
        first: Vec<u8>,
        (client, address): (SocketAddr, ClientAddress),
        guest: &AdmittedConnection,
    ) where
        S: AsyncRead + AsyncWrite,
    {
        self.open.fetch_add(1, Ordering::Relaxed);
        let (back, from_workers) = mpsc::channel(RUNS);
        let mut serving = Serving {
            door: self,
            guest,
            client: Client::new(client, address),
            held: first,
            waiting: Waiting::default(),
            back,
        };
        let why = tokio::select! {
            why = serving.run(stream, from_workers) => why,
            () = self.stop.cancelled() => "stop",
            () = guest.gives_way() => "gave_way",
        };
        drop(serving);
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.relay.count();
        closed(client, why);
    }
}

/// Lets little wait in the kernel, where it cannot be dropped. Best effort: the connection works without it, too.
fn sparing(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR));
}

fn closed(client: SocketAddr, why: Why) {
    tracing::debug!(%client, why, "connection to the relay closed");
    metrics::counter!("patchbay_turn_closed_connections_total", "why" => why).increment(1);
}

/// The task of a connection.
struct Serving<'a> {
    door: &'a RelayDoor,
    guest: &'a AdmittedConnection,
    client: Client,
    /// The beginning of a message of which the rest has not come.
    held: Vec<u8>,
    waiting: Waiting,
    back: mpsc::Sender<ToRelay>,
}

impl Serving<'_> {
    /// Relays until the connection ends. Nothing here waits for the client to read: what it does not take waits in a queue of its
    /// own, from which video goes when it is full or old.
    async fn run(&mut self, stream: impl AsyncRead + AsyncWrite, mut from_workers: mpsc::Receiver<ToRelay>) -> Why {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut chunk = vec![0; READ_BYTES];
        let mut is_flushed = true;
        let mut until = self.door.relay.now().at + ALLOCATES_WITHIN;
        if let Err(why) = self.take_held() {
            return why;
        }
        loop {
            tokio::select! {
                read = reader.read(&mut chunk) => match read {
                    Ok(bytes @ 1..) => {
                        self.held.extend_from_slice(chunk.get(..bytes).unwrap_or_default());
                        if let Err(why) = self.take_held() {
                            return why;
                        }
                    }
                    Ok(0) | Err(_) => return "ended",
                },
                Some(packets) = from_workers.recv() => self.send_back(&packets),
                written = write_some(&mut writer, self.waiting.next()), if !self.waiting.is_empty() || !is_flushed => match written {
                    Ok(bytes) => {
                        self.waiting.sent(bytes);
                        is_flushed = bytes == 0;
                    }
                    Err(_) => return "ended",
                },
                () = tokio::time::sleep_until(until) => {
                    let now = self.door.relay.now().at;
                    match self.client.expires().filter(|&expires| expires > now) {
                        // Whoever has lost its allocation may ask for another one.
                        Some(expires) => until = expires + ALLOCATES_WITHIN,
                        None => return "silent",
                    }
                }
            }
        }
    }

    /// Takes the messages that have come whole.
    fn take_held(&mut self) -> Result<(), Why> {
        let mut places = Vec::new();
        let read = framing::split(&self.held, &mut places).map_err(|_| "no_message")?;
        let relay = &self.door.relay;
        let now = relay.now();
        let before = self.client.relayed();
        for place in places {
            let message = self.held.get(place).unwrap_or_default();
            let answer = relay.take(now, &mut self.client, message, &self.back);
            if let Some(answer) = answer {
                push(&mut self.waiting, self.door, answer.bytes, Importance::Kept);
            }
        }
        self.held.drain(..read);
        if before != self.client.relayed() {
            // From now on it is no stranger.
            self.guest.heard();
            relay.count();
        }
        Ok(())
    }

    /// Queues packets of a worker.
    fn send_back(&mut self, packets: &ToRelay) {
        let now = self.door.relay.now();
        if self
            .client
            .relayed()
            .is_none_or(|relayed| relayed.number != packets.key.0)
        {
            return dropped("ended");
        }
        for packet in packets.bytes.chunks(packets.segment.max(1)) {
            let mut framed = Vec::new();
            if self.client.deliver(now.at, packets.from, packet, &mut framed) {
                push(&mut self.waiting, self.door, framed, packets.importance);
            } else {
                dropped("not_permitted");
            }
        }
    }
}

/// Queues a message, where there is room.
fn push(waiting: &mut Waiting, door: &RelayDoor, message: Vec<u8>, importance: Importance) {
    let bound = (TOTAL_BYTES / door.open.load(Ordering::Relaxed).max(1)).min(MAX_BYTES);
    for _ in 0..waiting.push(message, importance == Importance::Video, bound) {
        dropped("slow_reader");
    }
}

/// Writes some of these bytes, and returns how many. If there are none, it writes what TLS holds of those before.
async fn write_some(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(bytes).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}
