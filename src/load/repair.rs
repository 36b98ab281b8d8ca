//! The repair of one stream at a subscriber: what is missing, when it is asked for, what came again. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::media::retransmit::{LossTracker, PacketOrder};
use crate::media::rtcp::Block;

/// Packets that were asked for and have not come yet: twice as many as can be missing at a time. Older ones count as never
/// repaired.
const ASKED_MAX: usize = 512;
/// The round trip as long as none was measured: that of browsers.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

/// The counts since the last [`Repair::begin`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RepairCounts {
    /// Packets that were asked for, each counted once.
    pub(crate) asked: u64,
    /// Those of them that came.
    pub(crate) repaired: u64,
    /// Packets that were sent again although they were there: needless ones, and probes.
    pub(crate) needless: u64,
}

impl RepairCounts {
    pub(crate) fn add(&mut self, other: RepairCounts) {
        self.asked += other.asked;
        self.repaired += other.repaired;
        self.needless += other.needless;
    }
}

/// The counts of one connection since the measurement began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchCounts {
    pub(crate) repair: RepairCounts,
    /// Requests for packets; a packet may be asked for several times.
    pub(crate) requests: u64,
    pub(crate) key_frame_requests: u64,
    /// Packets of transport-wide feedback.
    pub(crate) feedbacks: u64,
}

impl WatchCounts {
    pub(crate) fn add(&mut self, other: WatchCounts) {
        self.repair.add(other.repair);
        self.requests += other.requests;
        self.key_frame_requests += other.key_frame_requests;
        self.feedbacks += other.feedbacks;
    }
}

pub(crate) struct Repair {
    loss: LossTracker,
    /// The packets that were asked for, ascending.
    asked: VecDeque<Asked>,
    /// The mean time from a request to its answer.
    round_trip: Option<Duration>,
    counts: RepairCounts,
    /// The newest sender report: middle 32 bits of its NTP time, and its arrival.
    report: Option<(u32, Instant)>,
}

/// A packet by its extended sequence number.
struct Asked {
    number: u64,
    at: Instant,
    requests: u32,
    /// Whether it was asked for first since the counting began.
    counts: bool,
}

impl Repair {
    pub(crate) fn new(clock_rate: u32) -> Repair {
        Repair {
            loss: LossTracker::new(clock_rate),
            asked: VecDeque::new(),
            round_trip: None,
            counts: RepairCounts::default(),
            report: None,
        }
    }

    /// Begins to count: only packets asked for from now on count.
    pub(crate) fn begin(&mut self) {
        self.asked.iter_mut().for_each(|asked| asked.counts = false);
        self.counts = RepairCounts::default();
    }

    pub(crate) fn counts(&self) -> RepairCounts {
        self.counts
    }

    /// Takes in a packet; `again` if it came as a retransmission. True if it fills a gap for which it was asked.
    pub(crate) fn arrived(&mut self, now: Instant, sequence: u16, timestamp: u32, again: bool) -> bool {
        match self.loss.received(now, sequence, timestamp, again) {
            PacketOrder::Filled => self.filled(now, self.loss.extended(sequence)),
            PacketOrder::Restarted => {
                self.asked.clear();
                false
            }
            PacketOrder::Duplicate => {
                self.counts.needless += u64::from(again);
                false
            }
            PacketOrder::Newest { .. } => false,
        }
    }

    fn filled(&mut self, now: Instant, number: u64) -> bool {
        let Ok(at) = self.asked.binary_search_by_key(&number, |asked| asked.number) else {
            return false;
        };
        let Some(asked) = self.asked.remove(at) else {
            return false;
        };
        // An answer to one of several requests would not show how long it took (Karn's rule).
        if asked.requests == 1 {
            let took = now.saturating_duration_since(asked.at);
            self.round_trip = Some(self.round_trip.map_or(took, |mean| (mean * 7 + took) / 8));
        }
        self.counts.repaired += u64::from(asked.counts);
        true
    }

