//! A client's transport-wide feedback, read in place (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). It says of each
//! number whether that packet came, and when.

/// Bytes before the chunks: base number, count of statuses, reference time, and the count of feedback packets.
const HEAD_BYTES: usize = 8;
const RUN_LENGTH: u16 = 0x1fff;
const TICK_MICROS: i64 = 250;

const NOT_RECEIVED: u8 = 0;
const SMALL_DELTA: u8 = 1;
const LARGE_DELTA: u8 = 2;

/// What a feedback packet says of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub number: u16,
    /// Microseconds between the packet's reference time and the arrival; it may be negative. `None` if nothing has come.
    pub arrival: Option<i64>,
}

/// The numbers that are remembered. A run of lost packets costs nothing for numbers that are not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub first: u16,
    pub count: u16,
}

/// The statuses in one feedback packet, in the order of their numbers. Ends at the first thing that makes no sense.
pub(crate) struct Statuses<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    known: Known,
    /// The number of the next status, and the count of those that are left.
    number: u16,
    left: u16,
    chunk: Chunk,
    ticks: i64,
}

/// A feedback packet's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeedbackHead {
    /// The number of the first status.
    pub base: u16,
    pub count: u16,
    /// The time from which arrivals are counted, in units of 64 ms: 24 bits.
    pub reference: u32,
}

/// What is left of a chunk: a run of one symbol, or symbols of one or two bits, the next one on top.
#[derive(Clone, Copy)]
enum Chunk {
    Run { symbol: u8, left: u16 },
    Vector { bits: u16, width: u8, left: u8 },
}

impl Chunk {
    const EMPTY: Chunk = Chunk::Run {
        symbol: NOT_RECEIVED,
        left: 0,
    };

    fn read(word: u16) -> Chunk {
        match word >> 14 {
            2 => Chunk::Vector {
                bits: word << 2,
                width: 1,
                left: 14,
            },
            3 => Chunk::Vector {
                bits: word << 2,
                width: 2,
                left: 7,
            },
            _ => Chunk::Run {
                symbol: (word >> 13) as u8,
                left: word & RUN_LENGTH,
            },
        }
    }

    fn left(self) -> u16 {
        match self {
            Chunk::Run { left, .. } => left,
            Chunk::Vector { left, .. } => u16::from(left),
        }
    }

    /// Takes the next symbol, of a chunk that has one.
    fn take(&mut self) -> u8 {
        match self {
            Chunk::Run { symbol, left } => {
                *left -= 1;
                *symbol
            }
            Chunk::Vector { bits, width, left } => {
                let symbol = (*bits >> (16 - *width)) as u8;
                *bits <<= *width;
                *left -= 1;
                symbol
            }
        }
    }
}

impl<'a> Statuses<'a> {
    /// Reads the part of a feedback packet after its SSRCs. `None` if its chunks do not cover all statuses.
    pub(crate) fn read(body: &'a [u8], known: impl FnOnce(&FeedbackHead) -> Known) -> Option<(FeedbackHead, Self)> {
        let (head, rest) = body.split_first_chunk::<HEAD_BYTES>()?;
        let word = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let head = FeedbackHead {
            base: u16::from_be_bytes([head[0], head[1]]),
            count: u16::from_be_bytes([head[2], head[3]]),
            reference: word >> 8,
        };
        let (mut covered, mut at) = (0, 0);
        while covered < u32::from(head.count) {
            let chunk = rest.get(at..at + 2)?;
            covered += u32::from(Chunk::read(u16::from_be_bytes([chunk[0], chunk[1]])).left());
            at += 2;
        }
        let (chunks, deltas) = rest.split_at(at);
        let statuses = Statuses {
            chunks,
            deltas,
            known: known(&head),
            number: head.base,
            left: head.count,
            chunk: Chunk::EMPTY,
            ticks: 0,
        };
        Some((head, statuses))
    }

    /// Passes over the numbers of a run of lost packets that are not remembered.
    fn pass_over(&mut self) {
        let Chunk::Run {
            symbol: NOT_RECEIVED,
            left,
        } = &mut self.chunk
        else {
            return;
        };
        let place = self.number.wrapping_sub(self.known.first);
        if place < self.known.count {
            return;
        }
        let unknown = (u32::from(u16::MAX) + 1 - u32::from(place)).min(u32::from((*left).min(self.left))) as u16;
        *left -= unknown;
        self.left -= unknown;
        self.number = self.number.wrapping_add(unknown);
    }

