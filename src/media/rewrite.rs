//! Keeps one subscriber's stream continuous over changes of its source (another simulcast layer, a publisher that restarted, a
//! pause) and over packets that are left out. Sequence numbers have a hole only where a packet is missing that may still come,
//! timestamps go on at the pace of real time, and VP8's picture numbers go up by one.
//!
//! An *epoch* is a stretch of the copy that came from one source. Its constant offset gives each packet a [place](left_out) in
//! the copy. A packet's number is its place less the number of places before it that were left out. Both are arithmetic, so a
//! late packet finds its number, and a subscriber's NACK finds its packet: only one bit is stored per packet, and that only
//! once something is left out.

#[cfg(test)]
mod against_a_model;
mod left_out;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use self::left_out::{Before, LeftOut};
use super::codec::vp8;
use super::rtp::sequence_distance;

/// Id of a stream whose sequence numbers have nothing to do with those of others. Never reused, on any worker; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(pub u64);

/// Epochs that are remembered, for packets that come late and NACKs for packets sent before a change. Each change of a layer
/// needs a key frame, and these come at most twice a second; a packet that is four seconds late helps nobody.
const EPOCHS: usize = 8;

/// Packets of a source that the copy may lack at once: as many as a receiver of RTP takes for loss (RFC 3550 A.1 MAX_DROPOUT).
const MAX_SKIP: u64 = 3_000;

/// Distance from a number to its place at the beginning: one turn of the sequence numbers, so that the places of late packets
/// never go below zero.
const ONE_TURN: u64 = 1 << 16;

/// A stretch of the copy that came from one source.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    source: SourceId,
    /// Place of its first packet. The epoch ends where the next one begins.
    first: u64,
    /// Number that turns the source's extended sequence number into the place when added (modulo 2^64).
    place_offset: u64,
    timestamp_offset: u32,
    picture_id_offset: u16,
    tl0_offset: u8,
}

/// Numbers of one packet in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// Extended sequence number: the low 16 bits go into the header, all of it into SRTP's index.
    pub sequence: u64,
    pub timestamp: u32,
    pub picture_id: u16,
    pub(crate) tl0_pic_idx: u8,
}

/// A packet of the copy traced back to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourcePlace {
    pub source: SourceId,
    /// Extended sequence number that the source gave it.
    pub sequence: u64,
    epoch: usize,
    place: u64,
}

/// What a packet of a source says about itself.
#[derive(Clone, Copy, Debug)]
pub struct IncomingPacket<'a> {
    pub source: SourceId,
    /// Extended sequence number: counted on over the turns of the source's numbers.
    pub sequence: u64,
    pub timestamp: u32,
    pub vp8: Option<&'a vp8::Descriptor>,
}

#[derive(Debug)]
pub(crate) struct Rewriter {
    clock_rate: u32,
    /// Source now forwarded; the last epoch belongs to it.
    source: Option<SourceId>,
    /// Newest place so far.
    newest: u64,
    epochs: SmallVec<[Epoch; EPOCHS]>,
    left_out: LeftOut,
    /// Picture of the last packet that was left out, by the source's number.
    left_picture: Option<u16>,
    last_timestamp: u32,
    last_picture_id: u16,
    last_tl0: u8,
    last_at: Option<Instant>,
}

impl Rewriter {
    /// `first_sequence` should be random (RFC 3550 §5.1) and below 2^15, so that a receiver that misses the first
    /// packets cannot mistake the roll-over counter.
    pub fn new(clock_rate: u32, first_sequence: u16) -> Rewriter {
        Rewriter {
            clock_rate,
            source: None,
            newest: ONE_TURN + u64::from(first_sequence & 0x7fff) - 1,
            epochs: SmallVec::new(),
            left_out: LeftOut::default(),
            left_picture: None,
            last_timestamp: 0,
            last_picture_id: 0,
            last_tl0: 0,
            last_at: None,
        }
    }

    /// The source now forwarded.
    pub fn source(&self) -> Option<SourceId> {
        self.source
    }

