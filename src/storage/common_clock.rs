//! The clock that all processes of one database have in common: that of the database. What one process records, as when a call was
//! made or somebody was heard of, others compare with the time; the clocks of their machines may differ by a minute and more.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::Records;
use crate::clock::{MonotonicClock, WallClock};

/// Time between two looks at the database's clock. It may be corrected at any time, and calls are made within a second of theirs.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Difference that is left as it is, beside what the way to the database may account for. Records have whole seconds.
const TOLERATED_MS: i64 = 200;

/// Difference that is logged. With a smaller one no clock is wrong.
const LOGGED_MS: i64 = 2_000;

/// The time of the database, as far as it was heard of last, and the time that has passed since. Cheap to clone.
#[derive(Clone)]
pub struct CommonClock {
    passed: MonotonicClock,
    begun: Instant,
    /// Milliseconds since 1970-01-01 UTC at `begun`.
    begun_ms: Arc<AtomicI64>,
}

impl CommonClock {
    /// A clock that shows the time of this machine until it is adjusted.
    pub fn new(machine: &WallClock, passed: MonotonicClock) -> Self {
        let since_epoch = machine().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            begun: passed(),
            begun_ms: Arc::new(AtomicI64::new(milliseconds(since_epoch))),
            passed,
        }
    }

    /// The clock for those who only read it.
    pub fn wall_clock(&self) -> WallClock {
        let clock = self.clone();
        Arc::new(move || {
            let now_ms = clock.at_ms((clock.passed)());
            UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0))
        })
    }

    fn at_ms(&self, at: Instant) -> i64 {
        let begun_ms = self.begun_ms.load(Ordering::Relaxed);
        begun_ms.saturating_add(milliseconds(at.saturating_duration_since(self.begun)))
    }

    /// Puts the clock to the database's time, if it shows another.
    pub async fn adjust(&self, records: &Records) -> Result<(), sqlx::Error> {
        let asked = (self.passed)();
        let database_ms = records.database.now_ms().await?;
        let half_way = (self.passed)().saturating_duration_since(asked) / 2;
        let difference_ms = database_ms.saturating_sub(self.at_ms(asked + half_way));
        if difference_ms.saturating_abs() <= milliseconds(half_way).saturating_add(TOLERATED_MS) {
            return Ok(());
        }
        self.begun_ms.fetch_add(difference_ms, Ordering::Relaxed);
        if difference_ms.saturating_abs() >= LOGGED_MS {
            let ahead_s = difference_ms / 1_000;
            tracing::warn!(
                ahead_s,
                "the database's clock shows another time than ours; its time counts"
            );
        }
        Ok(())
    }

    /// Keeps the clock at the database's time. Never ends.
    pub(crate) async fn keep(self, records: Records) {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            // A storage that fails is reported by those who need it. The clock goes on.
            self.adjust(&records).await.ok();
        }
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
