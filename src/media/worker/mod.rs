//! One media worker: a pure machine that owns the connections of its rooms.
//!
//! The caller gives it the time, datagrams and commands. It returns what to send, what happened, and when it must be called
//! again. The contract: call one `handle_*`, then [`Worker::forward`] and drain [`Worker::egress`] until nothing is left. Do
//! the same with [`Worker::take_waiting`] while [`Worker::has_waiting`]. Then drain [`Worker::poll_event`], and sleep until
//! [`Worker::poll_timeout`]. Nothing is locked, and only the queues of links ([`super::link`]) are shared: with other workers,
//! and with whoever else has a part in a room. Messages from these queues are taken like a batch of datagrams
//! ([`Worker::take_mirrored`]) while [`Worker::has_mail`]. Call [`Worker::poll_wake`] after each batch: it names the links whose
//! other end is to be woken, and raises the flags by which that end finds what was put in.

mod allocation;
#[cfg(debug_assertions)]
mod audit;
mod caches;
mod connections;
mod estimates;
mod events;
mod feedback;
mod handshakes;
mod ingress;
mod links;
mod mirror;
mod muting;
mod pacing;
mod paths;
mod peers;
mod planning;
mod plans;
mod replay;
mod rooms;
mod round_trips;
mod selection;
mod sound;
mod speakers;
mod steering;
mod suspension;
mod ticks;
mod undecodable;
mod unpacking;
mod waiting;
mod wants;
mod wholes;

use std::time::Instant;

use ahash::AHashMap;
pub use caches::WORKER_CACHE_BYTES;
pub use ingress::Datagram;
#[cfg(debug_assertions)]
pub use mirror::audit::Shared;
use slotmap::SlotMap;
pub use suspension::SUSPENDED_MAX;
pub use waiting::{MAX_WAITING, MAX_WAITING_BYTES};

use self::connections::Connection;
use self::events::EventQueue;
use self::links::Links;
use self::plans::Plans;
use self::waiting::WaitingDatagrams;
use super::allocation::Video;
use super::bandwidth::outgoing::Report;
use super::demux::Demux;
use super::egress::Egress;
use super::messages::{CloseReason, MediaCommand, MediaEvent};
use super::peer::Transport;
use super::peer::dtls::DtlsIdentity;
use super::peer::sent::REMEMBERED;
use super::retransmit::Pool;
use super::rewrite::SourceId;
use super::room::WorkerRoom;
use super::session::PeerSpec;
use super::stats::Stats;
use super::subscription::Subscription;
use super::track::Track;
use crate::ids::{PeerId, RoomId, TrackId};
use crate::media::keys::{SubscriptionKey, TrackKey, TransportKey};

/// Transports of one worker; most connections have one. A core carries a few thousand; more would only wait in queues and then
/// fail. Beyond this number, new connections are refused with [`CloseReason::Full`].
pub const MAX_TRANSPORTS: usize = 16_384;

/// Settings with which a worker is made.
#[derive(Clone)]
pub struct WorkerConfig {
    pub identity: DtlsIdentity,
    /// Identity for clients that must begin a new association; see [`LocalEnd`](super::session::LocalEnd).
    pub spare_identity: DtlsIdentity,
    pub max_publish_bps: u64,
    /// Packets in one GSO send; 1 without GSO.
    pub max_segments: usize,
    /// Bytes for packets that subscribers may miss; [`WORKER_CACHE_BYTES`].
    pub cache_bytes: usize,
    /// Place of this worker among all workers.
    pub index: usize,
    /// Number of workers that had this place before. Index and generation are the top bits of the ids of tracks and sources, so
    /// that no two workers give the same ids, not even a lost worker and the one in its place.
    pub generation: u8,
}

impl WorkerConfig {
    fn identity_for(&self, spec: &PeerSpec) -> &DtlsIdentity {
        if spec.spare_certificate {
            &self.spare_identity
        } else {
            &self.identity
        }
    }
}

/// Point that [`Worker::forward`] has reached: indices of the track, its subscriber, and the packet for it.
#[derive(Clone, Copy, Default)]
struct Forwarded {
    track: usize,
    subscriber: usize,
    packet: usize,
}

