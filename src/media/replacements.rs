//! The limit on how often a lost worker is replaced.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Replacements of one worker within [`PERIOD`]. More would spend the machine on a worker that dies of everything that it gets;
/// fewer would leave its place empty for a minute because of one bad call.
const MOST: usize = 3;
/// The time in which replacements count. This is also the longest time for which a worker's place stays empty before the next
/// try.
const PERIOD: Duration = Duration::from_secs(60);

/// The latest replacements of one worker.
#[derive(Debug, Default)]
pub(crate) struct Replacements {
    times: VecDeque<Instant>,
}

impl Replacements {
    /// Whether the worker may be replaced now. If so, this counts as a replacement.
    pub(crate) fn may(&mut self, now: Instant) -> bool {
        let is_over = |time: &Instant| now.saturating_duration_since(*time) >= PERIOD;
        while self.times.front().is_some_and(is_over) {
            self.times.pop_front();
        }
        let may = self.times.len() < MOST;
        if may {
            self.times.push_back(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_replaced_three_times_a_minute_and_then_left_out_until_the_minute_is_over() {
        #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
        let start = Instant::now();
        let mut replacements = Replacements::default();
        let mut may = |seconds| replacements.may(start + Duration::from_secs(seconds));
        assert_eq!([0, 10, 20, 21, 59].map(&mut may), [true, true, true, false, false]);
        assert_eq!([60, 61, 69, 70].map(&mut may), [true, false, false, true]);
    }
}
