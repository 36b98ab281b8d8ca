//! The relay by UDP: one task for each socket, which owns all clients that come there.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Relay, dropped};
use crate::http::listeners::ListenError;
use crate::media::relay::{RelayKey, ToRelay};
use crate::ports::PortError;
use crate::shares::{ClientAddress, Rates};
use crate::turn::client::Client;

/// Bytes of one receive buffer: the kernel may deliver a whole run of datagrams at once (GRO).
const SLOT_BYTES: usize = 65_536;

/// Bytes of the kernel's buffers: what arrives, and what leaves, while the task waits for its turn.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Runs of packets that wait for their clients. A run has some packets of one client.
const RUNS: usize = 1_024;

/// Batches from the kernel, and runs from the workers, that are handled in one go.
const BATCHES: usize = 16;

/// Answers to one address, at once and each second, while nobody there has shown credentials. A whole office that comes at once gets
/// its answers within seconds; and whoever forges the address of somebody else sends them little.
const CHALLENGES: u32 = 500;
const CHALLENGES_PER_S: f64 = 200.0;
/// Addresses of which this is remembered.
const MAX_PACED: usize = 4_096;

/// Time between two looks for allocations that have ended.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A socket of the relay, before anybody reads it.
pub(crate) struct BoundUdp {
    socket: std::net::UdpSocket,
    state: UdpSocketState,
    pub address: SocketAddr,
}

/// Opens the socket at this address.
pub(crate) fn bind_udp(address: SocketAddr) -> Result<BoundUdp, ListenError> {
    let open = || -> io::Result<BoundUdp> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // The system may allow less.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = std::net::UdpSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        let address = socket.local_addr()?;
        Ok(BoundUdp { socket, state, address })
    };
    open().map_err(|error| ListenError::new(address, PortError::of(error, address.port(), "turn.port or turn.relay")))
}

/// Where a client is, and at which of our addresses it has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Way {
    client: SocketAddr,
    ours: Option<IpAddr>,
}

/// The task of a socket.
struct Serving {
    relay: Relay,
    socket: UdpSocket,
    state: UdpSocketState,
    /// The clients that have allocations, of which there is a bounded number.
    clients: HashMap<Way, Client>,
    ways: HashMap<RelayKey, Way>,
    paces: Rates<ClientAddress>,
    back: mpsc::Sender<ToRelay>,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl BoundUdp {
    /// Relays until it is dropped.
    pub async fn serve(self, relay: Relay) {
        let address = self.address;
        let socket = match UdpSocket::from_std(self.socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%address, %error, "the socket of the relay cannot be used");
                return;
            }
        };
        let (back, mut from_workers) = mpsc::channel(RUNS);
        let mut serving = Serving {
            relay,
            socket,
            state: self.state,
            clients: HashMap::new(),
            ways: HashMap::new(),
            paces: Rates::new(CHALLENGES, CHALLENGES_PER_S, MAX_PACED),
            back,
            buffer: vec![0; SLOT_BYTES * BATCH_SIZE],
            out: Vec::new(),
        };
        let mut sweeps = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                // An error is found by reading.
                _ = serving.socket.readable() => serving.receive(),
                Some(packets) = from_workers.recv() => {
                    serving.send_back(&packets);
                    for _ in 1..BATCHES {
                        let Ok(packets) = from_workers.try_recv() else { break };
                        serving.send_back(&packets);
                    }
                }
                _ = sweeps.tick() => serving.sweep(),
            }
        }
    }
}

impl Serving {
    /// Takes what has arrived, a bounded amount of it.
    fn receive(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        for _ in 0..BATCHES {
            let mut chunks = buffer.chunks_exact_mut(SLOT_BYTES);
            let mut slots: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            let received = self.socket.try_io(Interest::READABLE, || {
                self.state.recv((&self.socket).into(), &mut slots, &mut meta)
            });
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // This is an ICMP answer to something sent earlier.
                Err(_) => continue,
            };
            for (slot, meta) in buffer.chunks_exact(SLOT_BYTES).zip(&meta).take(count) {
                let way = Way {
                    client: meta.addr,
                    ours: meta.dst_ip,
                };
                let bytes = slot.get(..meta.len).unwrap_or_default();
                for datagram in bytes.chunks(meta.stride.max(1)) {
                    self.take(way, datagram);
                }
            }
        }
        self.buffer = buffer;
    }

    fn take(&mut self, way: Way, datagram: &[u8]) {
        let now = self.relay.now();
        let counted_as = ClientAddress::from(way.client.ip());
        // Whoever has no allocation leaves nothing here.
        let mut stranger = Client::new(way.client, counted_as);
        let client = self.clients.get_mut(&way).unwrap_or(&mut stranger);
        let before = client.relayed();
        let answer = self.relay.take(now, client, datagram, &self.back);
        let after = client.relayed();
        if before != after {
            if let Some(before) = before {
                self.ways.remove(&RelayKey(before.number));
            }
            match after {
                Some(relayed) => {
                    self.ways.insert(RelayKey(relayed.number), way);
                    if before.is_none() {
                        self.clients.insert(way, stranger);
                    }
                }
                None => drop(self.clients.remove(&way)),
            }
            self.relay.count();
        }
        if let Some(answer) = answer {
            if !answer.is_known && self.paces.take(counted_as, 1, now.at).is_err() {
                return dropped("unasked");
            }
            send(&self.socket, &self.state, way, &answer.bytes);
        }
    }

    /// Sends packets of a worker to their client.
    fn send_back(&mut self, packets: &ToRelay) {
        let now = self.relay.now().at;
        let way = self.ways.get(&packets.key).copied();
        let Some((way, client)) = way.and_then(|way| Some((way, self.clients.get_mut(&way)?))) else {
            return dropped("ended");
        };
        for packet in packets.bytes.chunks(packets.segment.max(1)) {
            self.out.clear();
            if client.deliver(now, packets.from, packet, &mut self.out) {
                send(&self.socket, &self.state, way, &self.out);
            } else {
                dropped("not_permitted");
            }
        }
    }

    /// Forgets clients whose allocation has ended.
    fn sweep(&mut self) {
        let now = self.relay.now().at;
        self.clients
            .retain(|_, client| client.expires().is_some_and(|expires| expires > now));
        let clients = &self.clients;
        self.ways.retain(|_, way| clients.contains_key(way));
        self.relay.count();
    }
}

/// Sends a datagram. One that the kernel does not take is lost, as on any network.
fn send(socket: &UdpSocket, state: &UdpSocketState, way: Way, bytes: &[u8]) {
    let transmit = Transmit {
        destination: way.client,
        ecn: None,
        contents: bytes,
        segment_size: None,
        src_ip: way.ours,
    };
    let sent = socket.try_io(Interest::WRITABLE, || state.try_send(socket.into(), &transmit));
    if sent.is_err() {
        dropped("unsent");
    }
}
