//! The floor: the least that any SFU must do, as a program that the load tester can drive. It receives, opens each packet
//! once, copies and seals it for every subscriber, and sends with GSO, on one thread. It has no loss repair, reports,
//! layers, key frame requests, timeouts or limits: a server needs them, but the forwarding of a packet does not.
//!
//! `cargo bench --bench floor -- --address 127.0.0.1:8090`, then `patchbay load broadcast --url http://127.0.0.1:8090`.
//! It speaks as much of the group call as the tester does, with the server's own parts for ICE, DTLS and SRTP.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its results, and panics if there are none"
)]

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use patchbay::ids::{Feed, FeedRef, ParticipantId, WorkerId};
use patchbay::media::codec::Kind;
use patchbay::media::demux::{Class, classify};
use patchbay::media::description::Description;
use patchbay::media::names::Use;
use patchbay::media::peer::dtls::{Dtls, DtlsIdentity, DtlsProgress};
use patchbay::media::peer::ice::{Ice, Learning, Path, Request};
use patchbay::media::peer::negotiate::{self, Negotiated, Role};
use patchbay::media::peer::srtp::{Inbound, Outbound, contexts};
use patchbay::media::rtp::Header;
use patchbay::media::session::{LocalEnd, TransportSpec};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use serde_json::{Value, json};

const SLOT_BYTES: usize = 65_536;
/// The size of the socket buffers, as in the server.
const SOCKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;
const MAX_PADDING: usize = 24;

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

/// A connection as signaling has settled it.
struct Opening {
    room: String,
    /// The participant whose tracks these are: the peer's own where it publishes.
    source: String,
    publishes: bool,
    transport: TransportSpec,
}

struct Signaling {
    local: LocalEnd,
    openings: mpsc::Sender<Opening>,
    rooms: HashMap<String, HashMap<String, tokio::sync::mpsc::UnboundedSender<String>>>,
}

type Shared = std::sync::Arc<std::sync::Mutex<Signaling>>;

fn main() {
    // `cargo bench` passes an argument of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let address: SocketAddr = match arguments.as_slice() {
        [flag, address] if flag == "--address" => address.parse().expect("an address with a port"),
        _ => {
            println!("floor: to run it, give --address 127.0.0.1:8090");
            return;
        }
    };
    let identity = DtlsIdentity::generate().expect("a certificate can be made");
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)
        .expect("a UDP socket can be made");
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket
        .bind(&SocketAddr::new(address.ip(), 0).into())
        .expect("a free UDP port");
    let socket: UdpSocket = socket.into();
    let (openings, opened) = mpsc::channel();
    let local = LocalEnd {
        fingerprint: identity.fingerprint,
        spare_fingerprint: [8; 32],
        candidates: vec![socket.local_addr().expect("a bound socket has an address")],
        tcp_candidates: Vec::new(),
        worker: WorkerId(0),
    };
    let signaling = Signaling {
        local,
        openings,
        rooms: HashMap::new(),
    };
    std::thread::spawn(move || serve(address, std::sync::Arc::new(signaling.into())));
    Floor::new(socket, identity).run(&opened);
}

#[tokio::main(flavor = "current_thread")]
async fn serve(address: SocketAddr, signaling: Shared) {
    let router = Router::new().route("/groupcall", any(upgrade)).with_state(signaling);
    let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
    println!("floor: listening on http://{address}");
    axum::serve(listener, router).await.expect("serving goes on");
}

async fn upgrade(State(signaling): State<Shared>, upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(move |socket| talk(signaling, socket))
}

