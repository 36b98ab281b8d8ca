//! The way between two workers that serve one room: what a room's home tells a worker that mirrors it, packets included,
//! and what the mirror asks back. In both directions a bounded queue of messages and one of packets' bytes, each with one
//! writer and one reader (`rtrb`): nobody waits, nothing is locked, nothing is allocated for a packet.

use std::time::Instant;

use rtrb::{Consumer, Producer, RingBuffer};
use smallvec::SmallVec;

use super::clock::SenderClock;
use super::extension_ids::ExtensionIds;
use super::names::TrackRef;
use super::packet::Arrival;
use super::rewrite::SourceId;
use super::session::NegotiatedCodec;
use crate::ids::{RoomId, TrackId};

/// Bytes of packets on their way: 60 ms of a hundred 2.5 Mb/s videos, longer than a worker that keeps up is ever busy with
/// one batch. More would only be delay. Memory that is never written is never taken.
const BYTES: usize = 2 * 1024 * 1024;

/// Messages on their way: as many packets as the bytes hold where they are a third of a video packet's size.
const MESSAGES: usize = 4_096;

/// Places that packets leave free, so that a queue full of them does not hold up what there is to be said of them.
const RESERVED: usize = 256;

/// What one worker tells another.
#[derive(Debug)]
pub enum Message {
    /// From a mirror: subscribers of this room live here. Tell of all its tracks, and pass their packets on.
    Mirror(RoomId),
    /// From a mirror: the last of them has left.
    Release(RoomId),
    /// From a mirror: somebody here waits for a key frame.
    KeyFrame { track: TrackId, layer: u8 },
    /// From the home: a track as it is from now on.
    Track(Box<TrackNotice>),
    /// From the home: the track has ended.
    Gone(TrackId),
    /// From the home: the publisher's sender report.
    Clock {
        track: TrackId,
        layer: u8,
        source: SourceId,
        clock: SenderClock,
    },
    /// From the home: a packet, unprotected; its bytes are in the other queue. Start and end are what they are in the
    /// buffer of whoever holds the message.
    Packet { track: TrackId, arrival: Arrival },
}

/// A track as a mirror needs to know it.
#[derive(Clone, Debug)]
pub struct TrackNotice {
    pub id: TrackId,
    pub room: RoomId,
    pub name: TrackRef,
    /// Whether its publisher is not heard any more, so that nobody will ask for its packets again.
    pub suspended: bool,
    pub codecs: SmallVec<[NegotiatedCodec; 8]>,
    pub extensions: ExtensionIds,
    pub layers: SmallVec<[LayerNotice; 1]>,
}

/// What is known of a layer: so that the mirror's first choice is as good as its home's.
#[derive(Clone, Copy, Debug)]
pub struct LayerNotice {
    pub source: SourceId,
    pub bitrate_bps: u64,
    pub last_packet: Option<Instant>,
    pub payload_type: Option<u8>,
    pub clock: Option<SenderClock>,
}

/// One worker's end of a link.
pub struct LinkEnd {
    outgoing: Producer<Message>,
    outgoing_bytes: Producer<u8>,
    incoming: Consumer<Message>,
    incoming_bytes: Consumer<u8>,
    /// The queue was full, and packets are dropped until half of it is free: one gap in a stream costs a key frame, and many
    /// small gaps cost no less.
    congested: bool,
}

/// Both ends of a new link.
pub fn pair() -> (LinkEnd, LinkEnd) {
    let (there, here_in) = RingBuffer::new(MESSAGES);
    let (there_bytes, here_in_bytes) = RingBuffer::new(BYTES);
    let (back, there_in) = RingBuffer::new(MESSAGES);
    let (back_bytes, there_in_bytes) = RingBuffer::new(BYTES);
    let end = |outgoing, outgoing_bytes, incoming, incoming_bytes| LinkEnd {
        outgoing,
        outgoing_bytes,
        incoming,
        incoming_bytes,
        congested: false,
    };
    (
        end(there, there_bytes, there_in, there_in_bytes),
        end(back, back_bytes, here_in, here_in_bytes),
    )
}

impl LinkEnd {
    /// False if there is no room: nothing was sent.
    pub fn send(&mut self, message: Message) -> bool {
        self.outgoing.push(message).is_ok()
    }

