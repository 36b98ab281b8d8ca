//! The way between a worker and whoever else has a part in its rooms: another worker, a player, a recorder. One end asks for a
//! room, the other end announces its tracks there and passes their packets on. Each direction has a bounded queue of messages
//! and one of packets' bytes, each with one writer and one reader (`rtrb`): nobody waits, nothing is locked, nothing is
//! allocated for a packet.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rtrb::{Consumer, Producer, RingBuffer};
use smallvec::SmallVec;

use super::clock::SenderClock;
use super::extension_ids::ExtensionIds;
use super::flags::Flag;
use super::names::TrackRef;
use super::packet::BatchPacket;
use super::rewrite::SourceId;
use super::session::NegotiatedCodec;
use super::steering::Wish;
use crate::ids::{ParticipantId, PeerId, RoomId, TrackId};

/// Bytes of packets on their way: 60 ms of a hundred 2.5 Mb/s videos, longer than a worker that keeps up is ever busy with one
/// batch. More would only add delay. Memory that is never written is never taken.
const BYTES: usize = 2 * 1024 * 1024;

/// Messages on their way: enough to fill the bytes with packets that are a third as large as a video packet.
const MESSAGES: usize = 4_096;

/// Places that packets leave free, so that a queue full of packets does not hold up the messages about their tracks.
const RESERVED: usize = 256;

/// Bytes and messages on their way in a link for one stream of sound: five seconds of it in packets of 20 ms, and 0.6 s in the
/// shortest packets, of 2.5 ms.
const NARROW_BYTES: usize = 64 * 1024;
const NARROW_MESSAGES: usize = 512;

/// Who is at the other end of a worker's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Far {
    /// Another worker, by its place among the workers.
    Worker(usize),
    /// Somebody who feeds a room with tracks of their own, as a client's connection does.
    Player { peer: PeerId, room: RoomId },
    /// Somebody who asks for rooms, and publishes nothing. Each worker announces only the tracks that are published on it, so a
    /// recorder has a link with every worker that serves the room.
    Recorder,
}

/// What one end of a link sends to the other.
#[derive(Debug)]
pub enum LinkMessage {
    /// Announce all tracks of this room that are published at your end, now and later, and pass their packets on. (A player has
    /// announced its track before; it may begin now.)
    Mirror(RoomId),
    /// The end of [`LinkMessage::Mirror`].
    Release(RoomId),
    /// Somebody at this end waits for a key frame.
    KeyFrame { track: TrackId, layer: u8 },
    /// What the viewers at this end want of a video. An end that never says it wants everything.
    Wish { track: TrackId, wish: Wish },
    /// The greatest share of packets, in 1/256, that those at this end lose who listen to a track of sound, and get no earlier sound
    /// with it.
    Loss { track: TrackId, lost_256: u8 },
    /// Somebody who publishes at this end has begun to speak.
    Spoke {
        room: RoomId,
        participant: ParticipantId,
        at: Instant,
    },
    /// A track as it is from now on.
    Track(Box<TrackNotice>),
    /// The track has ended.
    Removed(TrackId),
    /// The publisher's sender report.
    Clock {
        track: TrackId,
        layer: u8,
        source: SourceId,
        clock: SenderClock,
    },
    /// An unprotected packet; its bytes are in the other queue. Start and end are offsets in the buffer of the end that holds
    /// the message.
    Packet { track: TrackId, arrival: BatchPacket },
}

/// A track, as far as the end that mirrors it needs to know it.
#[derive(Clone, Debug)]
pub struct TrackNotice {
    pub id: TrackId,
    pub room: RoomId,
    pub name: TrackRef,
    /// Connection that publishes the track. If several tracks have one name, that of the newest connection counts.
    pub publisher: PeerId,
    /// Whether its publisher is not heard any more, so that nobody will ask for its packets again.
    pub suspended: bool,
    pub codecs: SmallVec<[NegotiatedCodec; 8]>,
    pub extensions: ExtensionIds,
    pub layers: SmallVec<[LayerNotice; 1]>,
}

/// What is known of a layer, so that the first choice at the other end is as good as at this one.
#[derive(Clone, Copy, Debug)]
pub struct LayerNotice {
    pub source: SourceId,
    pub(crate) bitrate_bps: u64,
    pub(crate) last_packet: Option<Instant>,
    pub payload_type: Option<u8>,
    pub clock: Option<SenderClock>,
}

/// One end of a link. Dropping it ends the link.
pub struct LinkEnd {
    outgoing: Producer<LinkMessage>,
    outgoing_bytes: Producer<u8>,
    incoming: Consumer<LinkMessage>,
    incoming_bytes: Consumer<u8>,
    /// Whether the queue was full. Then packets are dropped until half of it is free: one gap in a stream costs a key frame,
    /// and many small gaps cost no less.
    congested: bool,
    /// The flag that the other end wants raised for it.
    bell: Bell,
    /// Place for the flag of this end, if it uses one.
    own: Arc<OnceLock<Flag>>,
}

