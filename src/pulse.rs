//! The pulse of a loop that must never stand still: the loop records when it last turned, and others read that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time without a turn after which a loop counts as standing still. The media workers and the hub turn at least once a
/// second.
pub(crate) const STANDS_STILL_AFTER: Duration = Duration::from_secs(2);

/// The time of one loop's last turn. Cheap to clone: all clones belong to the same loop.
#[derive(Clone, Debug)]
pub struct Pulse {
    begun: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Pulse {
    /// The pulse of a loop that begins now.
    pub fn new(now: Instant) -> Pulse {
        Pulse {
            begun: now,
            last_ms: Arc::default(),
        }
    }

    /// Records a turn of the loop.
    pub fn beat(&self, now: Instant) {
        self.last_ms.store(self.since_begun_ms(now), Ordering::Relaxed);
    }

    /// Milliseconds from the loop's start to its last turn. If the number differs from an earlier one, the loop has
    /// turned since.
    pub(crate) fn last_ms(&self) -> u64 {
        self.last_ms.load(Ordering::Relaxed)
    }

    pub fn stands_still(&self, now: Instant) -> bool {
        let silence_ms = self.since_begun_ms(now).saturating_sub(self.last_ms());
        u128::from(silence_ms) >= STANDS_STILL_AFTER.as_millis()
    }

    fn since_begun_ms(&self, now: Instant) -> u64 {
        let since_begun = now.saturating_duration_since(self.begun);
        u64::try_from(since_begun.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_stands_still_two_seconds_after_its_last_turn() {
        #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let pulse = Pulse::new(begun);
        assert!(!pulse.stands_still(at(1_999)));
        assert!(pulse.stands_still(at(2_000)), "it has not turned once");
        pulse.clone().beat(at(5_000));
        assert_eq!(pulse.last_ms(), 5_000);
        assert!(!pulse.stands_still(at(6_999)));
        assert!(pulse.stands_still(at(7_000)));
        assert!(!pulse.stands_still(at(4_000)), "asked with a time before its turn");
    }
}