    fn take_delta(&mut self, symbol: u8) -> Option<i64> {
        match symbol {
            SMALL_DELTA => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i64::from(delta))
            }
            LARGE_DELTA => {
                let (&delta, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                Some(i64::from(i16::from_be_bytes(delta)))
            }
            _ => None,
        }
    }
}

impl Iterator for Statuses<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        loop {
            self.pass_over();
            if self.left == 0 {
                return None;
            }
            if self.chunk.left() > 0 {
                break;
            }
            let (&word, rest) = self.chunks.split_first_chunk::<2>()?;
            self.chunks = rest;
            self.chunk = Chunk::read(u16::from_be_bytes(word));
        }
        let symbol = self.chunk.take();
        let arrival = match symbol {
            NOT_RECEIVED => None,
            symbol => {
                let Some(delta) = self.take_delta(symbol) else {
                    self.left = 0;
                    return None;
                };
                self.ticks += delta;
                Some(self.ticks * TICK_MICROS)
            }
        };
        let number = self.number;
        self.number = number.wrapping_add(1);
        self.left -= 1;
        Some(Status { number, arrival })
    }
}

/// The receiver's clock, from reference times that wrap after twelve days.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReceiverClock {
    last: Option<i64>,
}

/// Microseconds of a unit of reference times.
const REFERENCE_MICROS: i64 = 64_000;
const REFERENCE_BITS: u32 = 24;
/// Reference times begin here, and never come before: arrivals, which may be a little before theirs, are positive.
const FIRST_REFERENCE: i64 = 1 << REFERENCE_BITS;