    /// Whether `sequence` of `source` goes on where the copy is. If a source went on without this copy for long (the copy had
    /// no path, or no codec for it), it is to be taken up anew: the subscriber could not follow over a step of more than half
    /// the sequence numbers.
    pub(crate) fn follows(&mut self, source: SourceId, sequence: u64) -> bool {
        if self.source != Some(source) {
            return false;
        }
        let ahead = self
            .epochs
            .last()
            .map_or(0, |epoch| epoch.place(sequence).wrapping_sub(self.newest) as i64);
        if ahead > MAX_SKIP as i64 {
            self.source = None;
        }
        self.source.is_some()
    }

    /// Whether `sequence` of `source` may be a packet that is missing: its place is among others that were sent or left out,
    /// even if the copy has left this source.
    pub(crate) fn may_miss(&self, source: SourceId, sequence: u64) -> bool {
        self.find(source, sequence)
            .is_some_and(|(_, place)| place <= self.newest)
    }

    /// Pauses the copy: its next packet takes up a source anew.
    pub fn pause(&mut self) {
        self.source = None;
    }

    /// Number that is added to the present source's timestamps.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.epochs.last().map(|epoch| epoch.timestamp_offset)
    }

    /// The newest number of the copy.
    pub(crate) fn highest_sequence(&self) -> u64 {
        self.newest
            .wrapping_sub(ONE_TURN)
            .wrapping_sub(self.left_out.all().packets)
    }

    /// Numbers for the copy of a packet. `None` if it is older than the point where its source was taken up, or so old that its
    /// number is not known any more.
    pub fn forward(&mut self, now: Instant, packet: &IncomingPacket<'_>) -> Option<Rewritten> {
        let (epoch, place) = match self.find(packet.source, packet.sequence) {
            Some(found) => found,
            None if self.follows(packet.source, packet.sequence) => return None,
            None => self.take_up(now, packet),
        };
        let rewritten = self.numbers(epoch, place, packet.timestamp, packet.vp8)?;
        if place > self.newest {
            self.newest = place;
            self.last_timestamp = rewritten.timestamp;
            self.last_picture_id = rewritten.picture_id;
            self.last_tl0 = rewritten.tl0_pic_idx;
            self.last_at = Some(now);
        }
        Some(rewritten)
    }

    /// Leaves a packet out. If it is the newest, the next packet gets its number, and a VP8 picture of which nothing was sent
    /// leaves its number to the next picture. If newer packets have their numbers already, no other packet can get this number.
    /// It is returned, so that the packet is sent under it without a payload, and the subscriber does not wait for it.
    pub(crate) fn leave_out(&mut self, packet: &IncomingPacket<'_>) -> Option<Rewritten> {
        let (epoch, place) = self.find(packet.source, packet.sequence)?;
        let rewritten = self.numbers(epoch, place, packet.timestamp, packet.vp8)?;
        if place <= self.newest {
            return Some(rewritten);
        }
        let picture = packet.vp8.and_then(|vp8| vp8.picture_id).map(|id| id.value);
        let another = picture.is_some() && picture != self.left_picture && rewritten.picture_id != self.last_picture_id;
        self.left_out.push(place, another);
        if another {
            self.left_picture = picture;
        }
        self.newest = place;
        None
    }

    fn take_up(&mut self, now: Instant, packet: &IncomingPacket<'_>) -> (usize, u64) {
        let place = self.newest + 1;
        let timestamp = match self.last_at {
            None => packet.timestamp,
            Some(last) => {
                let elapsed = now.saturating_duration_since(last).max(MIN_STEP);
                self.last_timestamp.wrapping_add(ticks(elapsed, self.clock_rate))
            }
        };
        let (picture_id, tl0) = pictures(packet.vp8);
        let fresh = self.last_at.is_none();
        let epoch = Epoch {
            source: packet.source,
            first: place,
            place_offset: place.wrapping_sub(packet.sequence),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
            picture_id_offset: if fresh {
                0
            } else {
                let left_out = self.left_out.all().pictures;
                self.last_picture_id
                    .wrapping_add(1)
                    .wrapping_sub(picture_id)
                    .wrapping_add(left_out)
            },
            tl0_offset: if fresh {
                0
            } else {
                self.last_tl0.wrapping_add(1).wrapping_sub(tl0)
            },
        };
        self.source = Some(packet.source);
        self.left_picture = None;
        if self.epochs.len() == EPOCHS {
            self.epochs.remove(0);
        }
        self.epochs.push(epoch);
        (self.epochs.len() - 1, place)
    }

    /// The epoch and the place of a source's packet, if it has a place: among those that have come, or next after them.
    #[inline]
    fn find(&self, source: SourceId, sequence: u64) -> Option<(usize, u64)> {
        let goes_on = self.source.map_or(0, |_| MAX_SKIP);
        let mut last = self.newest + goes_on;
        for (index, epoch) in self.epochs.iter().enumerate().rev() {
            let place = epoch.place(sequence);
            if epoch.source == source && (epoch.first..=last).contains(&place) {
                return Some((index, place));
            }
            last = epoch.first - 1;
        }
        None
    }

    fn numbers(&self, epoch: usize, place: u64, timestamp: u32, vp8: Option<&vp8::Descriptor>) -> Option<Rewritten> {
        let left_out = self.left_out.before(place)?;
        Some(self.epochs.get(epoch)?.apply(place, left_out, timestamp, vp8))
    }

    /// The source's packet that a packet of the copy came from. `None` if it was never sent, or too long ago.
    pub fn origin(&self, sequence: u16) -> Option<SourcePlace> {
        let highest = self.highest_sequence();
        let behind = sequence_distance(highest as u16, sequence);
        let extended = highest.wrapping_sub(u64::try_from(behind).ok()?);
        let place = self.left_out.place_of(extended.wrapping_add(ONE_TURN))?;
        let epoch = self.epochs.iter().rposition(|epoch| place >= epoch.first)?;
        let found = &self.epochs[epoch];
        Some(SourcePlace {
            source: found.source,
            sequence: place.wrapping_sub(found.place_offset),
            epoch,
            place,
        })
    }

    /// The same numbers that [`Rewriter::forward`] gave the packet the first time.
    pub(crate) fn again(
        &self,
        origin: &SourcePlace,
        timestamp: u32,
        vp8: Option<&vp8::Descriptor>,
    ) -> Option<Rewritten> {
        self.numbers(origin.epoch, origin.place, timestamp, vp8)
    }
}