    /// Whether [`Self::due`] has something to do.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.loss.next_nack().is_some_and(|next| next <= now)
    }

    /// Appends the packets to ask for now. True if a packet was given up: then a key frame is needed.
    pub(crate) fn due(&mut self, now: Instant, sequences: &mut Vec<u16>) -> bool {
        let first = sequences.len();
        // A quarter more than the mean: answers vary with the queue.
        let interval = self.round_trip.map_or(FIRST_ROUND_TRIP, |mean| mean * 5 / 4);
        let gave_up = self.loss.due_nacks(now, interval, |sequence| sequences.push(sequence));
        for &sequence in &sequences[first..] {
            let number = self.loss.extended(sequence);
            match self.asked.binary_search_by_key(&number, |asked| asked.number) {
                Ok(at) => self.asked[at].requests += 1,
                Err(at) => {
                    self.counts.asked += 1;
                    let asked = Asked {
                        number,
                        at: now,
                        requests: 1,
                        counts: true,
                    };
                    self.asked.insert(at, asked);
                }
            }
        }
        let surplus = self.asked.len().saturating_sub(ASKED_MAX);
        self.asked.drain(..surplus);
        gave_up
    }

    /// Takes in a sender report.
    pub(crate) fn reported(&mut self, now: Instant, ntp: u64) {
        self.report = Some(((ntp >> 16) as u32, now));
    }

    /// The report block about this stream.
    pub(crate) fn block(&mut self, now: Instant, ssrc: u32) -> Block {
        let reception = self.loss.report();
        let (last_sender_report, delay_since_last) = self.report.map_or((0, 0), |(report, arrived)| {
            let since = now.saturating_duration_since(arrived).as_micros() as u64;
            (report, (since * 65_536 / 1_000_000) as u32)
        });
        Block {
            ssrc,
            fraction_lost: reception.fraction_lost,
            cumulative_lost: reception.cumulative_lost,
            extended_highest_sequence: reception.extended_highest_sequence,
            jitter: reception.jitter,
            last_sender_report,
            delay_since_last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    fn due(repair: &mut Repair, millis: u64) -> Vec<u16> {
        let mut sequences = Vec::new();
        repair.due(at(millis), &mut sequences);
        sequences
    }

    /// Packets 65,530 to 65,539 but for two.
    fn with_two_missing() -> Repair {
        let mut repair = Repair::new(90_000);
        for number in (65_530_u32..65_540).filter(|number| ![65_534, 65_537].contains(number)) {
            assert!(!repair.arrived(at(0), number as u16, 0, false));
        }
        repair
    }

    #[test]
    fn what_is_missing_is_asked_for_once_a_round_trip_and_counted_once() {
        let mut repair = with_two_missing();
        assert!(!repair.is_due(at(0)) && repair.is_due(at(5)));
        assert_eq!(due(&mut repair, 5), [65_534, 1]);
        assert!(due(&mut repair, 104).is_empty());
        assert_eq!(due(&mut repair, 105), [65_534, 1]);
        assert!(repair.arrived(at(110), 65_534, 0, true));
        assert!(!repair.arrived(at(111), 65_534, 0, true), "a second time");
        let counts = repair.counts();
        assert_eq!((counts.asked, counts.repaired, counts.needless), (2, 1, 1));
    }

    #[test]
    fn a_measured_round_trip_is_waited_for_and_a_doubtful_one_is_not_measured() {
        let mut repair = with_two_missing();
        assert_eq!(due(&mut repair, 5), [65_534, 1]);
        assert!(repair.arrived(at(45), 65_534, 0, true));
        // 40 ms and a quarter.
        assert!(due(&mut repair, 54).is_empty());
        assert_eq!(due(&mut repair, 55), [1]);
        assert!(repair.arrived(at(56), 1, 0, true));
        assert_eq!(repair.round_trip, Some(Duration::from_millis(40)));
    }

    #[test]
    fn a_packet_that_was_only_late_is_no_repair() {
        let mut repair = with_two_missing();
        assert!(!repair.arrived(at(2), 65_534, 0, false));
        assert_eq!(due(&mut repair, 5), [1]);
        assert!(repair.arrived(at(30), 1, 0, false), "sent again without RTX");
        assert_eq!(repair.counts().asked, 1);
    }

    #[test]
    fn what_never_comes_is_given_up_and_a_key_frame_is_needed() {
        let mut repair = with_two_missing();
        let gave_up = (0..60).any(|turn| repair.due(at(5 + turn * 100), &mut Vec::new()));
        assert!(gave_up);
        assert_eq!(repair.counts().asked, 2);
        assert_eq!(repair.counts().repaired, 0);
    }

    #[test]
    fn a_measurement_counts_only_what_it_asked_for() {
        let mut repair = with_two_missing();
        assert_eq!(due(&mut repair, 5), [65_534, 1]);
        repair.begin();
        assert_eq!(due(&mut repair, 105), [65_534, 1]);
        assert!(repair.arrived(at(130), 1, 0, true));
        assert_eq!(repair.counts(), RepairCounts::default());
    }

    #[test]
    fn reports_have_the_loss_and_the_senders_clock() {
        let mut repair = with_two_missing();
        repair.reported(at(0), 0x1234_5678_9abc_def0);
        let block = repair.block(at(500), 7);
        assert_eq!((block.ssrc, block.cumulative_lost, block.fraction_lost), (7, 2, 51));
        assert_eq!(
            (block.last_sender_report, block.delay_since_last),
            (0x5678_9abc, 32_768)
        );
    }
}
