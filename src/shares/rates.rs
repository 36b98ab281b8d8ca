//! The rate at which each of many may do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::TokenBucket;

/// A stock of tokens for each key, usually a client address. Bounded: see [`Rates::new`].
pub(crate) struct Rates<K> {
    burst: u32,
    per_second: f64,
    keys_max: usize,
    stocks: HashMap<K, TokenBucket>,
}

impl<K: Copy + Eq + Hash> Rates<K> {
    /// Each key has `burst` tokens at first and at most, and gets `per_second` more. At most `keys_max` keys are
    /// remembered (some 60 bytes each). Full stocks are forgotten first, since a new one is full, too; where none is full,
    /// the one used longest ago is forgotten.
    pub fn new(burst: u32, per_second: f64, keys_max: usize) -> Self {
        Self {
            burst,
            per_second,
            keys_max: keys_max.max(1),
            stocks: HashMap::new(),
        }
    }

    /// Takes `price` tokens of the key's stock. Where there are not enough it takes none, and returns the time until there
    /// are.
    pub fn take(&mut self, key: K, price: u32, now: Instant) -> Result<(), Duration> {
        let stock = self.stock(key, now);
        if stock.take(price, now) {
            return Ok(());
        }
        Err(stock.wait(price))
    }

    /// Takes the price in any case, which may leave a debt. Returns the time until the debt is paid.
    pub(crate) fn charge(&mut self, key: K, price: u32, now: Instant) -> Duration {
        self.stock(key, now).charge(price, now)
    }

    fn stock(&mut self, key: K, now: Instant) -> &mut TokenBucket {
        if !self.stocks.contains_key(&key) {
            self.make_room(now);
        }
        let full = || TokenBucket::new(self.burst, self.per_second, now);
        self.stocks.entry(key).or_insert_with(full)
    }

    fn make_room(&mut self, now: Instant) {
        if self.stocks.len() < self.keys_max {
            return;
        }
        self.stocks.retain(|_, stock| !stock.is_full(now));
        if self.stocks.len() >= self.keys_max {
            let unused_longest = self.stocks.iter().min_by_key(|(_, stock)| stock.used_at());
            if let Some(key) = unused_longest.map(|(key, _)| *key) {
                self.stocks.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_stock_of_its_own_and_hears_how_long_to_wait() {
        let start = Instant::now();
        let mut rates = Rates::new(2, 0.1, 10);
        assert_eq!(rates.take(1, 1, start), Ok(()));
        assert_eq!(rates.take(1, 1, start), Ok(()));
        assert_eq!(rates.take(1, 1, start), Err(Duration::from_secs(10)));
        assert_eq!(rates.take(2, 1, start), Ok(()));
        assert_eq!(rates.take(1, 1, at(start, 4)), Err(Duration::from_secs(6)));
        assert_eq!(rates.take(1, 1, at(start, 10)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn many_keys_take_bounded_memory_and_full_stocks_are_forgotten_first() {
        let start = Instant::now();
        let mut rates = Rates::new(2, 0.1, 100);
        assert_eq!(rates.take(0, 2, at(start, 20)), Ok(()));
        for key in 1..10_000 {
            assert_eq!(rates.take(key, 1, start), Ok(()), "{key}");
            assert!(rates.stocks.len() <= 100);
        }
        // The stocks used at `start` are full again; the one used later is not.
        assert_eq!(rates.take(20_000, 1, at(start, 20)), Ok(()));
        assert_eq!(rates.stocks.len(), 2);
        assert!(rates.take(0, 1, at(start, 20)).is_err());
    }
}
