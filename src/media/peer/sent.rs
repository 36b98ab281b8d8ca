//! The packets of a connection that were sent under transport-wide numbers, and what the client's feedback says of them.

use crate::media::bandwidth::outgoing::{Micros, Report};
use crate::media::bandwidth::{Known, ReceiverClock, Statuses};

/// Packets that are remembered: 400 ms of twenty videos at 2.5 Mb/s. Feedback comes each 100 ms at the latest and takes half a
/// round trip.
pub(crate) const REMEMBERED: u64 = 2_048;

/// The newest packets by their numbers. The memory is allocated once: 16 KiB.
pub(super) struct Sent {
    /// Number of packets that have had a number. It is the next packet's number, counted on over the turns.
    count: u64,
    /// Packets before this one are forgotten.
    from: u64,
    /// The number after the last that feedback has reported, and the number from which on packets that did not come are not yet
    /// taken for lost. Both are counted on as well.
    reported: u64,
    judged: u64,
    clock: ReceiverClock,
    packets: [Packet; REMEMBERED as usize],
}

/// From the top: time of sending in microseconds, 42 bits (it turns after 50 days); bytes, 11 bits; probe, 9 bits, where 0 is none;
/// [`Fate`], 2 bits.
#[derive(Clone, Copy, Default)]
struct Packet(u64);

const FATE_BITS: u32 = 2;
const PROBE_BITS: u32 = 9;
const BYTES_BITS: u32 = 11;
const BYTES_AT: u32 = FATE_BITS + PROBE_BITS;
const TIME_AT: u32 = BYTES_AT + BYTES_BITS;
const TIME_BITS: u32 = u64::BITS - TIME_AT;

/// What is known of a packet that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Unknown = 0,
    /// It had not come when a feedback packet was written. It may be late.
    Missing = 1,
    /// It was missing, and a later feedback packet did not tell of it either.
    Lost = 2,
    Arrived = 3,
}

impl Packet {
    fn new(at: Micros, bytes: usize, probe: Option<u8>) -> Packet {
        let bytes = (bytes as u64).min((1 << BYTES_BITS) - 1);
        let probe = probe.map_or(0, |probe| u64::from(probe) + 1);
        Packet(at << TIME_AT | bytes << BYTES_AT | probe << FATE_BITS)
    }

    fn fate(self) -> Fate {
        match self.0 & 3 {
            0 => Fate::Unknown,
            1 => Fate::Missing,
            2 => Fate::Lost,
            _ => Fate::Arrived,
        }
    }

    fn set_fate(&mut self, fate: Fate) {
        self.0 = self.0 & !3 | fate as u64;
    }

    fn bytes(self) -> u32 {
        (self.0 >> BYTES_AT) as u32 & ((1 << BYTES_BITS) - 1)
    }

    fn report(self, now: Micros, arrived: Option<Micros>) -> Report {
        let age = now.wrapping_sub(self.0 >> TIME_AT) & ((1 << TIME_BITS) - 1);
        let probe = (self.0 >> FATE_BITS) as u16 & ((1 << PROBE_BITS) - 1);
        Report {
            sent: now.saturating_sub(age),
            bytes: self.bytes(),
            arrived,
            probe: probe.checked_sub(1).map(|probe| probe as u8),
        }
    }
}

impl Sent {
    pub fn new() -> Sent {
        Sent {
            count: 0,
            from: 0,
            reported: 0,
            judged: 0,
            clock: ReceiverClock::default(),
            packets: [Packet::default(); REMEMBERED as usize],
        }
    }

    /// The number of the next packet, counted on over the turns.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Remembers the next packet. No packet is longer than an Ethernet frame and some bytes.
    pub fn push(&mut self, at: Micros, bytes: usize, probe: Option<u8>) {
        self.packets[(self.count % REMEMBERED) as usize] = Packet::new(at, bytes, probe);
        self.count += 1;
    }

    /// Forgets all packets that were sent. The numbers go on.
    pub fn forget(&mut self) {
        self.from = self.count;
    }

    /// The first number that is remembered.
    fn oldest(&self) -> u64 {
        self.from.max(self.count.saturating_sub(REMEMBERED))
    }

