//! One published track: its layers (one or several encodings), what each layer misses, and who gets a copy.

mod descriptors;
mod group;
mod layer;
mod muting;
mod rates;
mod reading;
mod recall;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub(crate) use self::group::Group;
pub use self::layer::Layer;
use self::reading::Reading;
use super::clock::Newest;
use super::codec::dependency::Stream;
use super::codec::{FrameMark, Kind};
use super::extension_ids::ExtensionIds;
use super::keys::{LinkId, SubscriptionKey, TransportKey};
use super::layers::{INACTIVE_AFTER, MAX_LAYERS, RateMeter};
use super::link::{LayerNotice, TrackNotice};
use super::loudest::Voice;
use super::names::TrackRef;
use super::padding;
use super::pictures::Pictures;
use super::report::TrackReport;
use super::retransmit::{PacketOrder, Pool};
use super::rewrite::SourceId;
use super::rtp::Header;
use super::session::{Feedback, MediaSection, NegotiatedCodec};
use super::speaker::AudioLevel;
use super::steering::Wish;
use crate::ids::{PeerId, RoomId, TrackId};
use crate::media::packet::{Arrived, BatchPacket, Dependency};

/// Time after which a silent sender has stopped: it is muted. A screen that stands still makes a packet a second.
const SENDS_AGAIN_WITHIN: Duration = Duration::from_secs(5);

/// Whether a packet's layer begins: for the first time, again after a pause, or in another format of video. Subscribers may
/// wait for it, or some of them may not be able to decode it any more. (Sound changes its format from packet to packet, between
/// Opus and RED, and has no layers to choose from.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerBegins(pub bool);

/// Where a track's packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The transport of the publisher's connection over which it comes, on this worker.
    Transport(TransportKey),
    /// The other end of this link: the worker on which it is published, or a player.
    Link(LinkId),
}

impl Origin {
    /// The publisher's transport, if that is on this worker.
    pub fn transport(self) -> Option<TransportKey> {
        match self {
            Origin::Transport(key) => Some(key),
            Origin::Link(_) => None,
        }
    }
}

/// The other end of a link, which gets a track's packets too.
#[derive(Clone, Copy, Debug)]
pub struct Mirror {
    pub link: LinkId,
    /// Whether the track's present state was announced to it. Until then it gets no packets.
    pub announced: bool,
    /// Bits of the layers of which it has missed a packet. No NACK brings that packet: the mirror needs a key frame.
    pub missed: u8,
    /// What its viewers want of a video. `None` where it does not say.
    pub(crate) wish: Option<Wish>,
    /// What its listeners lose of a sound, in 1/256.
    pub(crate) lost_256: u8,
}

pub struct Track {
    pub id: TrackId,
    pub origin: Origin,
    pub room: RoomId,
    /// Name among the tracks of the room.
    pub name: TrackRef,
    /// Connection that publishes the track, on whichever worker that is.
    pub publisher: PeerId,
    pub kind: Kind,
    pub mid: SmallVec<[u8; 16]>,
    pub codecs: SmallVec<[NegotiatedCodec; 8]>,
    /// Extension ids of its section.
    pub extensions: ExtensionIds,
    /// The id of dependency descriptors among them, 0 for none.
    descriptor_id: u8,
    pub layers: SmallVec<[Layer; 1]>,
    pub subscribers: Vec<SubscriptionKey>,
    pub mirrors: SmallVec<[Mirror; 1]>,
    /// What the worker on which it is published was sent last about the viewers here, and when.
    pub(crate) sent_wish: Option<(Instant, Wish)>,
    /// Loss of the listeners here that it was sent last.
    pub(crate) sent_loss: Option<u8>,
    /// Whether that is to be sent anew.
    pub(crate) is_wish_unsent: bool,
    /// Loudness of the track, if it is sound.
    pub(crate) audio_level: AudioLevel,
    /// Packets that arrived in this batch; empty between batches.
    pub(crate) arrivals: Vec<Arrived>,
    pub started: bool,
    /// Whether its packets are forwarded to nobody.
    pub muted: bool,
    /// How loud its packets are, for the choice of the loudest.
    pub(crate) voice: Voice,
    /// Whether its packets are forwarded to nobody for now, because others are louder.
    pub(crate) is_held: bool,
    /// Source as which the packets of a player count since they were muted. The player sends them as one source all the while.
    renewed: Option<SourceId>,
    /// Number of packets of all layers that came so far, and their bytes, with headers. Duplicates do not count.
    packets: u64,
    bytes: u64,
}

