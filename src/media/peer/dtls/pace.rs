//! The pace of repetitions that a stranger can cause.

use std::time::{Duration, Instant};

/// The least time between two repetitions of a flight: below the 50 ms after which libwebrtc repeats its own.
pub(super) const REPEAT_GAP: Duration = Duration::from_millis(20);

/// Whether the last repetition is long enough ago. If so, `now` becomes the time of the last one.
pub(super) fn is_time(now: Instant, last: &mut Option<Instant>) -> bool {
    let since = last.map(|last| now.saturating_duration_since(last));
    let is_time = since.is_none_or(|since| since >= REPEAT_GAP);
    if is_time {
        *last = Some(now);
    }
    is_time
}
