//! The packets of one RTP stream that arrive and that do not: extended sequence numbers, reports (RFC 3550 appendix A), and the
//! packets to ask for again.

use std::time::{Duration, Instant};

use super::gaps::Gaps;
use crate::media::rtp::sequence_distance;

/// The greatest step forward that is loss (RFC 3550 A.1 has the same): 12 s of video at 250 packets a second. A larger step
/// means that the sender restarted. With a smaller limit, an outage would end the statistics. With a larger one, half of the
/// sequence numbers would not show whether a step goes forward or back.
const MAX_DROPOUT: i16 = 3_000;

/// Packets that are known to be seen or missing: the last 4 s of video at 250 packets a second, longer than a retransmission
/// takes, in 128 bytes. RFC 3550's MAX_MISORDER of 100 is too short for retransmissions.
const WINDOW: u64 = 1_024;

/// The greatest jump of a timestamp against the clock, in seconds, that is jitter. A larger one begins a new time line.
const JITTER_JUMP_SECS: u32 = 5;

/// Follows one incoming RTP stream (one SSRC): extended sequence numbers, loss, jitter (RFC 3550 appendix A), and the packets
/// to ask for again (RFC 4585 §6.2.1).
#[derive(Debug)]
pub struct LossTracker {
    clock_rate: u32,
    stream: Option<SequenceState>,
    gaps: Gaps,
}

/// State since the first packet, or since the last restart.
#[derive(Debug)]
struct SequenceState {
    /// Extended number of the newest packet. These numbers are one cycle ahead of those in reports, so that packets before the
    /// first one have a number too.
    highest: u64,
    base: u64,
    /// One bit for each of the last [`WINDOW`] sequence numbers: whether it was seen.
    seen: [u64; WINDOW as usize / 64],
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    /// The sequence number that, after a packet far away from all others, would confirm that the sender restarted there.
    restart_at: Option<u16>,
    jitter: Jitter,
}

const ONE_CYCLE: u64 = 1 << 16;

/// The result of [`LossTracker::received`] for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketOrder {
    /// The newest packet so far; `missing` packets were skipped before it.
    Newest { missing: u16 },
    /// An older packet that was missing: it is late, or was sent again.
    Filled,
    /// A packet that was seen before, is too old to tell, or is a single one far away from all others.
    Duplicate,
    /// A second packet that confirms a jump too far to be loss (RFC 3550 A.1 MAX_DROPOUT): the sender restarted. Everything
    /// before is forgotten.
    Restarted,
}

/// One block of a receiver report (RFC 3550 §6.4.1), without the SSRC and the LSR/DLSR pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossReport {
    pub(crate) fraction_lost: u8,
    /// A signed number of 24 bits, clamped.
    pub(crate) cumulative_lost: i32,
    pub(crate) extended_highest_sequence: u32,
    /// Jitter in RTP timestamp units.
    pub jitter: u32,
}

impl LossTracker {
    pub fn new(clock_rate: u32) -> LossTracker {
        LossTracker {
            clock_rate,
            stream: None,
            gaps: Gaps::default(),
        }
    }

    /// Notes a packet. One that is `repaired` (from RTX) does not count for jitter; if it fills a gap, it does not count as
    /// loss.
    pub fn received(&mut self, now: Instant, sequence: u16, timestamp: u32, repaired: bool) -> PacketOrder {
        let Some(stream) = &mut self.stream else {
            let stream = self.stream.insert(SequenceState::starting(sequence));
            stream.time(now, timestamp, self.clock_rate, repaired);
            return PacketOrder::Newest { missing: 0 };
        };
        let distance = sequence_distance(sequence, stream.highest as u16);
        let behind = u64::from(distance.unsigned_abs());
        let arrival = match distance {
            1..=MAX_DROPOUT => {
                let missing = distance as u16 - 1;
                self.gaps.advanced(now, stream.highest + 1, missing);
                stream.advance(distance as u64);
                PacketOrder::Newest { missing }
            }
            ..=0 if behind < WINDOW => {
                let late = stream.highest - behind;
                if stream.fill(late) {
                    self.gaps.filled(late);
                    PacketOrder::Filled
                } else {
                    PacketOrder::Duplicate
                }
            }
            // A sender may repeat packets from long ago to probe for bandwidth. That is no restart.
            _ if repaired => return PacketOrder::Duplicate,
            _ if stream.restart_at != Some(sequence) => {
                stream.restart_at = Some(sequence.wrapping_add(1));
                return PacketOrder::Duplicate;
            }
            _ => {
                *stream = SequenceState::starting(sequence);
                self.gaps.clear();
                PacketOrder::Restarted
            }
        };
        if arrival != PacketOrder::Duplicate {
            stream.restart_at = None;
            stream.time(now, timestamp, self.clock_rate, repaired);
        }
        arrival
    }

