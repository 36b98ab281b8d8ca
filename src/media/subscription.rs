//! One subscriber's copy of one track: choose → rewrite → protect.

mod behind;
mod decoding;
mod packet;
mod padding;
mod redundancy;
mod replay;
mod reports;
mod room;
mod scalability;
mod sending;
mod waiting;

pub(crate) use self::room::QualityNotes;

use std::time::Instant;

use smallvec::SmallVec;

use self::packet::{Blocks, DescriptorRoom, OutgoingPacket, RedTypes, Verdict};
use self::waiting::Waiting;
use super::allocation::{History, Room};
use super::codec::Kind;
use super::codec::dependency::Selection;
use super::keys::{TrackKey, TransportKey};
use super::layers::LayerSet;
use super::names::{Down, TrackRef};
use super::packet::{Arrived, BatchPacket, Dependency};
use super::peer::sender::Sink;
use super::pictures::EntryPoint;
use super::redundancy::Redundancy;
use super::rewrite::{IncomingPacket, Rewriter, Rewritten, SourceId};
use super::rtp::{Extension, Header, MAX_EXTENSION_ID};
use super::scalability::Filter;
use super::session::{MediaSection, NegotiatedCodec, SentStream};
use super::track::Track;

/// No payload type: RTP has 0 to 127.
const NONE: u8 = 0xff;

/// State of the copy of one track that goes to one subscriber.
pub struct Subscription {
    pub transport: TransportKey,
    pub kind: Kind,
    /// Track or slot that its section carries; `None` while the section is on hold.
    pub down: Option<Down>,
    /// Track that is to be copied: that of its section, or that with which its slot was filled last. `None` for an empty slot.
    source: Option<TrackRef>,
    pub ssrc: u32,
    pub(crate) rtx_ssrc: u32,
    pub track: Option<TrackKey>,
    /// Layer to change to at its next key frame; the present layer if there is nothing to change.
    pub target: Option<u8>,
    /// Layers that it may have, as [`Subscription::allot`] settles them.
    pub(crate) may_have: LayerSet,
    room: Room,
    /// What its connection's divisions have made of it so far.
    history: History,
    /// What its viewer gets, by the last division.
    pub(crate) quality: Option<QualityNotes>,
    pub(crate) next_report: Instant,
    codecs: SmallVec<[NegotiatedCodec; 8]>,
    extensions: SmallVec<[(u8, Extension); 8]>,
    mid: SmallVec<[u8; 16]>,
    rewriter: Rewriter,
    behind: Waiting,
    /// The last number that was given up while it waited.
    given_up: u64,
    /// Time at which it began with pictures that had come before, or had all of them, until it asks for a key frame.
    replayed: Option<Instant>,
    /// Whether it waited for a key frame when it was last looked at.
    pub(crate) waits: bool,
    filter: Filter,
    /// The frames that it has of streams with dependency descriptors, since there was one.
    selection: Option<Box<Selection>>,
    /// Parameter sets that were sent last: the decoder has these and no others.
    sets: Option<(SourceId, u32)>,
    /// Publisher's payload type → ours.
    payload_types: [u8; 128],
    /// Publisher's extension id → ours, 0 for none.
    extension_ids: [u8; MAX_EXTENSION_ID as usize + 1],
    mid_id: u8,
    /// Extension id under which packets may have transport-wide numbers, 0 for none.
    number_id: u8,
    /// Extension id under which the client reads how long to hold pictures back, 0 for none; and the value, if it is asked to.
    playout_id: u8,
    playout: Option<[u8; 3]>,
    /// Extension id under which the client reads dependency descriptors, 0 for none.
    descriptor_id: u8,
    /// Whether packets may be padded: if packets that are sent again go by RTX, under another SRTP index. Without RTX, the
    /// padding of each packet would have to be remembered.
    may_pad: bool,
    rtx_sequence: u64,
    /// Number of the last copy that was made under other payload types or extension ids. Sent again without RTX, such copies
    /// would be different bytes under the same SRTP index, which must never happen.
    resend_floor: u64,
    packets: u32,
    octets: u32,
    resends: u16,
    resends_since: Instant,
    red: Option<RedTypes>,
    redundancy: Redundancy,
    /// Packets of sound before it that each packet repeats.
    distance: u8,
    /// Whether sound was left out since the last packet.
    has_pause: bool,
}

