//! How fast somebody may do something: a stock that empties with use and fills with time.

use tokio::time::Instant;

pub struct TokenBucket {
    tokens: f64,
    capacity: f64,
    per_second: f64,
    filled_at: Instant,
}

impl TokenBucket {
    /// Full.
    pub fn new(capacity: u32, per_second: u32, now: Instant) -> Self {
        Self {
            tokens: capacity.into(),
            capacity: capacity.into(),
            per_second: per_second.into(),
            filled_at: now,
        }
    }

    /// Whether there was enough.
    pub fn take(&mut self, price: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.capacity);
        self.filled_at = now;
        let enough = self.tokens >= price.into();
        if enough {
            self.tokens -= f64::from(price);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_only_what_time_brings() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, 2, start);
        assert!(bucket.take(10, start));
        assert!(!bucket.take(1, start));
        let later = start + Duration::from_millis(500);
        assert!(bucket.take(1, later));
        assert!(!bucket.take(1, later));
        let much_later = start + Duration::from_secs(3_600);
        assert!(bucket.take(10, much_later), "it fills up");
        assert!(!bucket.take(1, much_later), "and no further");
    }
}
