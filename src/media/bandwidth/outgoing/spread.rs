//! How far apart packets arrive that were sent at once and waited: each as long after the one before as the narrowest place of the path
//! takes for it. So three packets tell a slow path, whatever else is sent. A longer route delays all of them alike, and is none.

use super::Micros;

/// A packet that was delayed by more than this has waited.
const WAITED: Micros = 20_000;
/// Packets of one burst leave within this time.
const AT_ONCE: Micros = 1_000;
/// Packets of a burst, the time from the first to the last, and the wait of the last, from which on their rate is believed.
const PACKETS_MIN: u32 = 3;
const TIME_MIN: Micros = 40_000;
const WAIT_MIN: Micros = 60_000;
/// The longest gap between two of them is no more than so many percent of the whole time. A radio link that stood still has one long gap.
const GAP_PERCENT: u64 = 60;
/// The time after which a burst says nothing of the path as it is now.
const KEPT: Micros = 300_000;

#[derive(Default)]
pub(super) struct Spread {
    sent: Micros,
    /// The arrivals of the burst's first packet and of its newest one.
    first: Micros,
    last: Micros,
    /// The arrival of the newest packet of all.
    newest: Micros,
    packets: u32,
    /// Bytes without those of the first packet.
    bytes: u32,
    longest_gap: Micros,
    /// The rate of the newest burst of two packets or more, whether it is believed, and the arrival of its newest packet.
    rate: Option<(u64, bool, Micros)>,
}

impl Spread {
    /// Takes in a packet that arrived, and the time for which it waited in queues.
    pub(super) fn packet(&mut self, sent: Micros, arrived: Micros, bytes: u32, waited: Micros) {
        if waited <= WAITED || arrived < self.newest {
            *self = Spread::default();
        }
        if waited <= WAITED {
            return;
        }
        self.newest = arrived;
        if self.packets == 0 || sent.abs_diff(self.sent) > AT_ONCE {
            (self.sent, self.first, self.last) = (sent, arrived, arrived);
            (self.packets, self.bytes, self.longest_gap) = (1, 0, 0);
            return;
        }
        self.longest_gap = self.longest_gap.max(arrived - self.last);
        self.last = arrived;
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let time = arrived - self.first;
        let is_even = self.longest_gap <= time / 100 * GAP_PERCENT;
        let is_believed = self.packets >= PACKETS_MIN && time >= TIME_MIN && waited > WAIT_MIN && is_even;
        self.rate = Some((u64::from(self.bytes) * 8_000_000 / time.max(1), is_believed, arrived));
    }

    /// The rate in bits per second, if enough packets of the newest burst have come.
    pub(super) fn rate(&self) -> Option<u64> {
        self.known()
            .filter(|(_, is_believed)| *is_believed)
            .map(|(rate, _)| rate)
    }

    /// The rate of as many of them as have come, two at least. It only confirms what is known otherwise.
    pub(super) fn hint(&self) -> Option<u64> {
        self.known().map(|(rate, _)| rate)
    }

    fn known(&self) -> Option<(u64, bool)> {
        let young = self.rate.filter(|(_, _, at)| self.newest - at < KEPT);
        young.map(|(rate, is_believed, _)| (rate, is_believed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after a burst of 1,000 bytes each, whose packets arrive after so many milliseconds.
    fn burst(spread: &mut Spread, sent_ms: u64, waits_ms: &[u64]) -> (Option<u64>, Option<u64>) {
        for wait_ms in waits_ms {
            let (sent, waited) = (sent_ms * 1_000, wait_ms * 1_000);
            spread.packet(sent, sent + waited, 1_000, waited);
        }
        (spread.rate(), spread.hint())
    }

    fn after(waits_ms: &[u64]) -> (Option<u64>, Option<u64>) {
        burst(&mut Spread::default(), 1_000, waits_ms)
    }

    #[test]
    fn three_packets_of_a_burst_that_arrive_one_after_the_other_tell_a_slow_path() {
        assert_eq!(after(&[30, 55, 80]), (Some(320_000), Some(320_000)));
        assert_eq!(after(&[30, 55]), (None, Some(320_000)), "they are too few");
        assert_eq!(
            after(&[5, 30, 55, 80]),
            (Some(320_000), Some(320_000)),
            "the first did not wait"
        );
        assert_eq!(after(&[5, 10, 15]), (None, None), "none has waited");
        assert_eq!(after(&[25, 35, 45]).0, None, "they have hardly waited");
        assert_eq!(after(&[60, 70, 80]).0, None, "the time is too short");
    }

    #[test]
    fn a_longer_route_and_a_pause_of_a_radio_link_are_no_slow_path() {
        assert_eq!(after(&[68, 70, 72, 74]).0, None);
        assert_eq!(after(&[30, 130, 132]).0, None);
        let mut spread = Spread::default();
        for at in 0..20 {
            // Packets that are sent one by one, on a route that has become longer.
            assert_eq!(burst(&mut spread, 1_000 + 20 * at, &[68]), (None, None));
        }
    }

    #[test]
    fn a_rate_ends_with_the_queue_with_another_burst_and_with_time() {
        let known = || {
            let mut spread = Spread::default();
            assert!(burst(&mut spread, 1_000, &[30, 55, 80]).0.is_some());
            spread
        };
        assert_eq!(burst(&mut known(), 1_100, &[5]), (None, None));
        assert_eq!(burst(&mut known(), 1_100, &[61, 62, 63]).0, None);
        assert_eq!(
            burst(&mut known(), 1_040, &[30]),
            (None, None),
            "it has overtaken another"
        );
        let mut spread = known();
        assert!(burst(&mut spread, 1_200, &[70]).0.is_some());
        assert_eq!(burst(&mut spread, 1_350, &[70]), (None, None));
    }
}