/// The media of the connections on one thread. Pure: it is given commands, datagrams and the time, and says what to send, what to
/// report, and when it wants to be called again.
pub struct Worker {
    config: WorkerConfig,
    epoch: Instant,
    pub(super) transports: SlotMap<TransportKey, Transport>,
    connections: AHashMap<PeerId, Connection>,
    demux: Demux,
    pub(super) tracks: SlotMap<TrackKey, Track>,
    pub(super) subscriptions: SlotMap<SubscriptionKey, Subscription>,
    pub(super) rooms: AHashMap<RoomId, WorkerRoom>,
    egress: Egress,
    cache_pool: Pool,
    /// Datagrams of handshakes that wait for their turn.
    waiting: WaitingDatagrams,
    /// Whether memory was scarce, so that caches may not grow.
    caches_cut: bool,
    /// Tracks with packets of this batch, and how far they have been forwarded.
    arrived: Vec<TrackKey>,
    forwarded: Forwarded,
    events: EventQueue,
    links: Links,
    plans: Plans,
    /// Time of the last tick.
    ticked: Instant,
    next_source: u64,
    next_track: u64,
    stats: Stats,
    /// RTCP packets for one connection; the buffer is used for each connection in turn.
    scratch: Vec<u8>,
    /// Compound of these packets while it is protected.
    compound: Vec<u8>,
    sequences: Vec<u16>,
    /// What one client's feedback says of packets; used for each connection in turn.
    reports: Vec<Report>,
    /// Videos of one connection while its bandwidth is divided.
    videos: Vec<Video>,
    /// Rates of the paths of a video's viewers, and their numbers, while it is settled what they want together.
    paths: Vec<(u64, u32)>,
}

impl Worker {
    pub fn new(now: Instant, config: WorkerConfig) -> Worker {
        let egress = Egress::new(config.max_segments);
        let cache_pool = Pool::new(config.cache_bytes);
        let first_id = ((config.index as u64) << 48) | (u64::from(config.generation) << 40);
        Worker {
            config,
            epoch: now,
            transports: SlotMap::with_key(),
            connections: AHashMap::new(),
            demux: Demux::default(),
            tracks: SlotMap::with_key(),
            subscriptions: SlotMap::with_key(),
            rooms: AHashMap::new(),
            egress,
            cache_pool,
            caches_cut: false,
            arrived: Vec::new(),
            forwarded: Forwarded::default(),
            events: EventQueue::default(),
            waiting: WaitingDatagrams::default(),
            links: Links::default(),
            plans: Plans::new(now),
            ticked: now,
            next_source: first_id,
            next_track: first_id,
            stats: Stats::default(),
            scratch: Vec::with_capacity(8_192),
            compound: Vec::with_capacity(2_048),
            sequences: Vec::with_capacity(512),
            reports: Vec::with_capacity(REMEMBERED as usize),
            videos: Vec::new(),
            paths: Vec::new(),
        }
    }

    pub fn handle_command(&mut self, now: Instant, command: MediaCommand) {
        match command {
            MediaCommand::Open(spec) => self.open(now, *spec),
            MediaCommand::Close(peer) => {
                self.close_connection(now, peer);
                self.unlink_player(now, peer);
            }
            MediaCommand::Fill { peer, slot, source } => self.fill(now, peer, slot, source),
            MediaCommand::Mute { peer, muted } => self.mute(now, peer, muted),
            MediaCommand::Want { peer, wants } => self.want(now, peer, wants),
        }
    }

    /// Ends every connection with a close_notify.
    pub fn handle_shutdown(&mut self, now: Instant) {
        let keys: Vec<TransportKey> = self.transports.keys().collect();
        for key in keys {
            self.close(now, key, None);
            // Goodbyes of more connections than fit into the batch are lost: clients notice by consent.
            if self.egress.is_full() {
                break;
            }
        }
    }

    /// Datagrams to send now. The driver sends them and calls [`Egress::clear`].
    pub fn egress(&mut self) -> &mut Egress {
        &mut self.egress
    }

    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    pub fn stats(&self) -> Stats {
        let mirrored_tracks = self.mirrored_tracks();
        let (tcp_peers, relay_peers) = self.peers_by_way();
        let mut stats = Stats {
            peers: self.connections.len() as u64,
            tracks: self.tracks.len() as u64 - mirrored_tracks,
            mirrored_tracks,
            subscriptions: self.subscriptions.len() as u64,
            rooms: self.rooms.values().filter(|room| room.transports > 0).count() as u64,
            known_addresses: self.demux.known_addresses() as u64,
            tcp_peers,
            relay_peers,
            cache_bytes: self.cache_pool.taken() as u64,
            sends: self.egress.sent(),
            unsent_datagrams: self.egress.dropped(),
            refused_datagrams: self.egress.refused(),
            ..self.stats
        };
        self.count_estimates(&mut stats);
        self.count_steered(&mut stats);
        self.count_repeating(&mut stats);
        self.count_quality(&mut stats);
        stats
    }

    fn fresh_source(next: &mut u64) -> SourceId {
        *next += 1;
        SourceId(*next)
    }

    fn fresh_track(&mut self) -> TrackId {
        self.next_track += 1;
        TrackId(self.next_track)
    }

    fn closed(&mut self, now: Instant, key: TransportKey, reason: CloseReason) {
        self.close(now, key, Some(reason));
    }
}