    /// The extended number of a packet near the newest one: `sequence`, counted on over all turns of the sequence numbers. It
    /// goes on without jumps until [`PacketOrder::Restarted`].
    pub(crate) fn extended(&self, sequence: u16) -> u64 {
        let highest = self.stream.as_ref().map_or(ONE_CYCLE, |stream| stream.highest);
        highest.wrapping_add_signed(i64::from(sequence_distance(sequence, highest as u16)))
    }

    /// The number of packets that are missing between the newest one and this newer one.
    pub(crate) fn missing_before(&self, sequence: u16) -> u16 {
        let ahead = self
            .stream
            .as_ref()
            .map_or(0, |stream| sequence_distance(sequence, stream.highest as u16));
        match ahead {
            1..=MAX_DROPOUT => ahead as u16 - 1,
            _ => 0,
        }
    }

    /// Calls `request` for the sequence numbers to ask for now, in ascending order: each at most every `interval` (about a round
    /// trip), and a bounded number of times. True if a packet was given up: then a key frame is needed.
    pub(crate) fn due_nacks(&mut self, now: Instant, interval: Duration, request: impl FnMut(u16)) -> bool {
        // Older packets could still come, but nothing would show whether they are duplicates.
        let oldest = self.stream.as_ref().map_or(0, |stream| stream.highest + 1 - WINDOW);
        self.gaps.due(now, interval, oldest, request)
    }

    /// Whether a packet is missing that will be asked for, or was given up: whether [`Self::due_nacks`] may have something to
    /// do, now or later.
    pub(crate) fn has_gaps(&self) -> bool {
        self.gaps.is_pending()
    }

    /// Time at which [`Self::due_nacks`] has something to do next.
    pub(crate) fn next_nack(&self) -> Option<Instant> {
        self.gaps.next()
    }

    /// Ends one reporting interval: the fraction lost is that since the last call.
    pub fn report(&mut self) -> LossReport {
        self.stream.as_mut().map(SequenceState::report).unwrap_or_default()
    }
}

impl SequenceState {
    fn starting(sequence: u16) -> SequenceState {
        let highest = ONE_CYCLE + u64::from(sequence);
        let mut stream = SequenceState {
            highest,
            base: highest,
            seen: [0; WINDOW as usize / 64],
            received: 1,
            expected_prior: 0,
            received_prior: 0,
            restart_at: None,
            jitter: Jitter::default(),
        };
        stream.mark_seen(highest);
        stream
    }

    fn advance(&mut self, steps: u64) {
        if steps > WINDOW {
            self.seen.fill(0);
        } else {
            for skipped in self.highest + 1..self.highest + steps {
                self.seen[word(skipped)] &= !bit(skipped);
            }
        }
        self.highest += steps;
        self.received += 1;
        self.mark_seen(self.highest);
    }

    fn time(&mut self, now: Instant, timestamp: u32, clock_rate: u32, repaired: bool) {
        if !repaired {
            self.jitter.received(now, timestamp, clock_rate);
        }
    }

    /// Notes a packet of the window. True if it had not been seen.
    fn fill(&mut self, sequence: u64) -> bool {
        if self.seen[word(sequence)] & bit(sequence) != 0 {
            return false;
        }
        self.mark_seen(sequence);
        // A packet that the first one has overtaken was never expected, so it fills no loss.
        self.received += u64::from(sequence > self.base);
        true
    }

