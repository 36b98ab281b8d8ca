//! A limit on how fast somebody may do something: a stock that empties with use and fills with
//! time.

use std::time::Duration;

use tokio::time::Instant;

/// One stock of tokens.
pub(crate) struct TokenBucket {
    tokens: f64,
    capacity: f64,
    per_second: f64,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full stock.
    pub fn new(capacity: u32, per_second: f64, now: Instant) -> Self {
        Self {
            tokens: capacity.into(),
            capacity: capacity.into(),
            per_second,
            filled_at: now,
        }
    }

    /// The same stock with fewer tokens than it can hold.
    pub fn holding(mut self, tokens: u32) -> Self {
        self.tokens = f64::from(tokens).min(self.capacity);
        self
    }

    /// Takes the price if there are enough tokens, and returns whether there were.
    pub fn take(&mut self, price: u32, now: Instant) -> bool {
        self.fill(now);
        let enough = self.tokens >= price.into();
        if enough {
            self.tokens -= f64::from(price);
        }
        enough
    }

    /// Takes the price, which may leave a debt. Returns the time until the debt is paid.
    pub(crate) fn charge(&mut self, price: u32, now: Instant) -> Duration {
        self.fill(now);
        self.tokens -= f64::from(price);
        self.wait(0)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.capacity);
        self.filled_at = self.filled_at.max(now);
    }

    /// The time from the last use until there are `price` tokens.
    pub fn wait(&self, price: u32) -> Duration {
        let missing = (f64::from(price) - self.tokens).max(0.0);
        Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX)
    }

    /// Whether the stock is as full as a new one.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens + passed * self.per_second >= self.capacity
    }

    /// The time when somebody last took tokens, or tried to.
    pub(crate) fn used_at(&self) -> Instant {
        self.filled_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_only_what_time_brings() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, 2.0, start);
        assert!(bucket.take(10, start));
        assert!(!bucket.take(1, start));
        let later = start + Duration::from_millis(500);
        assert!(bucket.take(1, later));
        assert!(!bucket.take(1, later));
        assert_eq!(bucket.wait(1), Duration::from_millis(500));
        assert!(!bucket.is_full(later));
        let much_later = start + Duration::from_secs(3_600);
        assert!(bucket.is_full(much_later));
        assert!(bucket.take(10, much_later), "it fills up");
        assert!(!bucket.take(1, much_later), "and no further");
    }
}