    /// Takes what a feedback packet says, from its base number on. Replaces `reports` by what has become of packets meanwhile, in
    /// the order of their numbers; each packet is there once. Of numbers that were never sent, or are forgotten, nothing is reported.
    pub fn take(&mut self, now: Micros, body: &[u8], reports: &mut Vec<Report>) {
        reports.clear();
        let oldest = self.oldest();
        let known = self.count - oldest;
        let remembered = Known {
            first: oldest as u16,
            count: known as u16,
        };
        let Some((head, statuses)) = Statuses::read(body, |_| remembered) else {
            return;
        };
        let behind = u64::from((self.count as u16).wrapping_sub(head.base));
        // A base that is more than half a turn behind is one that was never sent.
        let first = match behind <= 1 << 15 {
            true => self.count.saturating_sub(behind),
            false => self.count,
        };
        self.judge(now, first.min(self.reported), reports);
        self.judged = self.judged.min(first);
        let reference = self.clock.unwrap(head.reference);
        for status in statuses {
            let behind = u64::from((self.count as u16).wrapping_sub(status.number));
            if !(1..=known).contains(&behind) {
                continue;
            }
            let packet = &mut self.packets[((self.count - behind) % REMEMBERED) as usize];
            match (status.arrival, packet.fate()) {
                (Some(arrival), Fate::Unknown | Fate::Missing | Fate::Lost) => {
                    packet.set_fate(Fate::Arrived);
                    let arrived = (reference + arrival).max(0) as Micros;
                    reports.push(packet.report(now, Some(arrived)));
                }
                (None, Fate::Unknown) => packet.set_fate(Fate::Missing),
                _ => {}
            }
        }
        self.reported = self.reported.max((first + u64::from(head.count)).min(self.count));
    }

