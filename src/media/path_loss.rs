//! The share of packets that a path loses, smoothed: what is done about losses should begin soon and not change with each report. Pure.

use std::time::{Duration, Instant};

/// Time between two values that count.
const INTERVAL: Duration = Duration::from_millis(200);
/// The times in which it comes near to a value that is worse than those before it, and near to one that is better.
const WORSE_WITHIN: f32 = 0.7;
const BETTER_WITHIN: f32 = 10.0;
/// Longest time that a value stands for.
const STANDS_FOR: Duration = Duration::from_secs(2);
/// Time after which nothing is known any more, because the client has told of nothing.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// What a connection's client tells of losses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PathLoss {
    /// The share that is lost, in 1/256.
    loss: f32,
    at: Option<Instant>,
}

impl PathLoss {
    /// Takes the share of packets that were lost lately, in 1/256. False if it came too soon after the last one.
    pub fn update(&mut self, now: Instant, lost_256: u8) -> bool {
        let passed = self.at.map_or(INTERVAL, |at| now.saturating_duration_since(at));
        if passed < INTERVAL {
            return false;
        }
        self.at = Some(now);
        let lost = f32::from(lost_256);
        let within = if lost > self.loss { WORSE_WITHIN } else { BETTER_WITHIN };
        self.loss += (lost - self.loss) * (1.0 - (-passed.min(STANDS_FOR).as_secs_f32() / within).exp());
        true
    }

    /// The share that is lost, in 1/256. 0 if nothing is known.
    pub fn in_256(&self, now: Instant) -> u8 {
        let is_known = self.at.is_some_and(|at| now.saturating_duration_since(at) < KNOWN_FOR);
        // The cast saturates; the value is in range anyway.
        if is_known { self.loss.round() as u8 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    /// What is known after the same value came every `interval_ms` for a time.
    fn after(loss: &mut PathLoss, from: u64, until: u64, interval_ms: usize, lost_256: u8) -> u8 {
        for millis in (from..until).step_by(interval_ms) {
            loss.update(at(millis), lost_256);
        }
        loss.in_256(at(until))
    }

    #[test]
    fn a_second_of_losses_is_nearly_believed_however_often_it_is_told() {
        for interval_ms in [20, 50, 100, 250] {
            let known = after(&mut PathLoss::default(), 0, 1_000, interval_ms, 100);
            assert!((70..=85).contains(&known), "{interval_ms}: {known}");
        }
        assert!(after(&mut PathLoss::default(), 0, 3_000, 1_000, 100) >= 80);
        let mut loss = PathLoss::default();
        assert!(loss.update(at(0), 100) && !loss.update(at(199), 100) && loss.update(at(200), 100));
    }

    #[test]
    fn a_moment_without_losses_changes_little_and_half_a_minute_much() {
        let mut loss = PathLoss::default();
        assert_eq!(after(&mut loss, 0, 5_000, 100, 26), 26);
        assert!(after(&mut loss, 5_000, 6_000, 100, 0) >= 23);
        assert!(after(&mut loss, 6_000, 36_000, 100, 0) <= 2);
    }

    #[test]
    fn what_was_told_long_ago_is_forgotten() {
        let mut loss = PathLoss::default();
        after(&mut loss, 0, 5_000, 200, 26);
        assert_eq!(loss.in_256(at(14_700)), 26);
        assert_eq!(loss.in_256(at(14_801)), 0);
    }
}