    /// Whether [`LinkEnd::send`] would fail now.
    pub fn is_full(&self) -> bool {
        self.outgoing.is_full()
    }

    /// Copies a packet into the link. False if there is no room for it.
    pub fn send_packet(&mut self, track: TrackId, arrival: Arrival, packet: &[u8]) -> bool {
        if self.congested {
            if self.outgoing.slots() < MESSAGES / 2 || self.outgoing_bytes.slots() < BYTES / 2 {
                return false;
            }
            self.congested = false;
        }
        let has_place = self.outgoing.cached_slots() > RESERVED || self.outgoing.slots() > RESERVED;
        // The bytes first: whoever finds the message finds them too.
        if !has_place || self.outgoing_bytes.push_entire_slice(packet).is_err() {
            self.congested = true;
            return false;
        }
        self.outgoing.push(Message::Packet { track, arrival }).is_ok()
    }

    /// Whether anything has come that was not yet taken.
    pub fn has_mail(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// The next message. A packet's bytes are put at the front of `room`; `None` also where they do not fit there: come back
    /// with an empty one.
    pub fn receive(&mut self, room: &mut [u8]) -> Option<Message> {
        let len = match self.incoming.peek().ok()? {
            Message::Packet { arrival, .. } => arrival.end - arrival.start,
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
    use crate::media::pictures::Entry;
    use crate::media::rtp::Header;

    fn packet(sequence: u16, len: usize) -> (Arrival, Vec<u8>) {
        let mut bytes = vec![0x80, 96];
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.resize(len, sequence as u8);
        let arrival = Arrival {
            layer: 0,
            source: SourceId(1),
            start: 700,
            end: 700 + len,
            header: Header::parse(&bytes).unwrap(),
            extended: u64::from(sequence),
            codec: Codec::Vp8,
            entry: Entry::Nobody,
            vp8: None,
            late: false,
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
            Message::Packet { track, arrival } => {
                assert_eq!(track, TrackId(9));
                let len = arrival.end - arrival.start;
                Some((arrival.header.sequence, room[..len].to_vec()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn packets_and_messages_arrive_in_their_order_with_their_bytes() {
        let (mut home, mut mirror) = pair();
        for round in 0..50_u16 {
            for at in 0..100 {
                let sequence = round * 100 + at;
                assert!(send(&mut home, sequence, 200 + usize::from(sequence % 1_200)));
            }
            assert!(home.send(Message::Gone(TrackId(u64::from(round)))));
            for at in 0..100 {
                let sequence = round * 100 + at;
                let (_, bytes) = packet(sequence, 200 + usize::from(sequence % 1_200));
                assert_eq!(receive(&mut mirror), Some((sequence, bytes)));
            }
            assert!(matches!(mirror.receive(&mut []), Some(Message::Gone(TrackId(id))) if id == u64::from(round)));
            assert!(!mirror.has_mail());
        }
    }

    #[test]
    fn a_packet_for_which_there_is_no_room_waits() {
        let (mut home, mut mirror) = pair();
        assert!(send(&mut home, 1, 500));
        assert!(mirror.receive(&mut [0; 499]).is_none());
        assert!(mirror.has_mail());
        assert!(receive(&mut mirror).is_some());
    }

    #[test]
    fn a_full_link_drops_packets_until_half_of_it_is_free_and_still_takes_messages() {
        for len in [1_200, 60] {
            let (mut home, mut mirror) = pair();
            let taken = (0..10_000).take_while(|&at| send(&mut home, at, len)).count();
            assert!((1_500..=MESSAGES - RESERVED).contains(&taken), "{taken}");
            assert!(home.send(Message::Gone(TrackId(1))));
            for _ in 0..taken / 3 {
                assert!(receive(&mut mirror).is_some());
            }
            assert!(!send(&mut home, 1, len), "a third is free");
            for _ in 0..taken / 3 {
                assert!(receive(&mut mirror).is_some());
            }
            assert!(send(&mut home, 1, len), "two thirds are free");
        }
    }

    #[test]
    fn messages_alone_fill_a_link_and_nothing_grows() {
        let (mut home, _mirror) = pair();
        let taken = (0..).take_while(|&at| home.send(Message::Gone(TrackId(at)))).count();
        assert_eq!(taken, MESSAGES);
        assert!(home.is_full());
    }
}