async fn talk(signaling: Shared, mut socket: WebSocket) {
    let (outbox, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    let (mut room, mut name) = (String::new(), String::new());
    loop {
        let text = tokio::select! {
            Some(text) = inbox.recv() => {
                if socket.send(Message::text(text)).await.is_err() { break }
                continue;
            }
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(_)) => continue,
                _ => break,
            },
        };
        let message: Value = serde_json::from_str(&text).unwrap_or_default();
        let field = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let mut signaling = signaling.lock().expect("nobody panics with it");
        match message["id"].as_str() {
            Some("joinRoom") => {
                (room, name) = (field("room"), field("name"));
                let others = signaling.rooms.entry(room.clone()).or_default();
                for other in others.values() {
                    let _ = other.send(json!({"id": "newParticipantArrived", "name": name}).to_string());
                }
                let names: Vec<&String> = others.keys().collect();
                let _ = outbox.send(json!({"id": "existingParticipants", "data": names}).to_string());
                others.insert(name.clone(), outbox.clone());
            }
            Some("receiveVideoFrom") => {
                let source = field("sender");
                let publishes = source == name;
                // The answer names its streams after a participant; no client looks at the name.
                let uses = [match publishes {
                    true => Use::Publish(Feed::Camera, &Kind::ALL),
                    false => Use::Watch(FeedRef::camera(ParticipantId(1))),
                }];
                let role = Role {
                    uses: &uses,
                    audience: &[],
                };
                let offer = Description::read(&field("sdpOffer"));
                let answered = negotiate::answer(&offer, &signaling.local, role, None, &mut rand::rng());
                let Ok(Negotiated { answer, transports, .. }) = answered else {
                    continue;
                };
                let transport = transports[0].clone();
                let opening = Opening {
                    room: room.clone(),
                    source: source.clone(),
                    publishes,
                    transport,
                };
                let _ = signaling.openings.send(opening);
                let reply = json!({"id": "receiveVideoAnswer", "name": source, "sdpAnswer": answer});
                let _ = outbox.send(reply.to_string());
            }
            _ => {}
        }
    }
    if let Some(others) = signaling.lock().expect("nobody panics with it").rooms.get_mut(&room) {
        others.remove(&name);
    }
}

struct Peer {
    source: (String, String),
    publishes: bool,
    ice: Ice,
    dtls: Dtls,
    secure: Option<(Outbound, Inbound)>,
    subscribers: Vec<usize>,
    packets: Vec<Packet>,
    /// The highest index of each SSRC.
    streams: Vec<(u32, u64)>,
}

/// An opened packet of this batch.
struct Packet {
    start: usize,
    end: usize,
    header_len: usize,
    ssrc: u32,
    index: u64,
    padding: usize,
}

struct Floor {
    socket: UdpSocket,
    state: UdpSocketState,
    identity: DtlsIdentity,
    peers: Vec<Peer>,
    by_address: HashMap<SocketAddr, usize>,
    arrived: Vec<usize>,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl Floor {
    fn new(socket: UdpSocket, identity: DtlsIdentity) -> Floor {
        let state = UdpSocketState::new((&socket).into()).expect("socket options");
        Floor {
            socket,
            state,
            identity,
            peers: Vec::new(),
            by_address: HashMap::new(),
            arrived: Vec::new(),
            buffer: vec![0; SLOT_BYTES * BATCH_SIZE],
            out: vec![0; SLOT_BYTES * 2],
        }
    }

    fn run(mut self, opened: &mpsc::Receiver<Opening>) {
        let mut poll = Poll::new().expect("a poll");
        let fd = self.socket.as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), Token(0), Interest::READABLE)
            .expect("registered");
        let mut events = Events::with_capacity(4);
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        loop {
            let _ = poll.poll(&mut events, None);
            loop {
                let mut chunks = self.buffer.chunks_exact_mut(SLOT_BYTES);
                let mut slots: [IoSliceMut<'_>; BATCH_SIZE] =
                    std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
                let received = self.state.recv((&self.socket).into(), &mut slots, &mut meta);
                let Ok(count) = received else { break };
                for opening in opened.try_iter() {
                    self.open(opening);
                }
                for (slot, meta) in meta[..count].iter().enumerate() {
                    let stride = meta.stride.max(1);
                    for offset in (0..meta.len).step_by(stride) {
                        let start = slot * SLOT_BYTES + offset;
                        self.take(meta, start, stride.min(meta.len - offset));
                    }
                }
                self.forward();
            }
        }
    }

    fn open(&mut self, opening: Opening) {
        let transport = opening.transport;
        let source = (opening.room, opening.source);
        let at = self.peers.len();
        let mut subscribers = Vec::new();
        for (other, peer) in self
            .peers
            .iter_mut()
            .enumerate()
            .filter(|(_, peer)| peer.source == source)
        {
            if opening.publishes {
                subscribers.push(other);
            } else if peer.publishes {
                peer.subscribers.push(at);
            }
        }
        self.peers.push(Peer {
            source,
            publishes: opening.publishes,
            ice: Ice::new(
                clock(),
                &transport.local_ufrag,
                &transport.local_pwd,
                &transport.remote_ufrag,
            ),
            dtls: Dtls::new(
                self.identity.clone(),
                transport.dtls_role,
                transport.remote_fingerprints,
            ),
            secure: None,
            subscribers,
            packets: Vec::with_capacity(1_024),
            streams: Vec::new(),
        });
    }

