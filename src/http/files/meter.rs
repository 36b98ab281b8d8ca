//! The speed of an upload, checked once a second.

use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::shares::Pace;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A longer time between two checks means that the server was busy, perhaps with its disk.
const BUSY_FOR: Duration = Duration::from_secs(3);

pub(super) struct Meter {
    bytes_per_s: u64,
    patience: Duration,
    ticks: Interval,
    pace: Option<(Pace, Instant)>,
    /// Bytes since the last check.
    moved: u64,
}

impl Meter {
    /// A meter that begins now.
    pub(super) fn new(bytes_per_s: u64, patience: Duration) -> Self {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            bytes_per_s,
            patience,
            ticks,
            pace: None,
            moved: 0,
        }
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
    }

    /// Returns when the upload has been too slow. Cancel-safe.
    pub(super) async fn too_slow(&mut self) {
        loop {
            let now = self.ticks.tick().await.into_std();
            if self.look(now) {
                return;
            }
        }
    }

    fn look(&mut self, now: Instant) -> bool {
        let fresh = || (Pace::new(self.bytes_per_s, self.patience, now), now);
        let (pace, last) = self.pace.get_or_insert_with(fresh);
        if now.saturating_duration_since(*last) > BUSY_FOR {
            pace.excuse(now);
        }
        *last = now;
        pace.moved(std::mem::take(&mut self.moved), now);
        pace.is_too_slow(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{sleep, timeout};

    /// The time that an upload of `bytes` bytes in each `every` lasts, up to a minute.
    async fn lasts(bytes: usize, every: Duration) -> Duration {
        let start = tokio::time::Instant::now();
        let mut meter = Meter::new(8_000, Duration::from_secs(15));
        while start.elapsed() < Duration::from_secs(60) {
            if timeout(every, meter.too_slow()).await.is_ok() {
                break;
            }
            meter.moved(bytes);
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_every_nine_seconds_is_too_slow_and_the_least_speed_is_not() {
        assert!(lasts(1, Duration::from_secs(9)).await <= Duration::from_secs(17));
        assert!(lasts(0, Duration::from_secs(1)).await <= Duration::from_secs(17));
        assert!(lasts(8_000, Duration::from_secs(1)).await >= Duration::from_secs(60));
        assert!(lasts(80_000, Duration::from_secs(10)).await >= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_disk_is_not_the_clients_fault() {
        let mut meter = Meter::new(8_000, Duration::from_secs(15));
        for _ in 0..5 {
            sleep(Duration::from_secs(30)).await;
            let too_slow = timeout(Duration::from_secs(2), meter.too_slow()).await;
            assert!(too_slow.is_err());
        }
    }
}
