//! The least speed of a transfer: whoever holds a place with it must make progress.

use std::time::{Duration, Instant};

/// A transfer that has to keep up a least speed, with some patience for pauses. Bytes that have moved buy
/// time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    bytes_per_s: f64,
    patience: Duration,
    /// The moment from which the transfer is too slow, if nothing moves before.
    until: Instant,
}

impl Pace {
    /// `patience` is the longest pause, and the time left at the beginning. `bytes_per_s` is at least 1.
    pub fn new(bytes_per_s: u64, patience: Duration, now: Instant) -> Self {
        Self {
            bytes_per_s: bytes_per_s.max(1) as f64,
            patience,
            until: now + patience,
        }
    }

    /// Records that `bytes` bytes have moved.
    pub(crate) fn moved(&mut self, bytes: u64, now: Instant) {
        let bought = Duration::from_secs_f64((bytes as f64 / self.bytes_per_s).min(self.patience.as_secs_f64()));
        self.until = (self.until + bought).min(now + self.patience);
    }

    /// Restarts the patience: the pause so far was not the other side's fault.
    pub(crate) fn excuse(&mut self, now: Instant) {
        self.until = now + self.patience;
    }

    pub(crate) fn is_too_slow(&self, now: Instant) -> bool {
        now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Seconds after which a transfer of `bytes` bytes each `every_s` seconds has been too slow.
    fn lasts(bytes: u64, every_s: u64) -> Option<u64> {
        let start = epoch();
        let mut pace = Pace::new(1_000, PATIENCE, start);
        for second in 1..3_600 {
            let now = start + Duration::from_secs(second);
            if pace.is_too_slow(now) {
                return Some(second);
            }
            if second % every_s == 0 {
                pace.moved(bytes, now);
            }
        }
        None
    }

    #[test]
    fn a_byte_now_and_then_buys_no_time() {
        assert_eq!(lasts(1, 9), Some(21), "the byte every nine seconds");
        assert_eq!(lasts(0, 1), Some(20));
    }

    #[test]
    fn the_least_speed_lasts_for_ever_in_large_and_in_small_pieces() {
        assert_eq!(lasts(1_000, 1), None);
        assert_eq!(lasts(19_000, 19), None);
        assert_eq!(lasts(500, 1), Some(39), "half of it does not");
    }

    #[test]
    fn what_came_fast_saves_no_more_than_the_patience() {
        let start = epoch();
        let mut pace = Pace::new(1_000, PATIENCE, start);
        pace.moved(1 << 40, start);
        assert!(!pace.is_too_slow(start + Duration::from_secs(19)));
        assert!(pace.is_too_slow(start + PATIENCE));
        pace.excuse(start + PATIENCE);
        assert!(!pace.is_too_slow(start + PATIENCE));
    }
}
