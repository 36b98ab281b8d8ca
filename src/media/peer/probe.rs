//! When each packet of a probe is sent: at the probe's rate, but not more often than every few milliseconds.

use std::time::{Duration, Instant};

use crate::media::bandwidth::outgoing::Probe;

/// Shortest time between two turns of a probe. Each turn may wake the worker; the estimator looks at groups of 5 ms.
pub(crate) const TURN: Duration = Duration::from_millis(2);
/// Packets of one turn. If the worker has been late, the rest follows in later turns.
const PACKETS_PER_TURN: u32 = 16;
/// Time after which a probe ends, whatever was sent of it. At the lowest rates eight packets take a second and a half.
const LASTS_AT_MOST: Duration = Duration::from_secs(2);
/// The least rate at which a probe is sent.
const MIN_BITS_PER_SECOND: u64 = 10_000;

/// A probe that is being sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    probe: Probe,
    began: Instant,
    /// Bytes sent since it began, and those of its own packets.
    bytes: u64,
    own: u64,
    packets: u32,
    in_turn: u32,
    /// Packets of the copy that were passed over or sent again, from the newest one on.
    pub back: u16,
}

impl Probing {
    pub(crate) fn new(now: Instant, probe: Probe) -> Probing {
        Probing {
            probe,
            began: now,
            bytes: 0,
            own: 0,
            packets: 0,
            in_turn: 0,
            back: 0,
        }
    }

    pub(crate) fn cluster(&self) -> u8 {
        self.probe.cluster
    }

    /// Begins a turn. Call [`Probing::wants`] before each of its packets.
    pub(crate) fn begin_turn(&mut self) {
        self.in_turn = 0;
    }

    /// Whether a packet is to be sent now.
    pub(crate) fn wants(&self, now: Instant) -> bool {
        !self.is_over(now) && self.in_turn < PACKETS_PER_TURN && self.next(self.began) <= now
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.own += bytes as u64;
        self.packets += 1;
        self.in_turn += 1;
    }

    /// Counts media that are sent meanwhile: they are a part of the probe's rate.
    pub(crate) fn sent_media(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Whether all of it has been sent, or it has lasted too long.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let is_done = self.bytes >= u64::from(self.probe.bytes) && self.packets >= u32::from(self.probe.packets_min);
        is_done || now.saturating_duration_since(self.began) >= LASTS_AT_MOST
    }

    /// Time of the next turn.
    pub(crate) fn next_turn(&self, now: Instant) -> Instant {
        self.next(now + TURN)
    }

    /// Time at which the next packet is due, though not before `earliest`.
    fn next(&self, earliest: Instant) -> Instant {
        let rate = self.probe.bits_per_second.max(MIN_BITS_PER_SECOND);
        let time = |bytes: u64| bytes.saturating_mul(8_000_000) / rate;
        let mut micros = time(self.bytes);
        if self.packets < u32::from(self.probe.packets_min) {
            // Media alone may be more than the probe's rate. The packets that it needs are sent in its time all the same.
            let share = u64::from(self.probe.bytes) * u64::from(self.packets) / u64::from(self.probe.packets_min);
            micros = micros.min(time(share.max(self.own)));
        }
        earliest.max(self.began + Duration::from_micros(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    /// The times in microseconds, and sizes, of the packets of a probe whose turns come when they should.
    fn packets(bits_per_second: u64, bytes: u32, packets_min: u8, size: usize) -> Vec<(u64, usize)> {
        let probe = Probe {
            cluster: 1,
            bits_per_second,
            bytes,
            packets_min,
        };
        let (mut probing, mut now, mut sent) = (Probing::new(epoch(), probe), epoch(), Vec::new());
        loop {
            probing.begin_turn();
            while probing.wants(now) {
                probing.sent(size);
                sent.push(((now - epoch()).as_micros() as u64, size));
            }
            if probing.is_over(now) {
                return sent;
            }
            now = probing.next_turn(now);
        }
    }

    #[test]
    fn a_probe_is_sent_at_its_rate_in_turns_of_two_milliseconds() {
        for rate in [300_000, 900_000, 3_000_000, 20_000_000] {
            let sent = packets(rate, (rate / 8 / 50) as u32, 8, 1_100);
            let last = sent[sent.len() - 1].0;
            let all: usize = sent.iter().map(|(_, size)| size).sum();
            assert!(sent.len() >= 8 && all as u64 >= rate / 8 / 50);
            // The bytes before the last packet were sent in the time before it.
            let measured = (all - 1_100) as u64 * 8_000_000 / last.max(1);
            assert!(measured.abs_diff(rate) < rate / 4, "{measured} of {rate}");
            let mut turns: Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
            turns.dedup();
            assert!(turns.windows(2).all(|pair| pair[1] - pair[0] >= 2_000));
        }
    }

    #[test]
    fn a_probe_without_end_ends() {
        // Two seconds at the least rate.
        let sent = packets(1, u32::MAX, 255, 100);
        assert!((25..=26).contains(&sent.len()), "{}", sent.len());
        let sent = packets(u64::MAX, u32::MAX, 255, 1);
        assert!(sent.len() as u32 <= PACKETS_PER_TURN * 1_001, "{}", sent.len());
    }

    #[test]
    fn media_that_are_sent_meanwhile_are_a_part_of_a_probe() {
        let probe = Probe {
            cluster: 1,
            bits_per_second: 800_000,
            bytes: 20_000,
            packets_min: 6,
        };
        let mut probing = Probing::new(epoch(), probe);
        probing.sent(1_000);
        // Three kilobytes at 800 kb/s take 30 ms.
        probing.sent_media(2_000);
        assert!(!probing.wants(epoch() + Duration::from_millis(29)));
        assert!(probing.wants(epoch() + Duration::from_millis(30)));
        (0..6).for_each(|_| probing.sent(1_000));
        assert!(!probing.is_over(epoch()));
        probing.sent_media(11_000);
        assert!(probing.is_over(epoch()));
    }

    #[test]
    fn media_beyond_its_rate_leave_a_probe_the_packets_that_it_needs() {
        let probe = Probe {
            cluster: 1,
            bits_per_second: 800_000,
            bytes: 12_000,
            packets_min: 6,
        };
        let mut probing = Probing::new(epoch(), probe);
        for packet in 0..6 {
            probing.sent_media(5_000);
            // Twelve kilobytes at 800 kb/s take 120 ms: a packet each 20 ms.
            let due = epoch() + Duration::from_millis(20 * packet);
            assert!(!probing.wants(due - Duration::from_millis(1)) || packet == 0);
            assert!(probing.wants(due));
            probing.sent(1_000);
        }
        assert!(probing.is_over(epoch()));
    }

    #[test]
    fn a_turn_that_comes_late_makes_up_for_a_part_only() {
        let probe = Probe {
            cluster: 1,
            bits_per_second: 8_000_000,
            bytes: 1_000_000,
            packets_min: 8,
        };
        let mut probing = Probing::new(epoch(), probe);
        let late = epoch() + Duration::from_millis(100);
        probing.begin_turn();
        while probing.wants(late) {
            probing.sent(1_000);
        }
        assert_eq!(probing.packets, PACKETS_PER_TURN);
    }
}