impl Track {
    pub fn new(
        id: TrackId,
        (transport, publisher): (TransportKey, PeerId),
        room: RoomId,
        name: TrackRef,
        section: &MediaSection,
    ) -> Track {
        let mut track = Track::empty(id, Origin::Transport(transport), room, name, publisher);
        track.mid = section.mid.clone();
        track.renegotiate(section);
        track
    }

    /// A track that is announced over a link.
    pub(crate) fn mirrored(now: Instant, link: LinkId, notice: &TrackNotice) -> Track {
        let origin = Origin::Link(link);
        let mut track = Track::empty(notice.id, origin, notice.room, notice.name, notice.publisher);
        track.update(now, notice);
        track
    }

    fn empty(id: TrackId, origin: Origin, room: RoomId, name: TrackRef, publisher: PeerId) -> Track {
        Track {
            id,
            origin,
            room,
            name,
            publisher,
            kind: name.name.kind,
            mid: SmallVec::new(),
            codecs: SmallVec::new(),
            extensions: ExtensionIds::default(),
            descriptor_id: 0,
            layers: SmallVec::new(),
            subscribers: Vec::new(),
            mirrors: SmallVec::new(),
            sent_wish: None,
            sent_loss: None,
            is_wish_unsent: false,
            audio_level: AudioLevel::default(),
            arrivals: Vec::new(),
            started: false,
            muted: false,
            voice: Voice::default(),
            is_held: false,
            renewed: None,
            packets: 0,
            bytes: 0,
        }
    }

    /// The notice that announces the track over a link.
    pub(crate) fn notice(&self, now: Instant, suspended: bool) -> TrackNotice {
        let layers = self.layers.iter().map(|layer| LayerNotice {
            source: layer.source,
            bitrate_bps: layer.rate.bps(now),
            last_packet: layer.last_packet,
            payload_type: layer.payload_type,
            clock: layer.clock,
        });
        TrackNotice {
            id: self.id,
            room: self.room,
            name: self.name,
            publisher: self.publisher,
            suspended,
            codecs: self.codecs.clone(),
            extensions: self.extensions,
            layers: layers.collect(),
        }
    }

    /// What operators are shown of the track.
    pub(crate) fn report(&self, now: Instant) -> TrackReport {
        let format = self.living(now).find_map(|layer| self.format(layer));
        TrackReport {
            name: self.name,
            publisher: self.publisher,
            codec: format.map(|format| format.codec),
            layers: self.living(now).count(),
            packets: self.packets,
            bytes: self.bytes,
            bitrate_bps: self.layers.iter().map(|layer| layer.rate.bps(now)).sum(),
            level: self.audio_level.measured(now),
        }
    }

    /// Takes over what a notice announces. Known layers stay as they are: their packets show more.
    pub fn update(&mut self, now: Instant, notice: &TrackNotice) {
        self.codecs = notice.codecs.clone();
        self.extensions = notice.extensions;
        self.expect_descriptors();
        let known = self.layers.len();
        for notice in notice.layers.iter().take(MAX_LAYERS).skip(known) {
            let mut layer = Layer::new(self.kind, self.clock_rate(), 0, &[], notice.source);
            layer.rate = RateMeter::going_on(now, notice.bitrate_bps);
            layer.last_packet = notice.last_packet;
            layer.live_since = notice.last_packet;
            layer.payload_type = notice.payload_type;
            layer.clock = notice.clock;
            self.layers.push(layer);
        }
    }

    /// Takes over what an offer on the live connection changed. Layers and their streams stay.
    pub(crate) fn renegotiate(&mut self, section: &MediaSection) {
        self.codecs = section.codecs.clone();
        self.extensions = ExtensionIds::default();
        self.extensions.learn(&section.extensions);
        self.expect_descriptors();
    }