    fn mark_seen(&mut self, sequence: u64) {
        self.seen[word(sequence)] |= bit(sequence);
    }

    /// RFC 3550 A.3.
    fn report(&mut self) -> LossReport {
        let expected = self.highest - self.base + 1;
        let lost = expected.saturating_sub(self.received);
        let expected_since = expected - self.expected_prior;
        let received_since = self.received - self.received_prior;
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction = (lost_since << 8).checked_div(expected_since).unwrap_or(0);
        LossReport {
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: lost.min(0x7F_FFFF) as i32,
            extended_highest_sequence: (self.highest - ONE_CYCLE) as u32,
            jitter: self.jitter.value(),
        }
    }
}

fn word(sequence: u64) -> usize {
    (sequence % WINDOW / 64) as usize
}

fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

/// Interarrival jitter (RFC 3550 A.8).
#[derive(Debug, Default)]
struct Jitter {
    last: Option<Timed>,
    /// Jitter in sixteenths of a timestamp unit.
    scaled: u32,
}

/// The last packet.
#[derive(Clone, Copy, Debug)]
struct Timed {
    /// Time of the first arrival, which is the zero of the arrival clock.
    zero: Instant,
    at: Instant,
    /// Its arrival and its transit time, in timestamp units.
    arrival: u32,
    transit: u32,
}

impl Jitter {
    fn received(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
        let arrival = match self.last {
            // Packets of a batch have the same time, which is converted once.
            Some(last) if last.at == now => last.arrival,
            Some(last) => units(now.saturating_duration_since(last.zero), clock_rate),
            None => 0,
        };
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(last) = self.last {
            let difference = (transit.wrapping_sub(last.transit) as i32).unsigned_abs();
            if difference <= clock_rate.saturating_mul(JITTER_JUMP_SECS) {
                self.scaled = self.scaled + difference - ((self.scaled + 8) >> 4);
            }
        }
        self.last = Some(Timed {
            zero: self.last.map_or(now, |last| last.zero),
            at: now,
            arrival,
            transit,
        });
    }

    fn value(&self) -> u32 {
        self.scaled >> 4
    }
}