impl Subscription {
    pub fn new(now: Instant, transport: TransportKey, section: &MediaSection, stream: SentStream) -> Subscription {
        let clock_rate = section.codecs.first().map_or(90_000, |codec| codec.codec.clock_rate());
        // Our SSRCs are random: their bits serve as the random first sequence numbers too.
        let mut subscription = Subscription {
            transport,
            kind: section.kind,
            down: None,
            source: None,
            ssrc: stream.ssrc,
            rtx_ssrc: stream.rtx_ssrc,
            track: None,
            target: None,
            may_have: LayerSet::default(),
            room: Room::Any,
            history: History::default(),
            quality: None,
            next_report: now,
            codecs: SmallVec::new(),
            extensions: SmallVec::new(),
            mid: section.mid.clone(),
            rewriter: Rewriter::new(clock_rate, (stream.ssrc >> 3) as u16),
            behind: Waiting::default(),
            given_up: 0,
            replayed: None,
            waits: false,
            filter: Filter::default(),
            selection: None,
            sets: None,
            payload_types: [NONE; 128],
            extension_ids: [0; MAX_EXTENSION_ID as usize + 1],
            mid_id: 0,
            number_id: 0,
            playout_id: 0,
            playout: None,
            descriptor_id: 0,
            may_pad: false,
            rtx_sequence: u64::from((stream.rtx_ssrc >> 3) as u16 & 0x7fff),
            resend_floor: 0,
            packets: 0,
            octets: 0,
            resends: 0,
            resends_since: now,
            red: None,
            redundancy: Redundancy::default(),
            distance: 0,
            has_pause: false,
        };
        subscription.renegotiate(section, stream.down);
        subscription
    }

    /// Takes over what an offer on the live connection changed. Follow with [`Subscription::attach`].
    pub(crate) fn renegotiate(&mut self, section: &MediaSection, down: Option<Down>) {
        self.down = down;
        match down {
            Some(Down::Track(track)) => self.source = Some(track),
            // A slot, and a section on hold, keep their source.
            Some(Down::Slot(_)) | None => {}
        }
        self.codecs = section.codecs.clone();
        self.extensions = section.extensions.clone();
        self.mid_id = self.id_of(Extension::Mid);
        self.descriptor_id = self.id_of(Extension::DependencyDescriptor);
        self.red = self.negotiated_red();
        if self.red.is_none() {
            self.distance = 0;
        }
        self.may_pad = self.codecs.iter().all(|codec| codec.rtx_payload_type.is_some());
        // As for padding: a packet that is sent again without RTX must be the same bytes.
        let is_sent_again = self.codecs.iter().any(|codec| codec.feedback.nack);
        self.playout_id = match self.may_pad {
            true => self.id_of(Extension::PlayoutDelay),
            false => 0,
        };
        self.number_id = match self.may_pad || !is_sent_again {
            true => section.number_id.unwrap_or(0),
            false => 0,
        };
    }

    /// The slot that this subscription serves now carries `source`, or nothing. Follow with [`Subscription::attach`].
    pub fn fill(&mut self, source: Option<TrackRef>) {
        if self.source != source {
            // What was reported was of another video.
            self.quality = None;
        }
        self.source = source;
    }

    /// The track that is to be copied now.
    pub fn wanted(&self) -> Option<TrackRef> {
        self.down.and(self.source)
    }

    fn id_of(&self, wanted: Extension) -> u8 {
        self.extensions
            .iter()
            .find(|(_, extension)| *extension == wanted)
            .map_or(0, |(id, _)| *id)
    }

    /// Copies `track` from now on. The stream that the subscriber sees goes on.
    pub(crate) fn attach(&mut self, key: TrackKey, track: &Track) {
        self.track = Some(key);
        self.target = None;
        (self.room, self.history) = (Room::Any, History::default());
        self.filter = Filter::default();
        self.resend_floor = self.rewriter.highest_sequence();
        self.rewriter.forget_clock();
        self.payload_types = [NONE; 128];
        for published in &track.codecs {
            let best = self
                .codecs
                .iter()
                .filter_map(|ours| {
                    ours.codec
                        .decodes(published.codec)
                        .map(|rank| (rank, ours.payload_type))
                })
                .min();
            if let (Some(entry), Some((_, ours))) =
                (self.payload_types.get_mut(usize::from(published.payload_type)), best)
            {
                *entry = ours;
            }
        }
        self.extension_ids = [0; MAX_EXTENSION_ID as usize + 1];
        for (id, extension) in track.extensions.known() {
            if extension.is_copied() {
                self.extension_ids[usize::from(id)] = self.id_of(extension);
            }
        }
        self.hold_back(self.playout);
        self.allot(track);
    }

    pub(crate) fn detach(&mut self) {
        self.track = None;
        self.target = None;
    }

