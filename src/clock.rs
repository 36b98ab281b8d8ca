//! What day it is, handed to those who need it: for dates in certificates, the expiry of what is kept, and time stamps.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Seconds since 1970-01-01 UTC.
pub fn now_s(clock: &WallClock) -> i64 {
    let since_epoch = clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}
