//! One track at a subscriber: every packet is counted by its clear header; some are opened and compared. Pure.

use std::time::Instant;

use super::pattern::Mark;
use crate::media::rtcp::Block;

/// Packets that may be late without counting as duplicates: two seconds of video at 2.5 Mb/s.
const WINDOW: u64 = 1_024;

/// The source of a stream, and the relation of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    source: u32,
    /// The stream's extended sequence number minus the source's own number.
    offset: u64,
}

/// The counts since the last [`Reception::begin`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets that were sent since then, each counted once. `bytes` are theirs on the wire, without UDP and IP.
    pub delivered: u64,
    pub bytes: u64,
    pub(crate) duplicates: u64,
    /// Packets that came after one with a higher number.
    pub(crate) reordered: u64,
    /// Packets that were not authentic, or not as their source had sent them.
    pub(crate) corrupt: u64,
    pub compared: u64,
    /// Numbers that were skipped and did not come later.
    pub(crate) gaps: u64,
}

pub(crate) struct Reception {
    pub ssrc: u32,
    pub counts: Counts,
    pub(crate) last_at: Instant,
    origin: Option<Origin>,
    /// Highest extended sequence number.
    highest: u64,
    /// Bits of the newest numbers. Bit n: `highest - n` has come.
    seen: [u64; (WINDOW / 64) as usize],
}

impl Reception {
    pub fn new(now: Instant, ssrc: u32, sequence: u16) -> Reception {
        // The numbers begin one turn up, so that packets before the first have numbers, too. All of those count as seen:
        // they are not missed.
        Reception {
            ssrc,
            counts: Counts::default(),
            last_at: now,
            origin: None,
            highest: (1 << 16) + u64::from(sequence) - 1,
            seen: [u64::MAX; (WINDOW / 64) as usize],
        }
    }

    /// Sets the counts to zero; the knowledge of the stream stays.
    pub fn begin(&mut self) {
        self.counts = Counts::default();
    }

    pub fn source(&self) -> Option<u32> {
        self.origin.map(|origin| origin.source)
    }

    /// The source of a packet, and its number there, where that is known.
    pub fn number(&self, extended: u64) -> Option<(u32, u64)> {
        self.origin
            .map(|origin| (origin.source, extended.wrapping_sub(origin.offset)))
    }

    /// The report block about this stream.
    pub(crate) fn block(&self) -> Block {
        Block {
            ssrc: self.ssrc,
            extended_highest_sequence: self.highest as u32,
            ..Block::default()
        }
    }

    /// Counts a packet by its header. Returns its extended sequence number; `None` for a duplicate.
    pub fn received(&mut self, now: Instant, sequence: u16) -> Option<u64> {
        let before = self.highest;
        let Some(extended) = self.place(now, sequence) else {
            self.counts.duplicates += 1;
            return None;
        };
        self.counts.reordered += u64::from(extended <= before);
        Some(extended)
    }

    /// Counts a packet that was sent once more: it is neither late nor a duplicate. Returns its extended sequence number;
    /// `None` if it was there already.
    pub(crate) fn received_again(&mut self, now: Instant, sequence: u16) -> Option<u64> {
        self.place(now, sequence)
    }

    /// Whether no packet has a higher number.
    pub(crate) fn is_newest(&self, extended: u64) -> bool {
        extended == self.highest
    }

