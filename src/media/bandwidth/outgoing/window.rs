//! The least or the greatest value of the last while, in buckets of time.

use super::Micros;

/// The least value in each of the last `N` buckets. For the greatest, give negative values.
pub(super) struct Least<const N: usize> {
    width: Micros,
    values: [i64; N],
    newest: u64,
}

impl<const N: usize> Least<N> {
    /// It is empty, with buckets that are `width` wide.
    pub(super) fn new(width: Micros) -> Least<N> {
        Least {
            width,
            values: [i64::MAX; N],
            newest: 0,
        }
    }

    /// Takes in a value. One that is older than all buckets changes nothing.
    pub(super) fn add(&mut self, at: Micros, value: i64) {
        let bucket = at / self.width;
        self.move_to(bucket);
        if self.newest - bucket < N as u64
            && let Some(slot) = self.values.get_mut((bucket % N as u64) as usize)
        {
            *slot = (*slot).min(value);
        }
    }

    fn move_to(&mut self, bucket: u64) {
        let steps = bucket.saturating_sub(self.newest).min(N as u64);
        for step in 0..steps {
            if let Some(slot) = self.values.get_mut(((bucket - step) % N as u64) as usize) {
                *slot = i64::MAX;
            }
        }
        self.newest = self.newest.max(bucket);
    }

    /// The least value of all buckets.
    pub(super) fn value(&self) -> Option<i64> {
        self.values.iter().copied().min().filter(|value| *value != i64::MAX)
    }

    /// The least value of the newest buckets.
    pub(super) fn of_newest(&self, buckets: u64) -> Option<i64> {
        let newest = (0..buckets.min(N as u64)).filter_map(|back| {
            let bucket = self.newest.checked_sub(back)?;
            self.values.get((bucket % N as u64) as usize).copied()
        });
        newest.min().filter(|value| *value != i64::MAX)
    }
}
