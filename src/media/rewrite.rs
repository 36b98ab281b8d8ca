//! Keeps one subscriber's stream continuous over changes of its source: another simulcast layer, a publisher that
//! restarted, a pause. Sequence numbers have no holes, timestamps go on at the pace of real time, and VP8's picture
//! numbers go up by one.
//!
//! Between two changes the mapping from source to copy is a constant offset, so a subscriber's NACK is traced back by
//! arithmetic: nothing is stored per packet.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::codec::vp8;
use super::rtp::sequence_distance;

/// Tells streams apart whose sequence numbers have nothing to do with one another. Never reused, on any worker; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(pub u64);

/// Stretches with different offsets that are remembered, to answer NACKs for packets sent before a change. Layer
/// changes need a key frame each, which come at most twice a second; a NACK older than four seconds helps nobody.
const SEGMENTS: usize = 8;

/// The most packets of a source that the copy may lack at once: as many as a receiver of RTP takes for loss
/// (RFC 3550 A.1 MAX_DROPOUT).
const MAX_SKIP: i64 = 3_000;

/// A stretch of the copy that came from one source.
#[derive(Clone, Copy, Debug)]
struct Segment {
    source: SourceId,
    layer: u8,
    /// Extended sequence number of its first packet in the copy; older source packets belong to no segment.
    first: u64,
    /// What to add to a source's extended sequence number (modulo 2^64).
    sequence_offset: u64,
    timestamp_offset: u32,
    picture_id_offset: u16,
    tl0_offset: u8,
}

/// Numbers of one packet in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Extended; the low 16 bits go into the header, all of it into SRTP's index.
    pub sequence: u64,
    pub timestamp: u32,
    pub picture_id: u16,
    pub tl0_pic_idx: u8,
}

/// A packet of the copy traced back to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub source: SourceId,
    pub layer: u8,
    pub sequence: u16,
    segment: usize,
    extended: u64,
}

/// What a source packet says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    pub source: SourceId,
    pub layer: u8,
    /// Counted on over the turns of the source's sequence numbers.
    pub sequence: u64,
    pub timestamp: u32,
    pub vp8: Option<&'a vp8::Descriptor>,
}

#[derive(Debug)]
pub struct Rewriter {
    clock_rate: u32,
    segments: SmallVec<[Segment; 2]>,
    /// Highest of the copy so far.
    highest: u64,
    /// The source now forwarded; the last segment is its.
    source: Option<SourceId>,
    /// Highest of the present source so far.
    source_highest: u64,
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
            segments: SmallVec::new(),
            // One period up, so that offsets of packets that came late never go below zero.
            highest: u64::from(first_sequence & 0x7fff).wrapping_sub(1),
            source: None,
            source_highest: 0,
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

    /// Whether `sequence` of `source` goes on where the copy is. A source that went on without this copy for long (it
    /// had no path, or no codec for it) is to be taken up anew: over a step of more than half the sequence numbers
    /// the subscriber could not follow.
    pub fn follows(&mut self, source: SourceId, sequence: u64) -> bool {
        let ahead = sequence.wrapping_sub(self.source_highest) as i64;
        if self.source == Some(source) && ahead > MAX_SKIP {
            self.source = None;
        }
        self.source == Some(source)
    }

    /// The copy pauses: its next packet takes up a source anew.
    pub fn pause(&mut self) {
        self.source = None;
    }

    /// What is added to the present source's timestamps.
    pub fn timestamp_offset(&self) -> Option<u32> {
        self.segments.last().map(|segment| segment.timestamp_offset)
    }

    pub fn highest_sequence(&self) -> u64 {
        self.highest
    }

    /// Numbers for the copy of a packet. `None` if it is older than the point where its source was taken up.
    pub fn forward(&mut self, now: Instant, packet: &Incoming<'_>) -> Option<Rewritten> {
        if !self.follows(packet.source, packet.sequence) {
            self.take_up(now, packet);
        }
        let segment = *self.segments.last()?;
        let sequence = packet.sequence.wrapping_add(segment.sequence_offset);
        // Before the first of the segment, in modular arithmetic.
        if sequence.wrapping_sub(segment.first) > u64::MAX / 2 {
            return None;
        }
        let rewritten = segment.apply(sequence, packet.timestamp, packet.vp8);
        if packet.sequence > self.source_highest || sequence == segment.first {
            self.source_highest = packet.sequence;
            self.highest = sequence;
            self.last_timestamp = rewritten.timestamp;
            self.last_picture_id = rewritten.picture_id;
            self.last_tl0 = rewritten.tl0_pic_idx;
            self.last_at = Some(now);
        }
        Some(rewritten)
    }