    fn take(&mut self, meta: &RecvMeta, start: usize, len: usize) -> Option<()> {
        let datagram = &mut self.buffer[start..start + len];
        let path = Path {
            remote: meta.addr.into(),
            local: meta.dst_ip,
        };
        if classify(datagram) == Class::Stun {
            let request = Request::parse(datagram)?;
            let (ours, theirs) = request.ufrags()?;
            let at = self.peers.iter().rposition(|peer| peer.ice.local_ufrag == ours)?;
            let answered = self.peers[at]
                .ice
                .handle(clock(), request, path, &theirs, Learning::Learn)?;
            self.by_address.insert(meta.addr, at);
            self.send(path, &answered.reply, None);
            return Some(());
        }
        let at = *self.by_address.get(&meta.addr)?;
        let peer = &mut self.peers[at];
        match classify(datagram) {
            Class::Dtls => {
                if let Ok(DtlsProgress::Established {
                    profile,
                    exported,
                    we_are_client,
                }) = peer.dtls.receive(clock(), datagram)
                {
                    peer.secure = contexts(profile, &exported, we_are_client);
                }
                while let Some(reply) = self.peers[at].dtls.poll_transmit() {
                    self.send(path, &reply, None);
                }
            }
            Class::Rtp => {
                let header = Header::parse(datagram)?;
                let len = peer.secure.as_mut()?.1.open_rtp(datagram, &header).ok()?;
                let stream = peer.streams.iter().position(|stream| stream.0 == header.ssrc);
                let stream = stream.unwrap_or_else(|| {
                    peer.streams.push((header.ssrc, u64::from(header.sequence)));
                    peer.streams.len() - 1
                });
                let highest = &mut peer.streams[stream].1;
                let ahead = header.sequence.wrapping_sub(*highest as u16) as i16;
                let index = highest.wrapping_add(ahead as u64);
                *highest = index.max(*highest);
                if peer.packets.is_empty() {
                    self.arrived.push(at);
                }
                peer.packets.push(Packet {
                    start,
                    end: start + len,
                    header_len: header.len,
                    ssrc: header.ssrc,
                    index,
                    padding: 0,
                });
            }
            _ => {}
        }
        Some(())
    }

    /// The measured part: copy, seal, send, for each subscriber.
    fn forward(&mut self) {
        for publisher in std::mem::take(&mut self.arrived) {
            let mut packets = std::mem::take(&mut self.peers[publisher].packets);
            for run in packets.chunk_by_mut(|a, b| (a.end - a.start).abs_diff(b.end - b.start) <= MAX_PADDING) {
                let most = run.iter().map(|packet| packet.end - packet.start).max().unwrap_or(0);
                let short = run.len() - 1;
                for packet in &mut run[..short] {
                    // Runs are of neighbours: a packet that has drifted further is left as it is.
                    let padding = most - (packet.end - packet.start);
                    packet.padding = if padding <= 255 { padding } else { 0 };
                }
            }
            for at in 0..self.peers[publisher].subscribers.len() {
                let subscriber = &self.peers[self.peers[publisher].subscribers[at]];
                let (Some((outbound, _)), Some(path)) = (&subscriber.secure, subscriber.ice.selected()) else {
                    continue;
                };
                let (mut end, mut segment, mut count) = (0, 0, 0);
                for packet in &packets {
                    let plain = &self.buffer[packet.start..packet.end];
                    let len = plain.len() + packet.padding + outbound.profile().tag_len();
                    if count > 0 && (len > segment || end % segment != 0 || end + len > 65_507 || count == 64) {
                        send(&self.socket, &self.state, path, &self.out[..end], Some(segment));
                        (end, count) = (0, 0);
                    }
                    if count == 0 {
                        segment = len;
                    }
                    let room = &mut self.out[end..end + len];
                    room[..plain.len()].copy_from_slice(plain);
                    if packet.padding > 0 {
                        room[0] |= 0x20;
                        room[plain.len() + packet.padding - 1] = packet.padding as u8;
                    }
                    outbound.seal_rtp(room, packet.header_len, packet.ssrc, packet.index);
                    end += len;
                    count += 1;
                }
                if count > 0 {
                    send(&self.socket, &self.state, path, &self.out[..end], Some(segment));
                }
            }
            packets.clear();
            self.peers[publisher].packets = packets;
        }
    }

    fn send(&self, path: Path, bytes: &[u8], segment: Option<usize>) {
        send(&self.socket, &self.state, path, bytes, segment);
    }
}

fn send(socket: &UdpSocket, state: &UdpSocketState, path: Path, bytes: &[u8], segment: Option<usize>) {
    let transmit = Transmit {
        destination: path.remote.address,
        ecn: None,
        contents: bytes,
        segment_size: segment.filter(|segment| *segment < bytes.len()),
        src_ip: path.local,
    };
    let _ = state.try_send(socket.into(), &transmit);
}