/// The other end's flag, if it has put one there. Raised at last when this end is dropped: this is its last field but one, so
/// the queues are dropped before.
struct Bell(Arc<OnceLock<Flag>>);

impl Bell {
    fn ring(&self) {
        // This fence and that of `LinkEnd::put_flag` belong together: either this finds the flag, or whoever puts the flag finds
        // what was sent before.
        fence(Ordering::SeqCst);
        if let Some(flag) = self.0.get() {
            flag.raise();
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ring();
    }
}

/// Both ends of a new link, large enough for all packets that a worker passes on.
pub fn pair() -> (LinkEnd, LinkEnd) {
    pair_of(MESSAGES, BYTES)
}

/// Both ends of a new link for one stream of sound, of which there may be many.
pub fn narrow_pair() -> (LinkEnd, LinkEnd) {
    pair_of(NARROW_MESSAGES, NARROW_BYTES)
}

fn pair_of(messages: usize, bytes: usize) -> (LinkEnd, LinkEnd) {
    let (there, here_in) = RingBuffer::new(messages);
    let (there_bytes, here_in_bytes) = RingBuffer::new(bytes);
    let (back, there_in) = RingBuffer::new(messages);
    let (back_bytes, there_in_bytes) = RingBuffer::new(bytes);
    let flags = [Arc::default(), Arc::default()];
    let end = |(outgoing, outgoing_bytes), (incoming, incoming_bytes), at: usize| LinkEnd {
        outgoing,
        outgoing_bytes,
        incoming,
        incoming_bytes,
        congested: false,
        bell: Bell(Arc::clone(&flags[1 - at])),
        own: Arc::clone(&flags[at]),
    };
    (
        end((there, there_bytes), (there_in, there_in_bytes), 0),
        end((back, back_bytes), (here_in, here_in_bytes), 1),
    )
}

impl LinkEnd {
    /// Sends a message. False if there is no room: then nothing was sent.
    pub fn send(&mut self, message: LinkMessage) -> bool {
        let is_sent = self.outgoing.push(message).is_ok();
        self.raise();
        is_sent
    }

    /// Raises the flag of the other end. Call it after packets, once for all that go together.
    pub(crate) fn raise(&self) {
        self.bell.ring();
    }

    /// Lets the other end raise this flag when it has sent something, or has been dropped. It is up at first.
    pub(crate) fn put_flag(&self, flag: &Flag) {
        // A second flag would be no use: an end has one owner.
        let _ = self.own.set(flag.clone());
        fence(Ordering::SeqCst);
        flag.raise();
    }

    /// Whether [`LinkEnd::send`] would fail now.
    pub(crate) fn is_full(&self) -> bool {
        self.outgoing.is_full()
    }

    /// Copies a packet into the link. False if there is no room for it. [`LinkEnd::raise`] comes after the last one.
    pub(crate) fn send_packet(&mut self, track: TrackId, arrival: BatchPacket, packet: &[u8]) -> bool {
        if self.congested {
            let is_half_free = self.outgoing.slots() >= self.outgoing.buffer().capacity() / 2
                && self.outgoing_bytes.slots() >= self.outgoing_bytes.buffer().capacity() / 2;
            if !is_half_free {
                return false;
            }
            self.congested = false;
        }
        let has_place = self.outgoing.cached_slots() > RESERVED || self.outgoing.slots() > RESERVED;
        // The bytes go first: a reader that finds the message finds them too.
        if !has_place || self.outgoing_bytes.push_entire_slice(packet).is_err() {
            self.congested = true;
            return false;
        }
        self.outgoing.push(LinkMessage::Packet { track, arrival }).is_ok()
    }

    /// Whether the other end has been dropped, and everything that it sent has been taken.
    pub(crate) fn has_ended(&self) -> bool {
        // Nothing comes once the other end is dropped, so the order of the two questions matters.
        self.incoming.is_abandoned() && self.incoming.is_empty()
    }

