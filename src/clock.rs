//! The time, given to those who need it: the date, for certificates, expiry and time stamps; and the time that has
//! passed, for pauses and rates, which must not change when somebody corrects the clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time passed since some fixed moment.
pub type MonotonicClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The date and time of day.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Seconds since 1970-01-01 UTC.
pub(crate) fn now_s(clock: &WallClock) -> i64 {
    seconds(clock())
}

/// A time in seconds since 1970-01-01 UTC.
pub(crate) fn seconds(at: SystemTime) -> i64 {
    let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

/// Time since 1970-01-01 UTC.
pub(crate) fn since_1970(clock: &WallClock) -> Duration {
    clock().duration_since(UNIX_EPOCH).unwrap_or_default()
}
