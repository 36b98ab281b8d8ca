//! The time, handed to those who need it: what day it is, for dates in certificates, the expiry of what is kept, and time
//! stamps; and how much time has passed, for pauses and rates, which a corrected clock must not change.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// How much time has passed since some moment.
pub type MonotonicClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What day it is.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Seconds since 1970-01-01 UTC.
pub fn now_s(clock: &WallClock) -> i64 {
    let since_epoch = clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}