    /// The highest extended sequence number.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    fn place(&mut self, now: Instant, sequence: u16) -> Option<u64> {
        self.last_at = now;
        let ahead = sequence.wrapping_sub(self.highest as u16) as i16;
        let extended = self.highest.wrapping_add(ahead as u64);
        if ahead > 0 {
            self.shift(ahead as u64);
            self.highest = extended;
            self.counts.gaps += ahead as u64 - 1;
        } else {
            let behind = u64::from(ahead.unsigned_abs());
            // A packet older than the window cannot be distinguished from a duplicate, and is as useless.
            if behind >= WINDOW || self.is_seen(behind) {
                return None;
            }
            self.counts.gaps = self.counts.gaps.saturating_sub(1);
        }
        self.mark(self.highest - extended);
        Some(extended)
    }

    /// Counts a packet that the server made itself: later numbers belong to packets with numbers smaller by one.
    pub(crate) fn filled(&mut self) {
        if let Some(origin) = &mut self.origin {
            origin.offset = origin.offset.wrapping_add(1);
        }
    }

    /// Counts a packet that was sent since the counting began.
    pub fn deliver(&mut self, bytes: usize) {
        self.counts.delivered += 1;
        self.counts.bytes += bytes as u64;
    }

    /// Records the mark of an opened packet. False if it is not what the header led to expect.
    pub(crate) fn opened(&mut self, extended: u64, mark: &Mark) -> bool {
        let now = Origin {
            source: mark.source,
            offset: extended.wrapping_sub(mark.number),
        };
        // A stream may go on from another source (a simulcast layer). Within one source the offset must stay.
        let expected = self
            .origin
            .is_none_or(|before| before.source != now.source || before.offset == now.offset);
        self.origin = Some(now);
        expected
    }

    /// The same of the newest packet of a stream of which the server may leave packets out: later numbers then close up.
    pub(crate) fn opened_of_some(&mut self, extended: u64, mark: &Mark) -> bool {
        let before = self.origin;
        let expected = self.opened(extended, mark);
        let left_out = |(before, now): (Origin, Origin)| (before.offset.wrapping_sub(now.offset) as i64) > 0;
        expected || before.zip(self.origin).is_some_and(left_out)
    }

    fn shift(&mut self, by: u64) {
        if by >= WINDOW {
            self.seen = [0; (WINDOW / 64) as usize];
            return;
        }
        let (words, bits) = ((by / 64) as usize, by % 64);
        for at in (0..self.seen.len()).rev() {
            let word = |at: Option<usize>| at.map_or(0, |at| self.seen[at]);
            let low = word(at.checked_sub(words));
            let high = word(at.checked_sub(words + 1));
            self.seen[at] = if bits == 0 {
                low
            } else {
                low << bits | high >> (64 - bits)
            };
        }
    }

    fn is_seen(&self, behind: u64) -> bool {
        self.seen[(behind / 64) as usize] & 1 << (behind % 64) != 0
    }

    fn mark(&mut self, behind: u64) {
        self.seen[(behind / 64) as usize] |= 1 << (behind % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn receive(sequences: &[u16]) -> Reception {
        let mut reception = Reception::new(epoch(), 1, sequences[0]);
        for &sequence in sequences {
            if reception.received(epoch(), sequence).is_some() {
                reception.deliver(100);
            }
        }
        reception
    }

    #[test]
    fn order_loss_and_duplicates_are_told_apart() {
        let counts = receive(&[10, 11, 12, 13]).counts;
        assert_eq!(
            (counts.delivered, counts.gaps, counts.reordered, counts.duplicates),
            (4, 0, 0, 0)
        );
        let counts = receive(&[10, 12, 13]).counts;
        assert_eq!((counts.delivered, counts.gaps), (3, 1));
        let counts = receive(&[10, 12, 11, 13]).counts;
        assert_eq!((counts.delivered, counts.gaps, counts.reordered), (4, 0, 1));
        let counts = receive(&[10, 11, 11, 10]).counts;
        assert_eq!((counts.delivered, counts.duplicates, counts.reordered), (2, 2, 0));
    }

    #[test]
    fn numbers_turn_over_and_far_reorderings_are_found() {
        let mut order: Vec<u16> = (65_000..=65_535).chain(0..800).collect();
        let late = order.remove(400);
        order.push(late);
        let counts = receive(&order).counts;
        assert_eq!((counts.delivered, counts.gaps, counts.reordered), (1_336, 0, 1));
        order.push(late);
        assert_eq!(receive(&order).counts.duplicates, 1);
    }

    #[test]
    fn every_number_of_a_long_stream_is_remembered_once() {
        let mut reception = receive(&[0]);
        for sequence in (1..3_000).filter(|n| n % 7 != 0) {
            assert!(reception.received(epoch(), sequence).is_some());
        }
        let missed = (2_100..2_990).filter(|n| n % 7 == 0);
        for sequence in missed.clone() {
            assert!(reception.received(epoch(), sequence).is_some(), "{sequence}");
            assert!(reception.received(epoch(), sequence).is_none());
        }
        assert_eq!(reception.counts.reordered, missed.count() as u64);
    }

    #[test]
    fn a_number_that_the_server_filled_in_moves_the_others() {
        let mut reception = receive(&[10]);
        let mark = Mark {
            source: 1,
            number: 40,
            sent_us: 0,
        };
        assert!(reception.opened(100, &mark));
        reception.filled();
        assert_eq!(reception.number(102), Some((1, 41)));
        assert!(reception.opened(102, &Mark { number: 41, ..mark }));
    }

    #[test]
    fn what_is_sent_again_is_neither_late_nor_a_duplicate() {
        let mut reception = receive(&[10, 12, 13]);
        assert_eq!(reception.received_again(epoch(), 11), Some((1 << 16) + 11));
        assert_eq!(reception.received_again(epoch(), 11), None);
        let counts = reception.counts;
        assert_eq!((counts.gaps, counts.reordered, counts.duplicates), (0, 0, 0));
    }

    #[test]
    fn numbers_may_close_up_over_what_was_left_out_but_never_spread() {
        let mark = |number| Mark {
            source: 1,
            number,
            sent_us: 0,
        };
        let mut reception = receive(&[10]);
        assert!(reception.opened_of_some(100, &mark(40)));
        assert!(reception.opened_of_some(101, &mark(45)));
        assert!(reception.opened_of_some(102, &mark(46)));
        assert!(!reception.opened_of_some(103, &mark(46)));
    }

    #[test]
    fn a_number_that_stands_for_another_packet_is_noticed() {
        let mark = |source, number| Mark {
            source,
            number,
            sent_us: 0,
        };
        let mut reception = receive(&[10]);
        assert!(reception.opened(100, &mark(1, 40)));
        assert_eq!(reception.number(103), Some((1, 43)));
        assert!(reception.opened(101, &mark(1, 41)));
        assert!(!reception.opened(102, &mark(1, 43)));
        assert!(reception.opened(103, &mark(2, 7)));
        assert_eq!(reception.number(104), Some((2, 8)));
    }
}
