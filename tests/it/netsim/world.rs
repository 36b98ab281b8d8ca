//! The engine's worker, its clients and the network between them, driven from one event to the next in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchbay::ids::{Features, Feed, FeedRef, ParticipantId, PeerId, RoomId, WorkerId};
use patchbay::media::codec::Kind;
use patchbay::media::description::Description;
use patchbay::media::messages::{MediaCommand, MediaEvent};
use patchbay::media::names::{Muted, Use};
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::peer::negotiate::{self, Negotiated, Role};
use patchbay::media::session::{LocalEnd, PeerSpec};
use patchbay::media::worker::{Datagram as Slice, MAX_WAITING_BYTES, Worker, WorkerConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::client::Client;
use super::media::{AUDIO_INTERVAL, FRAME_INTERVAL};
use super::network::{Datagram, Link, Network};

pub const ROOM: RoomId = RoomId(1);
/// The limit for a publisher without transport-wide feedback.
const MAX_PUBLISH_BPS: u64 = 3_000_000;
/// A client that wants to be woken in the past is woken once in this time, so that virtual time goes on.
const SMALLEST_STEP: Duration = Duration::from_millis(1);

/// Names a client of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(usize);

struct Seat {
    client: Client,
    negotiated: Option<Negotiated>,
    source: Option<ParticipantId>,
    next_frame: Option<Instant>,
    next_audio: Option<Instant>,
    /// Whether the client has left without a word: it neither sends nor receives.
    vanished: bool,
}

pub struct World {
    start: Instant,
    now: Instant,
    pub network: Network,
    pub events: Vec<(Duration, MediaEvent)>,
    /// One line for each arrival, for comparing runs.
    pub log: Vec<String>,
    worker: Worker,
    local: LocalEnd,
    seats: Vec<Seat>,
    random: StdRng,
}

impl World {
    pub fn new(seed: u64) -> World {
        // Virtual time begins here; nothing looks at a clock after this.
        #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
        let start = Instant::now();
        let identity = DtlsIdentity::generate().unwrap();
        let spare_identity = DtlsIdentity::generate().unwrap();
        let local = LocalEnd {
            fingerprint: identity.fingerprint,
            spare_fingerprint: spare_identity.fingerprint,
            candidates: vec![engine_address()],
            tcp_candidates: Vec::new(),
            worker: WorkerId(0),
        };
        let config = WorkerConfig {
            spare_identity,
            identity,
            max_publish_bps: MAX_PUBLISH_BPS,
            max_segments: 64,
            cache_bytes: patchbay::media::worker::WORKER_CACHE_BYTES,
            index: 0,
            generation: 0,
        };
        World {
            start,
            now: start,
            network: Network::new(seed),
            events: Vec::new(),
            log: Vec::new(),
            worker: Worker::new(start, config),
            local,
            seats: Vec::new(),
            random: StdRng::seed_from_u64(seed ^ 0x5eed),
        }
    }

    /// Joins somebody who sends a camera and a microphone.
    pub fn publisher(&mut self, name: &'static str, link: Link) -> Id {
        let index = self.seats.len();
        let client = Client::publisher(self.now, name, client_address(index), 1_000 * (index as u32 + 1));
        self.seat(client, None, link)
    }

    /// Joins somebody who receives what `of` sends.
    pub fn subscriber(&mut self, name: &'static str, of: Id, link: Link) -> Id {
        let client = Client::subscriber(self.now, name, client_address(self.seats.len()));
        self.seat(client, Some(participant(of)), link)
    }

    fn seat(&mut self, client: Client, source: Option<ParticipantId>, link: Link) -> Id {
        let id = Id(self.seats.len());
        self.set_link(client.address, link);
        let seat = Seat {
            client,
            negotiated: None,
            source,
            next_frame: None,
            next_audio: None,
            vanished: false,
        };
        self.seats.push(seat);
        self.negotiate(id);
        id
    }

    fn set_link(&mut self, client: SocketAddr, link: Link) {
        self.network.set_link(client, engine_address(), link);
        self.network.set_link(engine_address(), client, link);
    }

    /// Changes both directions of somebody's way to the engine.
    pub fn relink(&mut self, id: Id, link: Link) {
        self.set_link(self.seats[id.0].client.address, link);
    }

    /// Changes the way from the engine to somebody.
    pub fn relink_down(&mut self, id: Id, link: Link) {
        self.network
            .set_link(engine_address(), self.seats[id.0].client.address, link);
    }

    /// Packets that were sent again only to learn what paths carry.
    pub fn probe_packets(&self) -> usize {
        self.worker.stats().probe_packets as usize
    }

    /// Makes an offer and its answer, and gives the worker the connection; a second time it is a re-offer on the live
    /// connection.
    pub fn negotiate(&mut self, id: Id) {
        self.negotiate_as(id, PeerId(id.0 as u64), participant(id));
    }

    fn negotiate_as(&mut self, id: Id, peer: PeerId, participant: ParticipantId) {
        let seat = &mut self.seats[id.0];
        let offer = Description::read(&seat.client.offer(self.now));
        let uses = [match seat.source {
            None => Use::Publish(Feed::Camera, &Kind::ALL),
            Some(source) => Use::Watch(FeedRef::camera(source)),
        }];
        let role = Role {
            uses: &uses,
            audience: &[],
        };
        let negotiated =
            negotiate::answer(&offer, &self.local, role, seat.negotiated.as_ref(), &mut self.random).unwrap();
        let spec = PeerSpec {
            peer,
            participant,
            room: ROOM,
            others: Default::default(),
            transports: negotiated.transports.clone(),
            spare_certificate: false,
            sections: negotiated.sections.clone(),
            muted: Muted::default(),
            understands: Features::default(),
        };
        seat.client.accept(self.now, &negotiated.answer);
        seat.negotiated = Some(negotiated);
        self.worker.handle_command(self.now, MediaCommand::Open(Box::new(spec)));
        self.settle(&mut []);
    }

    /// The participant of `of` publishes anew, as a reloaded page does: another connection, other numbers everywhere.
    pub fn restart_publisher(&mut self, of: Id, name: &'static str) -> Id {
        self.worker
            .handle_command(self.now, MediaCommand::Close(PeerId(of.0 as u64)));
        self.vanish(of);
        let index = self.seats.len();
        let client = Client::publisher(self.now, name, client_address(index), 1_000 * (index as u32 + 1));
        let seat = Seat {
            client,
            negotiated: None,
            source: None,
            next_frame: None,
            next_audio: None,
            vanished: false,
        };
        self.seats.push(seat);
        self.negotiate_as(Id(index), PeerId(index as u64), participant(of));
        Id(index)
    }

    pub fn vanish(&mut self, id: Id) {
        self.seats[id.0].vanished = true;
    }

    pub fn client(&self, id: Id) -> &Client {
        &self.seats[id.0].client
    }

    pub fn client_mut(&mut self, id: Id) -> &mut Client {
        &mut self.seats[id.0].client
    }

    /// The SSRC that the engine chose for sending video to a subscriber.
    pub fn video_ssrc_to(&self, id: Id) -> u32 {
        let negotiated = self.seats[id.0].negotiated.as_ref().unwrap();
        let sends_video = |section: &&patchbay::media::session::MediaSection| {
            section.down.is_some() && section.kind == patchbay::media::codec::Kind::Video
        };
        negotiated.sections.iter().find(sends_video).unwrap().local_ssrc
    }

    /// Virtual time since the world began.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run(end, |_| false);
    }

    /// Runs until the condition holds; fails when it does not within the time.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, within: Duration, mut done: impl FnMut(&World) -> bool) {
        let end = self.now + within;
        self.run(end, &mut done);
        assert!(done(self), "not within {within:?}: {what}");
    }

    #[track_caller]
    pub fn run_until_connected(&mut self, within: Duration) {
        let all = |world: &World| {
            world
                .seats
                .iter()
                .all(|seat| seat.vanished || seat.client.is_connected())
        };
        self.run_until("everybody is connected", within, all);
    }

    fn run(&mut self, end: Instant, mut done: impl FnMut(&World) -> bool) {
        while !done(self) {
            let Some(next) = self.next_event().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.step();
        }
    }

    fn next_event(&mut self) -> Option<Instant> {
        let soonest = self.now + SMALLEST_STEP;
        let mut next: Option<Instant> = None;
        let mut consider = |candidate: Option<Instant>| {
            if let Some(candidate) = candidate {
                next = Some(next.map_or(candidate, |next| next.min(candidate)));
            }
        };
        consider(self.network.next_arrival());
        consider(self.worker.poll_timeout());
        for seat in self.seats.iter_mut().filter(|seat| !seat.vanished) {
            consider(seat.client.deadline().map(|deadline| deadline.max(soonest)));
            if seat.client.is_connected() {
                consider(seat.next_frame);
                consider(seat.next_audio);
            }
        }
        next
    }

    /// Does everything that is due now, in a fixed order.
    fn step(&mut self) {
        while let Some(datagram) = self.network.arrived(self.now) {
            self.note(&datagram);
            if datagram.to == engine_address() {
                self.feed_worker(datagram);
            } else if let Some(seat) = self.seats.iter_mut().find(|seat| seat.client.address == datagram.to)
                && !seat.vanished
            {
                seat.client.handle_datagram(self.now, &datagram);
            }
        }
        if self.worker.poll_timeout().is_some_and(|due| due <= self.now) {
            self.worker.handle_timeout(self.now);
            self.settle(&mut []);
        }
        for index in 0..self.seats.len() {
            self.step_client(index);
        }
    }

    fn step_client(&mut self, index: usize) {
        let now = self.now;
        let seat = &mut self.seats[index];
        if seat.vanished {
            return;
        }
        if seat.client.deadline().is_some_and(|deadline| deadline <= now) {
            seat.client.handle_timeout(now);
        }
        if seat.client.is_connected() {
            if due(&mut seat.next_frame, now, FRAME_INTERVAL) {
                seat.client.send_video_frame(now);
            }
            if due(&mut seat.next_audio, now, AUDIO_INTERVAL) {
                seat.client.send_audio_packet(now);
            }
        }
        let mut sent: Vec<Datagram> = std::iter::from_fn(|| seat.client.next_datagram()).collect();
        // webrtc-rs sends the reports and requests of one instant in the order of a hash table, another in each run.
        // RFC 3711 §3.4: what kind of packet it is, in the first two bytes, is not encrypted.
        sent.sort_by_key(|datagram| match datagram.bytes.as_slice() {
            rtcp @ [format, kind, ..] if is_rtcp(rtcp) => (*kind, *format, rtcp.len()),
            _ => (0, 0, 0),
        });
        for datagram in sent {
            self.network.send(now, datagram);
        }
    }

    fn feed_worker(&mut self, mut datagram: Datagram) {
        let to = Some(engine_address().ip());
        let slice = Slice {
            from: datagram.from,
            to,
            start: 0,
            len: datagram.bytes.len(),
        };
        self.worker.handle_datagrams(self.now, &mut datagram.bytes, &[slice]);
        self.settle(&mut datagram.bytes);
        let mut waiting = [0; MAX_WAITING_BYTES];
        while self.worker.has_waiting() {
            self.worker.take_waiting(self.now, &mut waiting);
            self.settle(&mut waiting);
        }
    }

    /// Takes out the packets and events that the worker has after one input.
    fn settle(&mut self, buffer: &mut [u8]) {
        loop {
            let all_forwarded = self.worker.forward(self.now, buffer);
            let egress = self.worker.egress();
            let mut out = Vec::new();
            for (send, bytes) in egress.sends() {
                let packets = bytes.chunks(send.segment);
                out.extend(packets.map(|packet| (send.path.remote.address, packet.to_vec())));
            }
            egress.clear();
            for (to, bytes) in out {
                self.network.send(
                    self.now,
                    Datagram {
                        from: engine_address(),
                        to,
                        bytes,
                    },
                );
            }
            if all_forwarded {
                break;
            }
        }
        let elapsed = self.elapsed();
        while let Some(event) = self.worker.poll_event() {
            self.events.push((elapsed, event));
        }
    }

    fn note(&mut self, datagram: &Datagram) {
        let what = match datagram.bytes.as_slice() {
            [0..=3, ..] => "stun".to_owned(),
            [20..=63, ..] => "dtls".to_owned(),
            rtcp if is_rtcp(rtcp) => "rtcp".to_owned(),
            [128..=191, _, high, low, ..] => format!("rtp {}", u16::from_be_bytes([*high, *low])),
            _ => "other".to_owned(),
        };
        let micros = self.elapsed().as_micros();
        self.log
            .push(format!("{micros} {} > {}: {what}", datagram.from, datagram.to));
    }
}

/// Whether something that happens every `interval` is due; if so, it begins now.
fn due(next: &mut Option<Instant>, now: Instant, interval: Duration) -> bool {
    let at = *next.get_or_insert(now);
    if at <= now {
        *next = Some(at + interval);
    }
    at <= now
}

/// RFC 7983 §7 and RFC 5761 §4.
fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, 192..=223, ..])
}

pub fn engine_address() -> SocketAddr {
    "10.0.1.1:7000".parse().unwrap()
}

fn client_address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, index as u8 + 1], 5_000))
}

pub fn participant(id: Id) -> ParticipantId {
    ParticipantId(id.0 as u64)
}

pub fn peer(id: Id) -> PeerId {
    PeerId(id.0 as u64)
}