/// Shortest time between two frames over a change of source: a step of zero would merge them into one.
const MIN_STEP: Duration = Duration::from_millis(10);

impl Epoch {
    /// The place of `sequence` of its source, if that is of this epoch at all.
    fn place(&self, sequence: u64) -> u64 {
        sequence.wrapping_add(self.place_offset)
    }

    fn apply(&self, place: u64, left_out: Before, timestamp: u32, vp8: Option<&vp8::Descriptor>) -> Rewritten {
        let (picture_id, tl0) = pictures(vp8);
        Rewritten {
            sequence: place - ONE_TURN - left_out.packets,
            timestamp: timestamp.wrapping_add(self.timestamp_offset),
            picture_id: picture_id
                .wrapping_add(self.picture_id_offset)
                .wrapping_sub(left_out.pictures)
                & 0x7fff,
            tl0_pic_idx: tl0.wrapping_add(self.tl0_offset),
        }
    }
}

/// Picture id and TL0PICIDX, 0 where there is none.
fn pictures(vp8: Option<&vp8::Descriptor>) -> (u16, u8) {
    let picture_id = vp8.and_then(|vp8| vp8.picture_id).map_or(0, |id| id.value);
    let tl0 = vp8.and_then(|vp8| vp8.tl0_pic_idx).map_or(0, |(_, value)| value);
    (picture_id, tl0)
}