    /// Whether a message has come that was not taken yet.
    pub fn has_mail(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// The next message. A packet's bytes are put at the front of `room`. `None` also if they do not fit there: call again with
    /// an empty one.
    pub fn receive(&mut self, room: &mut [u8]) -> Option<LinkMessage> {
        let len = match self.incoming.peek().ok()? {
            LinkMessage::Packet { arrival, .. } => arrival.end - arrival.start,
            _ => 0,
        };
        let room = room.get_mut(..len)?;
        let message = self.incoming.pop().ok()?;
        // Bytes are always there before their message.
        self.incoming_bytes.pop_entire_slice(room).ok()?;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::Codec;
    use crate::media::flags::Flags;
    use crate::media::pictures::EntryPoint;
    use crate::media::rtp::Header;

    fn packet(sequence: u16, len: usize) -> (BatchPacket, Vec<u8>) {
        let mut bytes = vec![0x80, 96];
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.resize(len, sequence as u8);
        let arrival = BatchPacket {
            layer: 0,
            source: SourceId(1),
            start: 700,
            end: 700 + len,
            header: Header::parse(&bytes).unwrap(),
            extended: u64::from(sequence),
            codec: Codec::Vp8,
            entry: EntryPoint::Nobody,
            vp8: None,
            mark: None,
            late: false,
            origin: None,
            padding: 0,
        };
        (arrival, bytes)
    }

    fn send(end: &mut LinkEnd, sequence: u16, len: usize) -> bool {
        let (arrival, bytes) = packet(sequence, len);
        end.send_packet(TrackId(9), arrival, &bytes)
    }

    fn receive(end: &mut LinkEnd) -> Option<(u16, Vec<u8>)> {
        let mut room = [0; 2_000];
        match end.receive(&mut room)? {
            LinkMessage::Packet { track, arrival } => {
                assert_eq!(track, TrackId(9));
                let len = arrival.end - arrival.start;
                Some((arrival.header.sequence, room[..len].to_vec()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// A link has room for thousands of them.
    #[test]
    fn a_message_stays_small() {
        assert!(size_of::<LinkMessage>() <= 192, "{}", size_of::<LinkMessage>());
    }

    #[test]
    fn packets_and_messages_arrive_in_their_order_with_their_bytes() {
        let (mut near, mut far) = pair();
        for round in 0..50_u16 {
            for at in 0..100 {
                let sequence = round * 100 + at;
                assert!(send(&mut near, sequence, 200 + usize::from(sequence % 1_200)));
            }
            assert!(near.send(LinkMessage::Removed(TrackId(u64::from(round)))));
            for at in 0..100 {
                let sequence = round * 100 + at;
                let (_, bytes) = packet(sequence, 200 + usize::from(sequence % 1_200));
                assert_eq!(receive(&mut far), Some((sequence, bytes)));
            }
            assert!(matches!(far.receive(&mut []), Some(LinkMessage::Removed(TrackId(id))) if id == u64::from(round)));
            assert!(!far.has_mail());
        }
    }

    #[test]
    fn a_packet_for_which_there_is_no_room_waits() {
        let (mut near, mut far) = pair();
        assert!(send(&mut near, 1, 500));
        assert!(far.receive(&mut [0; 499]).is_none());
        assert!(far.has_mail());
        assert!(receive(&mut far).is_some());
    }

    #[test]
    fn a_full_link_drops_packets_until_half_of_it_is_free_and_still_takes_messages() {
        for len in [1_200, 60] {
            let (mut near, mut far) = pair();
            let taken = (0..10_000).take_while(|&at| send(&mut near, at, len)).count();
            assert!((1_500..=MESSAGES - RESERVED).contains(&taken), "{taken}");
            assert!(near.send(LinkMessage::Removed(TrackId(1))));
            for _ in 0..taken / 3 {
                assert!(receive(&mut far).is_some());
            }
            assert!(!send(&mut near, 1, len), "a third is free");
            for _ in 0..taken / 3 {
                assert!(receive(&mut far).is_some());
            }
            assert!(send(&mut near, 1, len), "two thirds are free");
        }
    }

    #[test]
    fn a_link_has_ended_when_the_other_end_is_dropped_and_all_that_it_sent_is_taken() {
        let (mut near, mut far) = pair();
        assert!(near.send(LinkMessage::Removed(TrackId(1))));
        assert!(!far.has_ended());
        drop(near);
        assert!(!far.has_ended(), "something is still to be taken");
        assert!(far.receive(&mut []).is_some());
        assert!(far.has_ended());
        assert!(far.send(LinkMessage::Removed(TrackId(1))), "to nobody");
    }

    #[test]
    fn an_end_with_a_flag_is_found_when_something_was_sent_and_when_the_other_end_was_dropped() {
        let flags = Arc::new(Flags::default());
        let (mut near, far) = pair();
        assert!(near.send(LinkMessage::Removed(TrackId(1))), "before there is a flag");
        far.put_flag(&Flag::new(&flags, 7));
        assert_eq!((flags.lower(), flags.lower()), (Some(7), None));
        assert!(send(&mut near, 1, 500));
        assert_eq!(flags.lower(), None, "more packets may follow");
        near.raise();
        assert_eq!(flags.lower(), Some(7));
        assert!(near.send(LinkMessage::Removed(TrackId(1))));
        assert_eq!(flags.lower(), Some(7));
        drop(near);
        assert!(far.incoming.is_abandoned());
        assert_eq!((flags.lower(), flags.lower()), (Some(7), None));
    }

    #[test]
    fn messages_alone_fill_a_link_and_nothing_grows() {
        let (mut near, _far) = pair();
        let taken = (0..)
            .take_while(|&at| near.send(LinkMessage::Removed(TrackId(at))))
            .count();
        assert_eq!(taken, MESSAGES);
        assert!(near.is_full());
    }
}