fn units(since: Duration, clock_rate: u32) -> u32 {
    let rate = u64::from(clock_rate);
    (since.as_secs().wrapping_mul(rate) + u64::from(since.subsec_nanos()) * rate / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    /// A 30 ms round trip.
    const INTERVAL: Duration = Duration::from_millis(30);

    /// A stream of 90 kHz with a packet each millisecond.
    struct Scene {
        tracker: LossTracker,
        now: Instant,
    }

    impl Scene {
        fn new() -> Scene {
            Scene {
                tracker: LossTracker::new(90_000),
                now: epoch(),
            }
        }

        fn receive(&mut self, sequence: u16) -> PacketOrder {
            self.now += Duration::from_millis(1);
            let timestamp = ((self.now - epoch()).as_millis() * 90) as u32;
            self.tracker.received(self.now, sequence, timestamp, false)
        }

        fn repair(&mut self, sequence: u16) -> PacketOrder {
            self.tracker.received(self.now, sequence, 0, true)
        }

        fn receive_all(&mut self, sequences: impl IntoIterator<Item = u16>) {
            sequences.into_iter().for_each(|sequence| {
                self.receive(sequence);
            });
        }

        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }

        fn requested(&mut self) -> Vec<u16> {
            self.due().0
        }

        fn due(&mut self) -> (Vec<u16>, bool) {
            let mut requested = Vec::new();
            let gave_up = self
                .tracker
                .due_nacks(self.now, INTERVAL, |sequence| requested.push(sequence));
            (requested, gave_up)
        }
    }

    #[test]
    fn packets_in_order_leave_nothing_to_ask_for() {
        let mut scene = Scene::new();
        for sequence in 65_000..=65_535 {
            assert_eq!(scene.receive(sequence), PacketOrder::Newest { missing: 0 });
        }
        assert_eq!(scene.receive(0), PacketOrder::Newest { missing: 0 }, "across the wrap");
        assert!(!scene.tracker.has_gaps());
        assert_eq!(scene.due(), (vec![], false));
        let report = scene.tracker.report();
        assert_eq!((report.fraction_lost, report.cumulative_lost, report.jitter), (0, 0, 0));
        assert_eq!(report.extended_highest_sequence, 1 << 16);
    }

    #[test]
    fn a_late_packet_fills_its_gap_before_it_is_asked_for() {
        let mut scene = Scene::new();
        scene.receive_all([10, 12]);
        assert!(scene.tracker.has_gaps());
        assert_eq!(scene.due(), (vec![], false));
        assert_eq!(scene.receive(11), PacketOrder::Filled);
        assert!(!scene.tracker.has_gaps());
        scene.pass(100);
        assert_eq!(scene.due(), (vec![], false));
        assert_eq!(scene.tracker.report().cumulative_lost, 0);
    }

    #[test]
    fn a_missing_packet_is_asked_for_after_three_newer_ones_or_a_short_wait() {
        let mut scene = Scene::new();
        scene.receive_all([10, 12, 13]);
        assert_eq!(scene.due(), (vec![], false));
        scene.receive(14);
        assert_eq!(scene.requested(), [11]);

        let mut scene = Scene::new();
        scene.receive_all([10, 12]);
        scene.pass(4);
        assert_eq!(scene.due(), (vec![], false));
        scene.pass(1);
        assert_eq!(scene.requested(), [11]);
    }

    #[test]
    fn a_burst_of_losses_is_not_taken_for_newer_packets() {
        let mut scene = Scene::new();
        scene.receive_all([10, 18]);
        assert_eq!(scene.due(), (vec![], false));
        scene.receive_all([19, 20]);
        assert_eq!(scene.requested(), [11, 12, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn an_unanswered_request_is_repeated_each_interval_eight_times_and_then_given_up() {
        let mut scene = Scene::new();
        scene.receive_all([65_535, 1, 2, 3]);
        let mut requests = 0;
        for millis in 0..8 * 30 {
            let (requested, gave_up) = scene.due();
            assert!(!gave_up, "after {millis} ms");
            assert_eq!(
                requested,
                if millis % 30 == 0 { vec![0] } else { vec![] },
                "after {millis} ms"
            );
            requests += requested.len();
            scene.pass(1);
        }
        assert_eq!(requests, 8);
        assert_eq!(scene.due(), (vec![], true));
        assert_eq!(scene.due(), (vec![], false), "reported once");
        assert!(!scene.tracker.has_gaps());
        assert_eq!(scene.repair(0), PacketOrder::Filled, "it may still come");
    }

    #[test]
    fn requests_are_at_least_twenty_milliseconds_apart() {
        let mut scene = Scene::new();
        scene.receive_all([10, 12, 13, 14]);
        let mut request = |millis| {
            scene.pass(millis);
            let mut requested = 0;
            scene.tracker.due_nacks(scene.now, Duration::ZERO, |_| requested += 1);
            requested
        };
        assert_eq!([request(0), request(19), request(1)], [1, 0, 1]);
    }

    #[test]
    fn more_gaps_than_are_worth_repairing_are_given_up_at_once() {
        let mut scene = Scene::new();
        scene.receive_all([0, 257]);
        scene.pass(10);
        let (requested, gave_up) = scene.due();
        assert_eq!((requested.len(), gave_up), (256, false));

        let mut scene = Scene::new();
        scene.receive_all([0, 10]);
        assert_eq!(scene.receive(258), PacketOrder::Newest { missing: 247 });
        scene.receive(259);
        scene.pass(10);
        assert_eq!(scene.requested().len(), 256);
        assert_eq!(scene.receive(261), PacketOrder::Newest { missing: 1 });
        assert!(scene.tracker.has_gaps(), "there is something to tell");
        assert_eq!(scene.due(), (vec![], true));
        assert!(!scene.tracker.has_gaps());
    }

    #[test]
    fn a_gap_that_leaves_the_window_is_given_up() {
        let mut scene = Scene::new();
        scene.receive_all((0..1_025).filter(|sequence| *sequence != 1));
        assert_eq!(scene.requested(), [1]);
        scene.receive(1_025);
        assert_eq!(scene.due(), (vec![], true));
        assert_eq!(scene.repair(1), PacketOrder::Duplicate);
    }

    #[test]
    fn duplicates_and_packets_from_long_ago_change_nothing() {
        let mut scene = Scene::new();
        scene.receive_all(0..2_000);
        let before = scene.tracker.report();
        for sequence in [1_999, 1_500, 977, 976, 0] {
            assert_eq!(scene.receive(sequence), PacketOrder::Duplicate, "{sequence}");
        }
        let after = scene.tracker.report();
        assert_eq!(after, before);
    }

    #[test]
    fn a_skipped_stretch_leaves_no_old_marks_behind() {
        for skip in [1_000, 1_023, 1_024, 1_025, 2_999] {
            let mut scene = Scene::new();
            scene.receive_all(0..1_100);
            assert_eq!(scene.receive(1_100 + skip), PacketOrder::Newest { missing: skip });
            for sequence in (1_100 + skip - 1_023).max(1_100)..1_100 + skip {
                assert_eq!(
                    scene.repair(sequence),
                    PacketOrder::Filled,
                    "{sequence} after {skip} were skipped"
                );
            }
        }
    }

    #[test]
    fn one_wild_packet_does_not_restart_the_stream() {
        let mut scene = Scene::new();
        scene.receive_all([100, 101]);
        assert_eq!(scene.receive(40_000), PacketOrder::Duplicate);
        assert_eq!(scene.receive(102), PacketOrder::Newest { missing: 0 });
        assert_eq!(
            scene.receive(40_001),
            PacketOrder::Duplicate,
            "not consecutive: 102 was between"
        );
        assert_eq!(scene.receive(20_000), PacketOrder::Duplicate);
        assert_eq!(scene.receive(103), PacketOrder::Newest { missing: 0 });
        assert_eq!(scene.tracker.report().cumulative_lost, 0);
    }

    #[test]
    fn two_consecutive_wild_packets_restart_the_stream() {
        let mut scene = Scene::new();
        scene.receive_all([20_000, 20_001, 20_010]);
        assert_eq!(scene.receive(65_535), PacketOrder::Duplicate);
        assert_eq!(scene.receive(0), PacketOrder::Restarted);
        assert_eq!(scene.receive(2), PacketOrder::Newest { missing: 1 });
        scene.pass(10);
        assert_eq!(scene.requested(), [1], "the old gaps are forgotten");
        assert_eq!(scene.tracker.report().extended_highest_sequence, 2);
    }

    #[test]
    fn old_packets_repeated_as_probes_do_not_restart_the_stream() {
        let mut scene = Scene::new();
        scene.receive_all(5_000..8_000);
        for sequence in 5_000..5_010 {
            assert_eq!(scene.repair(sequence), PacketOrder::Duplicate);
        }
        assert_eq!(scene.receive(8_000), PacketOrder::Newest { missing: 0 });
    }

    #[test]
    fn a_packet_that_was_overtaken_by_the_first_one_is_taken_but_not_counted() {
        let mut scene = Scene::new();
        scene.receive(0);
        assert_eq!(scene.receive(65_535), PacketOrder::Filled);
        assert_eq!(scene.receive(65_535), PacketOrder::Duplicate);
        scene.receive_all([1, 3]);
        let report = scene.tracker.report();
        assert_eq!((report.cumulative_lost, report.fraction_lost), (1, 64));
        assert_eq!(report.extended_highest_sequence, 3);
    }

    #[test]
    fn reports_have_the_loss_of_their_interval_and_of_all() {
        let mut scene = Scene::new();
        scene.receive_all((0..100).filter(|sequence| sequence % 4 != 1));
        let report = scene.tracker.report();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (64, 25));
        scene.receive_all(100..200);
        let report = scene.tracker.report();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 25));
        assert_eq!(scene.tracker.report().fraction_lost, 0, "an interval without packets");
        for sequence in (1..100).step_by(4) {
            assert_eq!(scene.repair(sequence), PacketOrder::Filled);
        }
        let report = scene.tracker.report();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 0));
        assert_eq!(
            LossTracker::new(48_000).report(),
            LossReport::default(),
            "before the first packet"
        );
    }

    #[test]
    fn cumulative_loss_is_clamped_to_24_bits() {
        let mut scene = Scene::new();
        for turn in 0..3_000u32 {
            scene.receive((turn * 3_000) as u16);
        }
        let report = scene.tracker.report();
        assert_eq!(report.cumulative_lost, 0x7f_ffff);
        assert_eq!(report.fraction_lost, 255);
        assert_eq!(report.extended_highest_sequence, 2_999 * 3_000);
    }

    #[test]
    fn jitter_follows_rfc_3550_a_8() {
        let mut tracker = LossTracker::new(8_000);
        let start = epoch();
        // Packets of 20 ms (160 units). Every second one is 5 ms (40 units) late.
        let mut expected = 0.0;
        for packet in 0..200u64 {
            let late = if packet % 2 == 1 { 5 } else { 0 };
            let now = start + Duration::from_millis(packet * 20 + late);
            tracker.received(
                now,
                packet as u16,
                4_294_967_000u32.wrapping_add(packet as u32 * 160),
                false,
            );
            if packet > 0 {
                expected += (40.0 - expected) / 16.0;
            }
        }
        let jitter = f64::from(tracker.report().jitter);
        assert!((jitter - expected).abs() <= 1.0, "{jitter} is not about {expected}");
    }

    #[test]
    fn repairs_and_new_time_lines_are_no_jitter() {
        let mut scene = Scene::new();
        scene.receive_all([0, 1, 2, 4, 5]);
        scene.pass(200);
        scene.repair(3);
        let wild = scene.tracker.received(scene.now, 6, 0x8000_0000, false);
        assert_eq!(wild, PacketOrder::Newest { missing: 0 });
        assert_eq!(scene.tracker.report().jitter, 0);
    }

    mod against_a_model {
        use std::collections::BTreeSet;

        use proptest::prelude::*;

        use super::*;

        proptest! {
            /// The results for a stream with loss, duplicates, reordering and repairs are those of a set of all numbers.
            #[test]
            fn arrivals_are_what_they_are(
                start in any::<u16>(),
                steps in prop::collection::vec((-40i64..60, any::<bool>(), 0u64..8), 1..400),
            ) {
                let mut scene = Scene::new();
                let origin = 1_000_000 + i64::from(start);
                let mut highest = origin;
                let mut seen = BTreeSet::from([origin]);
                scene.receive(origin as u16);
                for (step, repaired, pause) in steps {
                    scene.pass(pause);
                    let sequence = highest + step;
                    let arrival = if repaired { scene.repair(sequence as u16) } else { scene.receive(sequence as u16) };
                    let expected = match (step > 0, seen.insert(sequence)) {
                        (true, _) => PacketOrder::Newest { missing: (step - 1) as u16 },
                        (false, true) => PacketOrder::Filled,
                        (false, false) => PacketOrder::Duplicate,
                    };
                    prop_assert_eq!(arrival, expected);
                    highest = highest.max(sequence);
                    let (requested, _) = scene.due();
                    let requested: Vec<i64> =
                        requested.iter().map(|s| highest + i64::from(sequence_distance(*s, highest as u16))).collect();
                    prop_assert!(requested.is_sorted());
                    prop_assert!(requested.iter().all(|s| *s < highest && !seen.contains(s)), "{:?}", requested);
                }
                let report = scene.tracker.report();
                let counted = seen.range(origin..).count() as i64;
                prop_assert_eq!(i64::from(report.cumulative_lost), highest - origin + 1 - counted);
            }

            #[test]
            fn random_sequences_neither_panic_nor_grow(
                packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<bool>()), 1..300),
            ) {
                let mut scene = Scene::new();
                for (sequence, timestamp, repaired) in packets {
                    scene.tracker.received(scene.now, sequence, timestamp, repaired);
                    scene.pass(7);
                    prop_assert!(scene.requested().len() <= 256);
                    scene.tracker.report();
                }
            }
        }
    }
}
