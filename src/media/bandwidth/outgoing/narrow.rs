//! A path that has just become slow. Its queue is full of what was sent before that was known, and what comes then finds no room: first
//! the key frame of the lower layer, for which a viewer waits. So no more is to be sent than leaves the queue, until that is short.

use super::Micros;
use super::control::TARGET_MIN;

/// A path of less is narrow, in bits per second: it takes long to empty its queue.
pub(super) const NARROW: u64 = 450_000;
/// The longest queue that is supposed. What is beyond has found no room, mostly.
const QUEUE_MAX: Micros = 300_000;
/// The times in which the queue is surely long, and surely short again.
const LEAST: Micros = 500_000;
const MOST: Micros = 2_000_000;
/// A queue of the last moments below this is short.
const SHORT: Micros = 30_000;

/// What is known of such a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Narrow {
    /// The time at which that became known.
    pub since: Micros,
    /// The rate at which packets leave the queue, in bits per second.
    pub bits_per_second: u64,
    /// The bytes in the queue at that time.
    pub queued: u64,
}

impl Narrow {
    /// `under_way` is what was sent and is not reported yet.
    pub(super) fn new(now: Micros, bits_per_second: u64, under_way: u64) -> Narrow {
        let bits_per_second = bits_per_second.max(TARGET_MIN);
        Narrow {
            since: now,
            bits_per_second,
            queued: under_way.min(bits_per_second * QUEUE_MAX / 8_000_000),
        }
    }

    /// The time that its queue takes to empty.
    pub(super) fn queue(&self) -> Micros {
        self.queued * 8_000_000 / self.bits_per_second
    }

    /// Follows the rate of packets that wait, if that is known, and the queue of the last moments. False once that is short.
    pub(super) fn follow(&mut self, now: Micros, rate: Option<u64>, hasty: Micros) -> bool {
        let rate = rate.map_or(u64::MAX, |rate| rate.max(TARGET_MIN));
        self.bits_per_second = self.bits_per_second.min(rate);
        let passed = now.saturating_sub(self.since);
        passed <= LEAST || (passed <= MOST && hasty > SHORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_until_the_queue_is_short_and_not_for_ever() {
        let mut narrow = Narrow::new(1_000_000, 400_000, 5_000);
        assert_eq!((narrow.queued, narrow.queue()), (5_000, 100_000));
        assert!(narrow.follow(1_400_000, None, 0), "what is reported was sent before");
        assert!(narrow.follow(1_600_000, Some(200_000), 40_000));
        assert!(narrow.follow(1_700_000, Some(300_000), 40_000));
        assert_eq!(narrow.bits_per_second, 200_000);
        assert!(!narrow.follow(1_800_000, None, 20_000));
        assert!(!narrow.follow(3_100_000, None, 200_000));
    }

    #[test]
    fn what_is_more_than_a_usual_queue_found_no_room() {
        assert_eq!(Narrow::new(0, 400_000, 100_000).queued, 15_000);
    }
}