    /// Begins the copy anew: the subscriber has missed too much to ask for it again, and gets the next key frame first.
    pub(crate) fn begin_anew(&mut self) {
        self.rewriter.pause();
        self.behind.forget();
        // It may have missed the parameter sets that were sent last.
        self.sets = None;
    }

    /// The layer of `track` that is now forwarded.
    pub(crate) fn current_layer(&self, track: &Track) -> Option<u8> {
        let source = self.rewriter.source()?;
        track
            .layers
            .iter()
            .position(|layer| layer.source == source)
            .map(|index| index as u8)
    }

    /// Copies one packet of the batch, if this subscription takes it, into `sink`; `None` if it does not.
    pub fn forward(
        &mut self,
        now: Instant,
        arrived: &Arrived,
        packet: &[u8],
        track: &Track,
        sink: &mut Sink<'_>,
    ) -> Option<()> {
        if matches!(arrived.dependency, Dependency::Unreadable) {
            return None;
        }
        let arrival = &arrived.packet;
        let has_place = self.rewriter.follows(arrival.source, arrival.extended)
            || (arrival.late && !self.history.is_short() && self.rewriter.may_miss(arrival.source, arrival.extended));
        if !has_place && (self.target != Some(arrival.layer) || !self.can_begin(arrival)) {
            return None;
        }
        let mut source = self.outgoing(&arrival.header, packet)?;
        if track.is_held {
            source.payload = &[];
        }
        let incoming = IncomingPacket {
            source: arrival.source,
            sequence: arrival.extended,
            timestamp: arrival.header.timestamp,
            origin: arrival.origin,
            vp8: arrival.vp8.as_ref(),
        };
        let is_empty = source.payload.is_empty();
        let (verdict, described) = match is_empty {
            true => (Verdict::Takes, None),
            false => self.takes_frame(now, arrived, track, has_place),
        };
        let is_left_out = verdict == Verdict::LeavesOut;
        let numbers = match () {
            () if is_left_out => self.rewriter.leave_out_picture(&incoming)?,
            () if !is_empty => self.rewriter.forward(now, &incoming)?,
            () if has_place => self.leave_out(arrival, &incoming)?,
            () => return None,
        };
        let is_empty = is_empty || is_left_out;
        let mut room = DescriptorRoom::new();
        let source = OutgoingPacket {
            descriptor: described.and_then(|described| self.descriptor(&described, &source, track, &mut room)),
            padding: if self.may_pad { arrival.padding } else { 0 },
            payload: if is_empty { &[] } else { source.payload },
            vp8: arrival.vp8.as_ref().filter(|_| !is_empty),
            is_last: verdict == Verdict::TakesAsLast,
            ..source
        };
        if source.is_last {
            // Sent again without RTX, it might have another marker under this number.
            self.resend_floor = self.resend_floor.max(numbers.sequence);
        }
        let waits = self.puts_off(now, numbers.sequence, arrival, packet.len(), sink);
        if !waits {
            let mut blocks = Blocks::default();
            let source = self.with_earlier(source, arrival, track, &mut blocks);
            let source = OutgoingPacket {
                after_pause: !source.payload.is_empty() && std::mem::take(&mut self.has_pause),
                ..source
            };
            let is_of_its_time = source.repeats.is_some() || source.after_pause;
            let payload_len = self.write(now, &numbers, &source, None, sink)?;
            if is_of_its_time {
                // Sent again without RTX, it would have other bytes under this number.
                self.resend_floor = self.resend_floor.max(numbers.sequence);
            }
            self.count(payload_len);
            if self.repeats_packets() && !is_empty {
                self.repeat_packets(now, numbers.sequence, track, sink);
            }
        }
        if let EntryPoint::Anybody(sets) = arrival.entry
            && self.rewriter.source() == Some(arrival.source)
            && !is_empty
        {
            self.sets = Some((arrival.source, sets));
        }
        (!waits).then_some(())
    }

    /// Counts a packet of the copy as sent.
    fn count(&mut self, payload_len: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
    }

    /// Leaves out a packet that has nothing for this subscriber. Returns its numbers if its place is taken: then it must be
    /// sent, without a payload.
    fn leave_out(&mut self, arrival: &BatchPacket, incoming: &IncomingPacket<'_>) -> Option<Rewritten> {
        if self.kind == Kind::Video && !arrival.late && !arrival.is_empty() {
            // The subscriber cannot decode these pictures: later ones in another format do not go on from those that it has.
            self.rewriter.pause();
            return None;
        }
        self.has_pause |= self.kind == Kind::Audio;
        self.rewriter.leave_out(incoming)
    }