    /// Whether this section publishes the track. A mid that is used again for another kind is another section.
    pub(crate) fn is_of(&self, section: &MediaSection) -> bool {
        self.mid == section.mid && self.kind == section.kind
    }

    pub fn codec(&self, payload_type: u8) -> Option<&NegotiatedCodec> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type)
    }

    /// The codec whose retransmissions come under this payload type.
    pub(crate) fn codec_repaired_by(&self, payload_type: u8) -> Option<&NegotiatedCodec> {
        self.codecs
            .iter()
            .find(|codec| codec.rtx_payload_type == Some(payload_type))
    }

    /// The format in which a layer is sent, if that is known.
    pub fn format(&self, layer: &Layer) -> Option<&NegotiatedCodec> {
        self.codec(layer.payload_type?)
    }

    /// The feedback that a layer's publisher keeps to: that of the codec in which the layer is sent, or that of the first codec
    /// while the format is not known.
    pub fn feedback(&self, layer: &Layer) -> Feedback {
        let format = self.format(layer).or(self.codecs.first());
        format.map(|format| format.feedback).unwrap_or_default()
    }

    /// Whether packets of a layer are missing that the publisher can be asked for. Those of a muted track are missed by nobody.
    pub(crate) fn misses_packets(&self, layer: &Layer) -> bool {
        !self.muted && layer.loss.has_gaps() && self.feedback(layer).nack
    }

    /// The layers that are sent now: none while the publisher is muted.
    pub(crate) fn living(&self, now: Instant) -> impl Iterator<Item = &Layer> {
        let sends = move |last| now.saturating_duration_since(last) < SENDS_AGAIN_WITHIN;
        self.layers
            .iter()
            .filter(move |layer| layer.last_packet.is_some_and(sends))
    }

    pub fn clock_rate(&self) -> u32 {
        self.codecs.first().map_or(90_000, |codec| codec.codec.clock_rate())
    }

    /// Time at which the publisher is to be asked for packets or a key frame, if any are missing or wanted.
    pub(crate) fn next_repair(&self) -> Option<Instant> {
        let due = self.layers.iter().flat_map(|layer| {
            let packets = layer.loss.next_nack().filter(|_| self.misses_packets(layer));
            let key_frame = layer.requests.due().filter(|_| self.is_asked_for_key_frames());
            [packets, key_frame]
        });
        due.flatten().min()
    }

    /// Whether packets come, so that the layers may have to be chosen anew.
    pub(crate) fn is_active(&self, now: Instant) -> bool {
        let is_active = |last| now.saturating_duration_since(last) < INACTIVE_AFTER;
        self.layers.iter().any(|layer| layer.last_packet.is_some_and(is_active))
    }

    /// Notes that the present formats of the layers are settled. True if one of them has changed.
    pub fn settle(&mut self) -> bool {
        let mut changes = false;
        for layer in &mut self.layers {
            changes |= std::mem::replace(&mut layer.settled, layer.payload_type) != layer.payload_type;
        }
        changes
    }

    /// Takes note of an unprotected packet `buffer[start..end]` of a layer, and queues it for the subscribers unless it is a
    /// duplicate. `fresh_source` is called if the stream has started over.
    #[expect(
        clippy::too_many_arguments,
        reason = "the packet path's one step; a struct would be filled and emptied here"
    )]
    pub fn receive(
        &mut self,
        now: Instant,
        layer_index: u8,
        header: Header,
        buffer: &mut [u8],
        start: usize,
        end: usize,
        repaired: bool,
        pool: &mut Pool,
        fresh_source: impl FnOnce() -> SourceId,
    ) -> Option<LayerBegins> {
        let codec = self.codec(header.payload_type)?.codec;
        let payload = header.payload(&buffer[start..end])?;
        let layer = self.layers.get_mut(usize::from(layer_index))?;
        let mut late = false;
        match layer.loss.received(now, header.sequence, header.timestamp, repaired) {
            PacketOrder::Duplicate => return None,
            PacketOrder::Restarted => {
                layer.source = fresh_source();
                layer.cache.clear();
                layer.pictures = Pictures::default();
                layer.stream = Stream::default();
                layer.newest = None;
            }
            PacketOrder::Newest { .. } => {}
            PacketOrder::Filled => late = true,
        }
        let extended = layer.loss.extended(header.sequence);
        let received = end - start;
        // Padding is between the publisher and us.
        let end = start + payload.end;
        buffer[start] &= !0x20;
        let packet = &buffer[start..end];
        let payload = &packet[payload];
        let dependency = layer.describe(reading::descriptor(self.descriptor_id, &header, packet), late);
        let reading = Reading::new(codec, payload, dependency);
        let entry = layer.pictures.entry(reading.start, header.timestamp, extended);
        let arrival = BatchPacket {
            layer: layer_index,
            source: layer.source,
            start,
            end,
            header: Header {
                padding: false,
                ..header
            },
            extended,
            codec,
            entry,
            vp8: reading.vp8,
            mark: reading.mark,
            late,
            origin: layer.clock.map(|clock| clock.origin),
            padding: 0,
        };
        let arrived = Arrived {
            packet: arrival,
            dependency,
        };
        self.keep(now, arrived, packet, received, pool)
    }

    /// As [`Track::receive`], for a packet that the other end of the link has noted.
    pub(crate) fn receive_mirrored(
        &mut self,
        now: Instant,
        arrival: BatchPacket,
        buffer: &[u8],
        pool: &mut Pool,
    ) -> Option<LayerBegins> {
        let index = usize::from(arrival.layer);
        if index >= MAX_LAYERS {
            return None;
        }
        while self.layers.len() <= index {
            // This layer began while packets were dropped on the way here.
            let layer = Layer::new(self.kind, self.clock_rate(), 0, &[], SourceId(0));
            self.layers.push(layer);
        }
        if self.layers[index].source != arrival.source {
            let clock_rate = self.clock_rate();
            self.layers[index].restart(clock_rate, 0, arrival.source);
        }
        let packet = &buffer[arrival.start..arrival.end];
        // What has not come here cannot be known from the other end.
        let descriptor = self.descriptor(&arrival.header, packet);
        let dependency = self.layers[index].describe(descriptor, arrival.late);
        let arrived = Arrived {
            packet: arrival,
            dependency,
        };
        self.keep(now, arrived, packet, packet.len(), pool)
    }

    /// Keeps a packet for subscribers that will miss it, and queues it for all subscribers. Drops it if the track is muted.
    fn keep(
        &mut self,
        now: Instant,
        arrived: Arrived,
        packet: &[u8],
        received: usize,
        pool: &mut Pool,
    ) -> Option<LayerBegins> {
        if self.muted {
            return None;
        }
        let arrival = arrived.packet;
        let is_watched = !self.subscribers.is_empty() || !self.mirrors.is_empty();
        let layer = self.layers.get_mut(usize::from(arrival.layer))?;
        let before = layer.last_packet.replace(now);
        // Most packets come in one batch with the packet before: then the times are not subtracted.
        let mut begins =
            before.is_none_or(|before| before != now && now.saturating_duration_since(before) >= INACTIVE_AFTER);
        if begins {
            layer.live_since = Some(now);
        }
        if layer.newest.is_none_or(|newest| arrival.extended > newest.extended) {
            layer.newest = Some(Newest {
                extended: arrival.extended,
                timestamp: arrival.header.timestamp,
                at: now,
            });
            let payload_type = Some(arrival.header.payload_type);
            let former = std::mem::replace(&mut layer.payload_type, payload_type);
            begins |= self.kind == Kind::Video && former != payload_type && layer.turns(now);
        }
        self.packets += 1;
        self.bytes += received as u64;
        layer.rate.received(now, received);
        match (arrived.dependency, arrival.mark) {
            (Dependency::Frame(frame), _) => layer.shares.received(now, FrameMark::of_layers(frame.layers), received),
            (Dependency::Unreadable, _) if !arrival.late && is_watched => layer.requests.still_wanted(now),
            (Dependency::None, Some(mark)) => layer.shares.received(now, mark, received),
            (Dependency::Unreadable | Dependency::Over | Dependency::None, _) => {}
        }
        layer.cache.store(now, arrival.header.sequence, packet, pool);
        if self.kind == Kind::Video {
            if arrival.entry.is_open() {
                layer.note_entry(&arrived, packet);
            }
            layer.note_in_group(now, &arrival, packet.len(), begins);
            if layer.has_group() {
                self.limit_groups(pool);
            }
        }
        self.arrivals.push(arrived);
        Some(LayerBegins(begins))
    }

    /// Chooses the padding of this batch's packets. Call once, before they are forwarded.
    pub(crate) fn pad(&mut self) {
        if self.kind == Kind::Video {
            for layer in 0..self.layers.len() {
                padding::level(&mut self.arrivals, layer as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Feed, ParticipantId};
    use crate::media::codec::Codec;
    use crate::media::names::TrackName;
    use crate::media::virtual_time::epoch;

    #[test]
    fn a_packet_of_another_turn_of_the_numbers_is_not_the_one_that_is_asked_for() {
        let mut layer = Layer::new(Kind::Video, 90_000, 9, b"", SourceId(1));
        let mut pool = Pool::new(1 << 20);
        assert!(layer.kept(5).is_none());
        let extended = 3 * 65_536 + 5;
        layer.cache.store(epoch(), extended as u16, &[7; 40], &mut pool);
        layer.newest = Some(Newest {
            extended: extended + 100,
            timestamp: 0,
            at: epoch(),
        });
        assert_eq!(layer.kept(extended), Some(&[7; 40][..]));
        for other in [5, extended - 65_536, extended + 65_536] {
            assert!(layer.kept(other).is_none(), "{other}");
        }
        layer.cache.release(&mut pool);
    }

    /// How often a layer begins within two seconds. Its publisher sends a packet each millisecond, and changes between two
    /// formats after so many packets.
    fn beginnings(changes_after: u16) -> usize {
        let name = TrackName {
            feed: Feed::Camera,
            kind: Kind::Video,
            number: 0,
        };
        let codec = |payload_type, codec| NegotiatedCodec {
            payload_type,
            rtx_payload_type: None,
            codec,
            feedback: Feedback::default(),
        };
        let section = MediaSection {
            transport: 0,
            mid: SmallVec::new(),
            kind: Kind::Video,
            up: Some(name),
            down: None,
            codecs: [codec(96, Codec::Vp8), codec(97, Codec::Vp9 { profile: 0 })]
                .into_iter()
                .collect(),
            extensions: SmallVec::new(),
            number_id: None,
            remote_ssrcs: SmallVec::new(),
            rids: SmallVec::new(),
            local_ssrc: 1,
            local_rtx_ssrc: 2,
            further: Vec::new(),
        };
        let participant = ParticipantId(1);
        let name = TrackRef { participant, name };
        let mut track = Track::new(
            TrackId(1),
            (TransportKey::default(), PeerId(1)),
            RoomId(1),
            name,
            &section,
        );
        track.layers.push(Layer::new(Kind::Video, 90_000, 9, b"", SourceId(1)));
        let mut pool = Pool::new(1 << 20);
        let began = (0..2_000_u16).filter(|&sequence| {
            let mut packet = vec![0x80, 96 + (sequence / changes_after % 2) as u8];
            packet.extend_from_slice(&sequence.to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 9, 0x10, 0, 0]);
            let header = Header::parse(&packet).unwrap();
            let now = epoch() + Duration::from_millis(sequence.into());
            let end = packet.len();
            let begins = track.receive(now, 0, header, &mut packet, 0, end, false, &mut pool, || SourceId(2));
            track.arrivals.clear();
            begins == Some(LayerBegins(true))
        });
        began.count()
    }

    #[test]
    fn a_format_that_changes_with_each_packet_is_followed_ten_times_a_second_at_most() {
        assert_eq!(beginnings(u16::MAX), 1);
        assert_eq!(beginnings(500), 4, "each change of a sender that seldom changes");
        assert!((1..=21).contains(&beginnings(1)), "{}", beginnings(1));
    }
}
