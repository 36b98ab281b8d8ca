//! One encoding of a track: its numbers, its rate, and its packets that are kept.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::group::Group;
use crate::media::clock::{Newest, SenderClock};
use crate::media::codec::dependency::Stream;
use crate::media::codec::{Codec, Kind, SPATIAL_LAYERS, vp9};
use crate::media::keyframes::KeyFrameRequests;
use crate::media::layers::{INACTIVE_AFTER, RateMeter};
use crate::media::packet::{Arrived, BatchPacket, Dependency};
use crate::media::pictures::Pictures;
use crate::media::retransmit::{CHUNK_BYTES, LossTracker, PacketCache, SOUND_CHUNK_BYTES};
use crate::media::rewrite::SourceId;
use crate::media::scalability::Shares;

/// Video packets kept at most: those of a second at 9 Mb/s, or of three at 3 Mb/s.
const VIDEO_CACHE: usize = 1_024;
/// Audio packets kept: a second and more at 20 ms each.
const AUDIO_CACHE: usize = 64;

/// Shortest time between two changes of a layer's format after which its subscribers' layers are chosen anew at once. Encoders
/// change when they are asked to, and a publisher that changes with each packet must cost no more than any other. An earlier
/// change counts at the next choice by the clock, which comes after the same time.
const TURN_INTERVAL: Duration = Duration::from_millis(100);

/// One encoding of a track: one SSRC and its RTX companion.
pub struct Layer {
    pub ssrc: u32,
    pub rid: SmallVec<[u8; 16]>,
    pub source: SourceId,
    pub loss: LossTracker,
    pub cache: PacketCache,
    pub pictures: Pictures,
    /// What its dependency descriptors refer to.
    pub(crate) stream: Stream,
    pub requests: KeyFrameRequests,
    pub(crate) rate: RateMeter,
    /// The part of the rate that each of its spatial and temporal layers takes.
    pub(crate) shares: Shares,
    pub(crate) last_packet: Option<Instant>,
    /// Time since which its packets come without a pause.
    pub(crate) live_since: Option<Instant>,
    /// Heights of its pictures, where a key frame has told them: one for each of its spatial layers.
    pub(crate) heights: [Option<u16>; SPATIAL_LAYERS],
    pub newest: Option<Newest>,
    group: Option<Group>,
    /// Payload type of the newest packet: a late packet does not show what is sent now.
    pub payload_type: Option<u8>,
    /// Payload type for which it was settled who may have the layer.
    pub(super) settled: Option<u8>,
    /// Time of the last change of format after which layers were chosen anew at once.
    turned: Option<Instant>,
    pub clock: Option<SenderClock>,
}

impl Layer {
    pub fn new(kind: Kind, clock_rate: u32, ssrc: u32, rid: &[u8], source: SourceId) -> Layer {
        let (slots, chunk_bytes) = match kind {
            Kind::Video => (VIDEO_CACHE, CHUNK_BYTES),
            Kind::Audio => (AUDIO_CACHE, SOUND_CHUNK_BYTES),
        };
        Layer {
            ssrc,
            rid: rid.into(),
            source,
            loss: LossTracker::new(clock_rate),
            cache: PacketCache::new(slots, chunk_bytes),
            pictures: Pictures::default(),
            stream: Stream::default(),
            requests: KeyFrameRequests::default(),
            rate: RateMeter::default(),
            shares: Shares::default(),
            last_packet: None,
            live_since: None,
            heights: [None; SPATIAL_LAYERS],
            newest: None,
            group: None,
            payload_type: None,
            settled: None,
            turned: None,
            clock: None,
        }
    }

    /// Notes that the format has changed. True if that counts at once.
    pub(super) fn turns(&mut self, now: Instant) -> bool {
        let is_due = |before| now.saturating_duration_since(before) >= TURN_INTERVAL;
        let counts = self.turned.is_none_or(is_due);
        if counts {
            self.turned = Some(now);
        }
        counts
    }