/// RTP timestamp units in a length of time.
pub(crate) fn ticks(elapsed: Duration, clock_rate: u32) -> u32 {
    (elapsed.as_micros() as u64)
        .wrapping_mul(u64::from(clock_rate))
        .wrapping_div(1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn packet(source: u64, sequence: u64, timestamp: u32) -> IncomingPacket<'static> {
        IncomingPacket {
            source: SourceId(source),
            sequence,
            timestamp,
            vp8: None,
        }
    }

    #[test]
    fn sequence_numbers_have_no_holes_over_a_change_of_source() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 100);
        let first: Vec<u64> = [65_534, 65_535, 65_536, 65_537]
            .map(|seq| rewriter.forward(now, &packet(1, seq, 0)).unwrap().sequence)
            .to_vec();
        assert_eq!(first, [100, 101, 102, 103]);
        let second: Vec<u64> = [7, 8, 9]
            .map(|seq| rewriter.forward(now, &packet(2, seq, 0)).unwrap().sequence)
            .to_vec();
        assert_eq!(second, [104, 105, 106]);
    }

    #[test]
    fn a_source_packet_from_before_the_change_is_not_forwarded() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0);
        rewriter.forward(now, &packet(1, 10, 0)).unwrap();
        rewriter.forward(now, &packet(2, 500, 0)).unwrap();
        assert_eq!(rewriter.forward(now, &packet(2, 499, 0)), None);
        assert_eq!(rewriter.forward(now, &packet(2, 501, 0)).unwrap().sequence, 2);
    }

    #[test]
    fn a_source_that_went_on_alone_is_taken_up_anew_and_no_number_is_used_twice() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0);
        for sequence in 0..40_000 {
            rewriter.forward(now, &packet(1, sequence, 0)).unwrap();
        }
        assert!(rewriter.follows(SourceId(1), 39_999 + 3_000));
        // Modulo 2^16 these are behind.
        assert!(!rewriter.follows(SourceId(1), 39_999 + 40_000));
        assert_eq!(rewriter.source(), None);
        let next = rewriter.forward(now, &packet(1, 39_999 + 40_000, 0)).unwrap();
        assert_eq!(next.sequence, 40_000);
    }

    #[test]
    fn reordered_packets_keep_their_places_and_holes_stay_holes() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 1_000);
        let order = [1, 4, 2, 3, 6].map(|seq| rewriter.forward(now, &packet(1, seq, 0)).unwrap().sequence);
        assert_eq!(order, [1_000, 1_003, 1_001, 1_002, 1_005]);
    }

    #[test]
    fn timestamps_go_on_at_the_pace_of_real_time_over_a_pause_and_a_reepoch() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0);
        let before = rewriter.forward(now, &packet(1, 1, 1_000_000)).unwrap().timestamp;
        let later = now + Duration::from_secs(2);
        let after = rewriter.forward(later, &packet(2, 9, 5)).unwrap().timestamp;
        assert_eq!(after.wrapping_sub(before), 180_000);
        let next = rewriter.forward(later, &packet(2, 10, 3_005)).unwrap().timestamp;
        assert_eq!(next.wrapping_sub(after), 3_000);
    }

    #[test]
    fn picture_numbers_go_up_by_one_over_a_change_of_layer() {
        let now = epoch();
        let descriptor = |value, tl0| vp8::Descriptor {
            picture_id: Some(vp8::PictureId {
                offset: 2,
                long: true,
                value,
            }),
            tl0_pic_idx: Some((4, tl0)),
            ..vp8::Descriptor::default()
        };
        let mut rewriter = Rewriter::new(90_000, 0);
        let (a, b) = (descriptor(0x7fff, 255), descriptor(77, 3));
        let first = rewriter
            .forward(
                now,
                &IncomingPacket {
                    vp8: Some(&a),
                    ..packet(1, 1, 0)
                },
            )
            .unwrap();
        let second = rewriter
            .forward(
                now,
                &IncomingPacket {
                    vp8: Some(&b),
                    ..packet(2, 1, 0)
                },
            )
            .unwrap();
        assert_eq!((first.picture_id, first.tl0_pic_idx), (0x7fff, 255));
        assert_eq!((second.picture_id, second.tl0_pic_idx), (0, 0));
    }

    #[test]
    fn a_nack_is_traced_back_to_the_source_and_gives_the_same_numbers_again() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0x7ffe);
        let mut sent = Vec::new();
        for source in 1..4_u64 {
            for sequence in 65_530..65_540_u32 {
                let incoming = packet(source, u64::from(sequence), sequence * 3_000);
                sent.push((incoming, rewriter.forward(now, &incoming).unwrap()));
            }
        }
        for (incoming, rewritten) in sent {
            let origin = rewriter.origin(rewritten.sequence as u16).unwrap();
            assert_eq!((origin.source, origin.sequence), (incoming.source, incoming.sequence));
            assert_eq!(rewriter.again(&origin, incoming.timestamp, None), Some(rewritten));
        }
        assert_eq!(rewriter.origin(0x7ffd), None);
        assert_eq!(rewriter.origin(rewriter.highest_sequence() as u16 + 1), None);
    }
}