    /// Reports the packets before `end` as lost that were missing, and of which this feedback does not tell either.
    fn judge(&mut self, now: Micros, end: u64, reports: &mut Vec<Report>) {
        for number in self.judged.max(self.oldest())..end {
            let packet = &mut self.packets[(number % REMEMBERED) as usize];
            if packet.fate() == Fate::Missing {
                packet.set_fate(Fate::Lost);
                reports.push(packet.report(now, None));
            }
        }
        self.judged = self.judged.max(end);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The sender's time in these tests: packet `number` is sent at this time.
    fn at(number: u64) -> Micros {
        number.saturating_mul(400)
    }

    /// Feedback from `base` on: for each number, whether it came. All that came did so 1 ms after the one before.
    fn feedback(base: u16, came: &[bool]) -> Vec<u8> {
        let mut body = [base.to_be_bytes(), (came.len() as u16).to_be_bytes()].concat();
        body.extend_from_slice(&[0, 0, 1, 0]);
        for chunk in came.chunks(14) {
            let bits = (0..)
                .zip(chunk)
                .fold(0_u16, |bits, (at, &came)| bits | u16::from(came) << (13 - at));
            body.extend_from_slice(&(0x8000 | bits).to_be_bytes());
        }
        body.extend(came.iter().filter(|&&came| came).map(|_| 4));
        body
    }

    /// Numbers with `true` for those that came.
    fn take(sent: &mut Sent, now: Micros, body: &[u8]) -> Vec<(u64, bool)> {
        let mut reports = Vec::new();
        sent.take(now, body, &mut reports);
        let fates = reports
            .iter()
            .map(|report| (report.sent / 400, report.arrived.is_some()));
        fates.collect()
    }

    fn sent(count: u64) -> Sent {
        let mut sent = Sent::new();
        (0..count)
            .for_each(|number| sent.push(at(number), 100 + (number % 1_300) as usize, Some((number % 256) as u8)));
        sent
    }

    #[test]
    fn a_packet_is_reported_with_all_that_is_known_of_it_until_so_many_newer_ones_were_sent() {
        let mut sent = Sent::new();
        let (mut reports, mut reported) = (Vec::new(), BTreeSet::new());
        // Over the turn of the numbers.
        for number in 0..70_000_u64 {
            let probe = (number % 3 == 0).then_some((number % 256) as u8);
            sent.push(at(number), 100 + (number % 1_300) as usize, probe);
            if number % 997 == 0 {
                let first = (number + 1).saturating_sub(REMEMBERED);
                let mut covered = vec![
                    (number, true),
                    (first, true),
                    (first.wrapping_sub(1), false),
                    (number + 1, false),
                ];
                covered.dedup();
                for (covered, expected) in covered.into_iter().filter(|(covered, _)| *covered < 1 << 32) {
                    sent.take(at(number) + 5, &feedback(covered as u16, &[true]), &mut reports);
                    let report = Report {
                        sent: at(covered),
                        bytes: 100 + (covered % 1_300) as u32,
                        arrived: reports.first().and_then(|report| report.arrived),
                        probe: (covered % 3 == 0).then_some((covered % 256) as u8),
                    };
                    // What has come is reported once.
                    let expected = expected && reported.insert(covered);
                    assert_eq!(reports.first(), expected.then_some(&report), "{covered} of {number}");
                }
            }
        }
    }

    #[test]
    fn a_missing_packet_is_lost_with_the_next_feedback_and_may_come_all_the_same() {
        let mut sent = sent(10);
        let fates = take(&mut sent, 9_000, &feedback(0, &[true, false, true, false, true]));
        assert_eq!(fates, [(0, true), (2, true), (4, true)], "nothing is lost yet");
        let fates = take(&mut sent, 9_000, &feedback(1, &[true, true, false, true, true]));
        assert_eq!(fates, [(1, true), (5, true)], "1 was only late, and 3 may be");
        let fates = take(&mut sent, 9_000, &feedback(6, &[true]));
        assert_eq!(fates, [(3, false), (6, true)]);
        let fates = take(&mut sent, 9_000, &feedback(3, &[true]));
        assert_eq!(fates, [(3, true)], "what was lost has come");
        assert_eq!(take(&mut sent, 9_000, &feedback(3, &[true, false])), []);
    }

    #[test]
    fn what_no_feedback_tells_of_is_not_lost() {
        let mut sent = sent(10);
        assert_eq!(take(&mut sent, 9_000, &feedback(0, &[true])), [(0, true)]);
        // The feedback about 1 to 4 was lost itself.
        assert_eq!(take(&mut sent, 9_000, &feedback(5, &[true])), [(5, true)]);
        assert_eq!(take(&mut sent, 9_000, &feedback(6, &[true])), [(6, true)]);
    }

    #[test]
    fn feedback_that_lies_reports_each_packet_once_at_most() {
        let mut sent = sent(3_000);
        let all_lost = |base: u16| {
            let mut body = [base.to_be_bytes(), 65_000_u16.to_be_bytes()].concat();
            body.extend_from_slice(&[0, 0, 1, 0]);
            body.extend([0x1f, 0xff].repeat(8));
            body
        };
        // Numbers that were never sent, and those that are forgotten.
        assert_eq!(take(&mut sent, at(3_000), &feedback(3_000, &[true; 500])), []);
        assert_eq!(take(&mut sent, at(3_000), &feedback(0, &[true; 900])), []);
        assert_eq!(take(&mut sent, at(3_000), &all_lost(0)), []);
        let lost = take(&mut sent, at(3_000), &all_lost(3_500));
        assert_eq!(lost.len(), REMEMBERED as usize);
        assert_eq!(take(&mut sent, at(3_000), &all_lost(7)), []);
        let came = take(&mut sent, at(3_000), &feedback(952, &vec![true; 2_048]));
        assert_eq!(came.len(), REMEMBERED as usize, "everything at once");
        assert!(came.iter().is_sorted());
        assert_eq!(take(&mut sent, at(3_000), &feedback(952, &vec![true; 2_048])), []);
    }

    #[test]
    fn of_what_is_forgotten_nothing_is_reported() {
        let mut sent = sent(10);
        assert_eq!(take(&mut sent, 9_000, &feedback(0, &[true, false])), [(0, true)]);
        sent.forget();
        sent.push(at(10), 100, None);
        assert_eq!(take(&mut sent, 9_000, &feedback(1, &[false; 9])), []);
        assert_eq!(take(&mut sent, 9_000, &feedback(10, &[true])), [(10, true)]);
    }

    #[test]
    fn times_go_on_over_their_turn() {
        let turn = 1 << TIME_BITS;
        let mut sent = Sent::new();
        sent.push(turn - 10, 100, None);
        sent.push(turn + 10, 100, None);
        let mut reports = Vec::new();
        sent.take(turn + 500, &feedback(0, &[true, true]), &mut reports);
        let times: Vec<Micros> = reports.iter().map(|report| report.sent).collect();
        assert_eq!(times, [turn - 10, turn + 10]);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        assert!(size_of::<Sent>() <= 16 * 1_024 + 64);
    }
}