    /// Whether the subscriber's decoder can begin at this packet.
    fn can_begin(&self, arrival: &BatchPacket) -> bool {
        match arrival.entry {
            EntryPoint::Nobody => false,
            EntryPoint::Holders(sets) => self.sets == Some((arrival.source, sets)),
            EntryPoint::Anybody(_) => true,
        }
    }

    /// The part of a publisher's packet that goes to this subscriber, and its payload type. The payload is empty if the
    /// subscriber has no codec in common with the packet. The same packet always gives the same bytes (see `resend_floor`).
    fn outgoing<'a>(&self, header: &'a Header, packet: &'a [u8]) -> Option<OutgoingPacket<'a>> {
        let (payload_type, payload) = match self.payload_types[usize::from(header.payload_type & 0x7f)] {
            NONE => (self.codecs.first()?.payload_type, &[][..]),
            ours => (ours, &packet[header.len..]),
        };
        Some(OutgoingPacket {
            header,
            packet,
            payload,
            payload_type,
            padding: 0,
            vp8: None,
            descriptor: None,
            is_last: false,
            repeats: None,
            after_pause: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::{Feed, ParticipantId, PeerId, RoomId, TrackId};
    use crate::media::codec::Codec;
    use crate::media::egress::Egress;
    use crate::media::names::TrackName;
    use crate::media::peer::ice::Path;
    use crate::media::peer::sender::Sender;
    use crate::media::peer::srtp::{Inbound, Profile, Rejected, contexts};
    use crate::media::retransmit::Pool;
    use crate::media::session::Feedback;
    use crate::media::track::Layer;
    use crate::media::virtual_time::epoch;

    const TRACK: TrackRef = TrackRef {
        participant: ParticipantId(1),
        name: TrackName {
            feed: Feed::Camera,
            kind: Kind::Video,
            number: 0,
        },
    };

    fn section(ssrc: u32, rtx: Option<u8>, nack: bool, number_id: Option<u8>) -> MediaSection {
        let feedback = Feedback {
            nack,
            ..Feedback::default()
        };
        let codec = NegotiatedCodec {
            payload_type: 96,
            rtx_payload_type: rtx,
            codec: Codec::Vp8,
            feedback,
        };
        MediaSection {
            transport: 0,
            mid: b"0".as_slice().into(),
            kind: Kind::Video,
            up: None,
            down: Some(Down::Track(TRACK)),
            codecs: [codec].into_iter().collect(),
            extensions: [(1, Extension::Mid)].into_iter().collect(),
            number_id,
            remote_ssrcs: SmallVec::new(),
            rids: SmallVec::new(),
            local_ssrc: ssrc,
            local_rtx_ssrc: ssrc + 1,
            further: Vec::new(),
        }
    }

    /// A connection with subscriptions of one track, each of which gets every packet.
    struct Scene {
        now: Instant,
        track: Track,
        pool: Pool,
        subscriptions: Vec<Subscription>,
        sender: Sender,
        egress: Egress,
        client: Inbound,
        sequence: u16,
    }

    impl Scene {
        fn new(sections: &[MediaSection]) -> Scene {
            let exported = [7; Profile::AeadAes128Gcm.exported_len()];
            let context = |we_are_client| contexts(Profile::AeadAes128Gcm, &exported, we_are_client).unwrap();
            let published = section(9, None, true, None);
            let mut track = Track::new(
                TrackId(1),
                (TransportKey::default(), PeerId(1)),
                RoomId(1),
                TRACK,
                &published,
            );
            track.layers.push(Layer::new(Kind::Video, 90_000, 9, b"", SourceId(1)));
            let subscriptions = sections.iter().map(|section| {
                let mut subscription = Subscription::new(
                    epoch(),
                    TransportKey::default(),
                    section,
                    section.streams().next().unwrap(),
                );
                subscription.attach(TrackKey::default(), &track);
                subscription.target = Some(0);
                subscription
            });
            Scene {
                now: epoch(),
                subscriptions: subscriptions.collect(),
                track,
                pool: Pool::new(1 << 20),
                sender: Sender::new(context(false).0),
                egress: Egress::new(1),
                client: context(true).1,
                sequence: 0,
            }
        }

        /// Gives each subscription a packet. Returns what the client gets.
        fn publish(&mut self) -> Vec<Vec<u8>> {
            self.now += Duration::from_millis(1);
            let mut packet = vec![0x80, 96];
            packet.extend_from_slice(&self.sequence.to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 9, 0x10, 0, 0x9d, 1, 2, 3]);
            self.sequence += 1;
            let header = Header::parse(&packet).unwrap();
            let end = packet.len();
            self.track
                .receive(self.now, 0, header, &mut packet, 0, end, false, &mut self.pool, || {
                    SourceId(2)
                })
                .unwrap();
            let arrived = self.track.arrivals.pop().unwrap();
            self.deliver(|subscription, track, now, sink| {
                subscription.forward(now, &arrived, &packet, track, sink);
            })
        }

        /// Reports to the sender that a packet has come. Returns the bytes for which it takes it.
        fn reported(&mut self, number: u16) -> Option<u32> {
            let [high, low] = number.to_be_bytes();
            let mut reports = Vec::new();
            let body = [high, low, 0, 1, 0, 0, 0, 0, 0x20, 1, 4, 0];
            self.sender.take_feedback(self.now, &body, &mut reports);
            reports.first().map(|report| report.bytes)
        }

        /// Asks each subscription for a packet again.
        fn nack(&mut self, sequences: &[u16]) -> Vec<Vec<u8>> {
            let mut sequences = sequences.iter();
            self.deliver(|subscription, track, now, sink| {
                subscription.resend(now, *sequences.next().unwrap(), track, sink);
            })
        }

        fn deliver(&mut self, mut send: impl FnMut(&mut Subscription, &Track, Instant, &mut Sink<'_>)) -> Vec<Vec<u8>> {
            let path = Path {
                remote: std::net::SocketAddr::from(([127, 0, 0, 1], 9)).into(),
                local: None,
            };
            let mut sink = Sink {
                sender: &mut self.sender,
                path,
                egress: &mut self.egress,
            };
            for subscription in &mut self.subscriptions {
                send(subscription, &self.track, self.now, &mut sink);
            }
            let sent: Vec<Vec<u8>> = self.egress.sends().map(|(_, bytes)| bytes.to_vec()).collect();
            self.egress.clear();
            for packet in &sent {
                let header = Header::parse(packet).unwrap();
                let opened = self.client.open_rtp(&mut packet.clone(), &header);
                assert_ne!(opened, Err(Rejected::NotAuthentic));
            }
            sent
        }
    }

    fn number(packet: &[u8]) -> Option<u16> {
        let header = Header::parse(packet).unwrap();
        let (_, value) = header.elements(packet).find(|(id, _)| *id == 5)?;
        Some(u16::from_be_bytes(value.try_into().unwrap()))
    }

    fn sequence(packet: &[u8]) -> u16 {
        Header::parse(packet).unwrap().sequence
    }

    #[test]
    fn packets_are_numbered_over_all_streams_of_a_connection_and_remembered() {
        let mut scene = Scene::new(&[
            section(0x100, Some(97), true, Some(5)),
            section(0x200, Some(97), true, Some(5)),
        ]);
        let unnumbered = scene.publish();
        assert!(
            unnumbered.iter().all(|packet| number(packet).is_none()),
            "until somebody switches it on"
        );
        scene.sender.number_packets(scene.now);
        let mut expected = 0;
        for _ in 0..10 {
            let packets = scene.publish();
            assert_eq!(packets.len(), 2);
            let requested = [sequence(&packets[0]), sequence(&packets[1])];
            for packet in packets.into_iter().chain(scene.nack(&requested)) {
                assert_eq!(number(&packet), Some(expected));
                assert_eq!(scene.reported(expected), Some(packet.len() as u32 + 28));
                expected += 1;
            }
        }
        assert_eq!(expected, 40);
        assert_eq!(scene.reported(expected), None);
    }

    #[test]
    fn who_did_not_negotiate_numbers_or_gets_the_same_bytes_again_has_none() {
        let mut scene = Scene::new(&[
            section(0x100, Some(97), true, None),
            section(0x200, None, true, Some(5)),
            section(0x300, None, false, Some(5)),
        ]);
        scene.sender.number_packets(scene.now);
        let packets = scene.publish();
        let numbers: Vec<_> = packets.iter().map(|packet| number(packet)).collect();
        assert_eq!(numbers, [None, None, Some(0)]);
        // A numbered packet would come again with another number under the same SRTP index, so it never does.
        let requested: Vec<u16> = packets.iter().map(|packet| sequence(packet)).collect();
        let again = scene.nack(&requested);
        assert_eq!(again.len(), 2);
        assert_eq!(again[1], packets[1]);
    }

    #[test]
    fn a_subscription_stays_small() {
        println!(
            "{} bytes, of which the rewriter has {}",
            size_of::<Subscription>(),
            size_of::<Rewriter>()
        );
        assert!(size_of::<Subscription>() <= 1_536);
    }
}
