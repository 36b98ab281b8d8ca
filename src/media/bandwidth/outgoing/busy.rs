//! The rate at which the narrowest place of the path sends our packets while they wait there.
//!
//! It is known after a few packets, and is no less exact on a slow path: it reaches from one packet to another, and holds nothing of
//! the time before there was a queue. What others send through the same place is not in it.

use super::Micros;

/// A packet that was delayed by more than this has waited.
const WAITED: Micros = 20_000;
/// Packets that waited one after the other, and the time from the first to the last, before they tell a rate.
const PACKETS_MIN: u32 = 6;
const TIME_MIN: Micros = 60_000;
/// The length of a stretch. The last one that ended counts, too, so that at most twice as much is looked back.
const STRETCH: Micros = 150_000;

/// Packets that waited one after the other.
#[derive(Clone, Copy, Default)]
struct Stretch {
    /// The arrival of the first of them.
    first: Micros,
    packets: u32,
    /// Bytes without those of the first packet.
    bytes: u32,
}

impl Stretch {
    fn beginning(arrived: Micros) -> Stretch {
        Stretch {
            first: arrived,
            packets: 1,
            bytes: 0,
        }
    }
}

#[derive(Default)]
pub(super) struct Busy {
    before: Stretch,
    newest: Stretch,
    /// The arrival of the last packet that waited.
    last: Micros,
}

impl Busy {
    /// Takes in a packet that arrived, the time for which it waited in queues, and whether nothing arrived for long before it, though it
    /// was under way: then it waited behind none.
    pub(super) fn packet(&mut self, arrived: Micros, bytes: u32, waited: Micros, is_after_standstill: bool) {
        if waited <= WAITED || arrived < self.last || is_after_standstill {
            *self = Busy::default();
        }
        if waited <= WAITED {
            return;
        }
        self.last = arrived;
        let newest = &mut self.newest;
        if newest.packets == 0 {
            *newest = Stretch::beginning(arrived);
            return;
        }
        newest.packets = newest.packets.saturating_add(1);
        newest.bytes = newest.bytes.saturating_add(bytes);
        if arrived - newest.first >= STRETCH {
            self.before = *newest;
            // The packet that ends a stretch is the first of the next one.
            self.newest = Stretch::beginning(arrived);
        }
    }

    /// The rate in bits per second, if enough packets have waited.
    pub(super) fn rate(&self) -> Option<u64> {
        let first = match self.before.packets {
            0 => self.newest.first,
            _ => self.before.first,
        };
        let time = self.last - first;
        let bytes = u64::from(self.before.bytes) + u64::from(self.newest.bytes);
        let packets = self.before.packets.saturating_add(self.newest.packets);
        (packets >= PACKETS_MIN && time >= TIME_MIN).then(|| bytes * 8_000_000 / time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 300 bytes that arrive at this rate, each after a wait of so long.
    fn packets(busy: &mut Busy, from: Micros, count: u64, bits_per_second: u64, waited: Micros) {
        for at in 0..count {
            busy.packet(from + at * 2_400_000_000 / bits_per_second, 300, waited, false);
        }
    }

    #[test]
    fn a_rate_is_known_after_a_few_packets_that_have_waited() {
        let mut busy = Busy::default();
        packets(&mut busy, 0, 50, 5_000_000, 3_000);
        assert_eq!(busy.rate(), None, "they did not wait");
        packets(&mut busy, 100_000, 5, 200_000, 30_000);
        assert_eq!(busy.rate(), None, "they are too few");
        packets(&mut busy, 160_000, 8, 200_000, 30_000);
        assert_eq!(busy.rate(), Some(200_000));
    }

    #[test]
    fn few_packets_and_a_short_time_tell_no_rate() {
        let mut busy = Busy::default();
        packets(&mut busy, 0, 5, 100_000, 30_000);
        assert_eq!(busy.rate(), None, "five packets in 96 ms");
        let mut busy = Busy::default();
        packets(&mut busy, 0, 20, 1_000_000, 30_000);
        assert_eq!(busy.rate(), None, "twenty packets in 46 ms");
    }

    #[test]
    fn a_packet_that_arrives_before_the_last_one_begins_anew() {
        let mut busy = Busy::default();
        packets(&mut busy, 1_000_000, 40, 200_000, 30_000);
        assert!(busy.rate().is_some());
        busy.packet(900_000, 300, 30_000, false);
        assert_eq!(busy.rate(), None);
        packets(&mut busy, 912_000, 10, 200_000, 30_000);
        assert_eq!(busy.rate(), Some(200_000));
    }

    #[test]
    fn packets_after_a_standstill_did_not_wait_behind_those_before_it() {
        let mut busy = Busy::default();
        packets(&mut busy, 0, 20, 100_000, 30_000);
        assert!(busy.rate().is_some());
        busy.packet(600_000, 300, 100_000, true);
        assert_eq!(busy.rate(), None);
        packets(&mut busy, 600_000, 20, 10_000_000, 90_000);
        assert_eq!(busy.rate(), None, "all of them came at once");
    }

    #[test]
    fn a_rate_follows_the_last_packets_and_ends_with_the_queue() {
        let mut busy = Busy::default();
        packets(&mut busy, 0, 100, 600_000, 30_000);
        assert!(busy.rate().is_some_and(|rate| rate.abs_diff(600_000) < 1_000));
        packets(&mut busy, 400_000, 40, 200_000, 30_000);
        assert!(busy.rate().is_some_and(|rate| rate.abs_diff(200_000) < 1_000));
        busy.packet(900_000, 300, 10_000, false);
        assert_eq!(busy.rate(), None);
    }
}