    /// Reads the descriptor of a packet that comes, perhaps after newer ones.
    #[inline]
    pub(super) fn describe(&mut self, descriptor: Option<&[u8]>, is_late: bool) -> Dependency {
        match descriptor {
            Some(descriptor) => self.stream.read(descriptor, is_late).into(),
            None => Dependency::None,
        }
    }

    /// Reads that of a packet that is kept.
    pub(crate) fn describe_again(&self, descriptor: Option<&[u8]>) -> Dependency {
        match descriptor {
            Some(descriptor) => self.stream.read_again(descriptor).into(),
            None => Dependency::None,
        }
    }

    /// The packet of this extended number, if it is kept. Never a packet of another turn of the numbers: a copy that left this
    /// layer long ago may still ask for an old packet, and would send a new one under the SRTP index of the old one.
    pub fn kept(&self, extended: u64) -> Option<&[u8]> {
        let behind = self.newest?.extended.wrapping_sub(extended);
        (behind < 1 << 15).then(|| self.cache.packet(extended as u16))?
    }

    /// The group with which a viewer can begin now.
    pub(crate) fn group(&self, now: Instant) -> Option<Group> {
        let newest = self.newest?;
        let is_sent = now.saturating_duration_since(newest.at) < INACTIVE_AFTER;
        let group = self.group.filter(|group| group.source == self.source && is_sent)?;
        (group.is_open(now, newest.extended) && self.kept(group.first).is_some()).then_some(group)
    }

    /// Notes a packet that was kept. The group before is over if the stream has paused, or is in another format.
    pub(super) fn note_in_group(&mut self, now: Instant, arrival: &BatchPacket, len: usize, breaks: bool) {
        if let Some(group) = Group::beginning(now, arrival) {
            self.group = Some(group);
            self.cache.hold(now, arrival.header.sequence);
        } else if breaks {
            self.end_group();
        }
        if let Some(group) = &mut self.group
            && !group.goes_on(now, arrival, len)
        {
            self.end_group();
        }
    }

    pub(super) fn has_group(&self) -> bool {
        self.group.is_some()
    }

    /// Forgets all packets that are kept.
    pub(super) fn forget_packets(&mut self) {
        self.group = None;
        self.cache.clear();
    }

    pub(super) fn end_group(&mut self) {
        self.group = None;
        self.cache.let_go();
    }

    /// Lets the encoding go on under another SSRC: the numbers of the old stream are forgotten. The cache keeps its memory, so
    /// that a client that invents SSRCs costs no allocations.
    pub fn restart(&mut self, clock_rate: u32, ssrc: u32, source: SourceId) {
        self.ssrc = ssrc;
        self.source = source;
        self.loss = LossTracker::new(clock_rate);
        self.cache.clear();
        self.pictures = Pictures::default();
        self.stream = Stream::default();
        self.shares = Shares::default();
        self.clock = None;
        self.newest = None;
        self.group = None;
        self.last_packet = None;
        self.heights = [None; SPATIAL_LAYERS];
    }

    /// Notes a packet at which a decoder can begin. Its descriptor may tell how large the pictures are, and so does its beginning in VP8
    /// and VP9.
    pub(super) fn note_entry(&mut self, arrived: &Arrived, packet: &[u8]) {
        let arrival = &arrived.packet;
        self.requests.arrived();
        if matches!(arrived.dependency, Dependency::None) {
            self.stream.end();
        }
        let described = self.stream.structure();
        if let Some(heights) = described.and_then(|structure| structure.heights) {
            self.heights = heights;
            return;
        }
        let Some(payload) = packet.get(arrival.header.len..) else {
            return;
        };
        match (arrival.codec, &arrival.vp8) {
            (Codec::Vp8, Some(descriptor)) => self.heights[0] = descriptor.height(payload).or(self.heights[0]),
            (Codec::Vp9 { .. }, _) => self.heights = vp9::heights(payload).unwrap_or(self.heights),
            _ => {}
        }
    }
}