impl ReceiverClock {
    /// The reference time in microseconds, counted on over the turns. It takes the turn that is nearest to the last one.
    pub(crate) fn unwrap(&mut self, reference: u32) -> i64 {
        let reference = i64::from(reference);
        let unwrapped = match self.last {
            None => FIRST_REFERENCE + reference,
            Some(last) => {
                let ahead = (reference - last) << (64 - REFERENCE_BITS) >> (64 - REFERENCE_BITS);
                (last + ahead).max(FIRST_REFERENCE)
            }
        };
        self.last = Some(unwrapped);
        unwrapped * REFERENCE_MICROS
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::media::bandwidth::TransportFeedback;
    use crate::media::virtual_time::epoch;

    const ALL: Known = Known {
        first: 0,
        count: u16::MAX,
    };

    fn body(base: u16, count: u16, reference: u32, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
        let mut body = [base.to_be_bytes(), count.to_be_bytes()].concat();
        body.extend_from_slice(&(reference << 8 | 7).to_be_bytes());
        chunks
            .iter()
            .for_each(|chunk| body.extend_from_slice(&chunk.to_be_bytes()));
        body.extend_from_slice(deltas);
        body
    }

    /// The statuses, with arrivals in ticks of 250 µs.
    fn read(body: &[u8]) -> Vec<(u16, Option<i64>)> {
        let (_, statuses) = Statuses::read(body, |_| ALL).expect("it can be read");
        let ticks = |status: Status| (status.number, status.arrival.map(|arrival| arrival / TICK_MICROS));
        statuses.map(ticks).collect()
    }

    #[test]
    fn runs_and_vectors_are_read_with_small_and_large_deltas() {
        // A run of two arrivals, a vector of one bit (came, lost, came), and one of two bits (lost, large, small).
        let chunks = [0x2002, 0x8000 | 0b101 << 11, 0xc000 | 0b00_10_01 << 8];
        let mut packet = body(65_534, 2 + 14 + 3, 9, &chunks, &[4, 0, 255, 1, 0xff, 0xf0, 3]);
        let (head, _) = Statuses::read(&packet, |_| ALL).expect("it can be read");
        let expected = FeedbackHead {
            base: 65_534,
            count: 19,
            reference: 9,
        };
        assert_eq!(head, expected);
        let read_all = read(&packet);
        assert_eq!(
            read_all[..5],
            [
                (65_534, Some(4)),
                (65_535, Some(4)),
                (0, Some(259)),
                (1, None),
                (2, Some(260))
            ]
        );
        assert!(read_all[5..16].iter().all(|(_, arrival)| arrival.is_none()));
        assert_eq!(read_all[16..], [(14, None), (15, Some(244)), (16, Some(247))]);
        packet[3] = 17;
        assert_eq!(read(&packet), read_all[..17], "the count ends a vector early");
    }

    #[test]
    fn what_makes_no_sense_ends_the_reading() {
        assert!(Statuses::read(&[0; 7], |_| ALL).is_none());
        let uncovered = body(0, 3, 0, &[0x2002], &[]);
        assert!(Statuses::read(&uncovered, |_| ALL).is_none());
        let empty_runs = body(0, 3, 0, &[0x2000; 500], &[]);
        assert!(Statuses::read(&empty_runs, |_| ALL).is_none());
        let reserved = body(0, 3, 0, &[0x2001, 0x6002], &[1, 1, 1, 1]);
        assert_eq!(read(&reserved), [(0, Some(1))]);
        let without_deltas = body(0, 3, 0, &[0x2003], &[1, 1]);
        assert_eq!(read(&without_deltas), [(0, Some(1)), (1, Some(2))]);
        assert_eq!(read(&body(5, 0, 0, &[], &[])), []);
    }

    #[test]
    fn a_long_run_of_lost_packets_yields_only_those_that_are_remembered() {
        let chunks = [0x1fff; 8];
        let known = Known {
            first: 60_000,
            count: 10_000,
        };
        for base in [0, 100, 4_463, 4_464, 30_000, 59_999, 60_000, 65_000] {
            let packet = body(base, 65_000, 0, &chunks, &[]);
            let (_, statuses) = Statuses::read(&packet, |_| known).expect("it can be read");
            let numbers: Vec<u16> = statuses.map(|status| status.number).collect();
            let expected = (0..65_000_u16)
                .map(|at| base.wrapping_add(at))
                .filter(|number| number.wrapping_sub(known.first) < known.count);
            assert_eq!(numbers, expected.collect::<Vec<_>>(), "from {base}");
        }
    }

    #[test]
    fn reference_times_go_on_over_their_turns_and_never_come_before_the_first() {
        let mut clock = ReceiverClock::default();
        let mut last = clock.unwrap(0xff_ff00);
        for reference in [0xff_fff0, 0x00_0010, 0x40_0000, 0xa0_0000, 0xff_ffff, 0x00_0000] {
            let next = clock.unwrap(reference);
            assert!(next > last && next < last + (1 << 23) * REFERENCE_MICROS);
            last = next;
        }
        assert_eq!(clock.unwrap(0xff_ffff), last - REFERENCE_MICROS, "time may go back");
        for step in 0..1_000_u32 {
            let back = clock.unwrap(step.wrapping_mul(0x80_0000) & 0xff_ffff);
            assert!(back >= FIRST_REFERENCE * REFERENCE_MICROS);
        }
    }

    proptest! {
        #[test]
        fn what_our_writer_writes_is_read_back(
            first in any::<u16>(),
            begins in 0_u64..2_000_000_000,
            arrivals in prop::collection::vec((1_u16..10, 0_u64..200_000, any::<bool>()), 1..400),
        ) {
            let mut writer = TransportFeedback::new(epoch());
            let (mut number, mut at) = (first, begins);
            let mut sent = Vec::new();
            for (step, pause, comes) in arrivals {
                number = number.wrapping_add(if comes { 1 } else { step });
                at += pause;
                writer.received(epoch() + Duration::from_micros(at), number);
                sent.push((number, (at / 250) as i64));
            }
            let mut written = Vec::new();
            writer.write(1, 2, 1_100, &mut written);
            let (mut clock, mut seen) = (ReceiverClock::default(), Vec::new());
            for packet in crate::media::rtcp::packets(&written) {
                let crate::media::rtcp::Packet::TransportFeedback { body } = packet else {
                    panic!("{packet:?}")
                };
                let (head, statuses) = Statuses::read(body, |_| ALL).expect("it can be read");
                let reference = clock.unwrap(head.reference) - FIRST_REFERENCE * REFERENCE_MICROS;
                seen.extend(statuses.filter_map(|status| {
                    Some((status.number, (reference + status.arrival?) / TICK_MICROS))
                }));
            }
            prop_assert_eq!(seen, sent);
        }
    }
}