    fn take_up(&mut self, now: Instant, packet: &Incoming<'_>) {
        let first = self.highest.wrapping_add(1);
        self.source = Some(packet.source);
        self.source_highest = packet.sequence;
        let timestamp = match self.last_at {
            None => packet.timestamp,
            Some(last) => {
                let elapsed = now.saturating_duration_since(last).max(MIN_STEP);
                self.last_timestamp.wrapping_add(ticks(elapsed, self.clock_rate))
            }
        };
        let picture_id = packet.vp8.and_then(|vp8| vp8.picture_id).map_or(0, |id| id.value);
        let tl0 = packet.vp8.and_then(|vp8| vp8.tl0_pic_idx).map_or(0, |(_, value)| value);
        let fresh = self.last_at.is_none();
        let segment = Segment {
            source: packet.source,
            layer: packet.layer,
            first,
            sequence_offset: first.wrapping_sub(self.source_highest),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
            picture_id_offset: if fresh {
                0
            } else {
                self.last_picture_id.wrapping_add(1).wrapping_sub(picture_id)
            },
            tl0_offset: if fresh {
                0
            } else {
                self.last_tl0.wrapping_add(1).wrapping_sub(tl0)
            },
        };
        if self.segments.len() == SEGMENTS {
            self.segments.remove(0);
        }
        self.segments.push(segment);
    }

    /// Where a packet of the copy came from. `None` if it was never sent or is too long ago.
    pub fn origin(&self, sequence: u16) -> Option<Origin> {
        let behind = sequence_distance(self.highest as u16, sequence);
        let extended = self.highest.wrapping_sub(u64::try_from(behind).ok()?);
        let segment = self
            .segments
            .iter()
            .rposition(|segment| extended.wrapping_sub(segment.first) <= u64::MAX / 2)?;
        let found = &self.segments[segment];
        let sequence = extended.wrapping_sub(found.sequence_offset) as u16;
        Some(Origin {
            source: found.source,
            layer: found.layer,
            sequence,
            segment,
            extended,
        })
    }

    /// The same numbers that [`Rewriter::forward`] gave the packet at the first time.
    pub fn again(&self, origin: &Origin, timestamp: u32, vp8: Option<&vp8::Descriptor>) -> Option<Rewritten> {
        Some(
            self.segments
                .get(origin.segment)?
                .apply(origin.extended, timestamp, vp8),
        )
    }
}

/// Two frames are never closer than this after a change of source: a step of zero would merge them into one.
const MIN_STEP: Duration = Duration::from_millis(10);

impl Segment {
    fn apply(&self, sequence: u64, timestamp: u32, vp8: Option<&vp8::Descriptor>) -> Rewritten {
        let picture_id = vp8.and_then(|vp8| vp8.picture_id).map_or(0, |id| id.value);
        let tl0 = vp8.and_then(|vp8| vp8.tl0_pic_idx).map_or(0, |(_, value)| value);
        Rewritten {
            sequence,
            timestamp: timestamp.wrapping_add(self.timestamp_offset),
            picture_id: picture_id.wrapping_add(self.picture_id_offset) & 0x7fff,
            tl0_pic_idx: tl0.wrapping_add(self.tl0_offset),
        }
    }
}

/// RTP timestamp units in a length of time.
pub fn ticks(elapsed: Duration, clock_rate: u32) -> u32 {
    (elapsed.as_micros() as u64)
        .wrapping_mul(u64::from(clock_rate))
        .wrapping_div(1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn packet(source: u64, sequence: u64, timestamp: u32) -> Incoming<'static> {
        Incoming {
            source: SourceId(source),
            layer: source as u8,
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
                &Incoming {
                    vp8: Some(&a),
                    ..packet(1, 1, 0)
                },
            )
            .unwrap();
        let second = rewriter
            .forward(
                now,
                &Incoming {
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
            assert_eq!(
                (origin.source, origin.sequence),
                (incoming.source, incoming.sequence as u16)
            );
            assert_eq!(rewriter.again(&origin, incoming.timestamp, None), Some(rewritten));
        }
        assert_eq!(rewriter.origin(0x7ffd), None);
        assert_eq!(rewriter.origin(rewriter.highest_sequence() as u16 + 1), None);
    }
}
