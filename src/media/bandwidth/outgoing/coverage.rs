//! Which of what was sent is reported at all. A report that is lost leaves a hole in what has arrived, which is no loss of packets.

use super::Micros;

const BUCKET: Micros = 50_000;
/// Buckets that are kept: 3.2 seconds.
const BUCKETS: usize = 64;
/// Buckets that are looked at: those of the usual window of rates, and one more.
const WINDOW: u64 = 7;

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// The lowest bits of its number.
    number: u32,
    sent: u32,
    reported: u32,
}

pub(super) struct Coverage {
    buckets: [Bucket; BUCKETS],
    /// The newest bucket of which something was reported.
    newest: u64,
}

impl Coverage {
    pub(super) fn new() -> Coverage {
        Coverage {
            buckets: [Bucket::default(); BUCKETS],
            newest: 0,
        }
    }

    pub(super) fn sent(&mut self, now: Micros, bytes: u32) {
        let number = now / BUCKET;
        if let Some(bucket) = self.buckets.get_mut((number % BUCKETS as u64) as usize) {
            if bucket.number != number as u32 {
                *bucket = Bucket {
                    number: number as u32,
                    ..Bucket::default()
                };
            }
            bucket.sent = bucket.sent.saturating_add(bytes);
        }
    }

    pub(super) fn reported(&mut self, sent: Micros, bytes: u32) {
        let number = sent / BUCKET;
        if let Some(bucket) = self.buckets.get_mut((number % BUCKETS as u64) as usize)
            && bucket.number == number as u32
        {
            bucket.reported = bucket.reported.saturating_add(bytes);
            self.newest = self.newest.max(number);
        }
    }

    fn bucket(&self, number: u64) -> Option<&Bucket> {
        let bucket = self.buckets.get((number % BUCKETS as u64) as usize);
        bucket.filter(|bucket| bucket.number == number as u32)
    }

    /// The bytes that were sent lately, and those of them that lie in no hole.
    fn lately(&self) -> (u64, u64) {
        let (mut all, mut covered) = (0, 0);
        for number in self.newest.saturating_sub(WINDOW)..self.newest {
            let Some(bucket) = self.bucket(number) else { continue };
            all += u64::from(bucket.sent);
            // Packets that are lost are reported late, so less than all is no hole yet.
            if bucket.reported >= bucket.sent / 2 {
                covered += u64::from(bucket.sent);
            }
        }
        (all, covered)
    }

    /// The rate at which packets were sent lately, in bits per second.
    pub(super) fn sending(&self, now: Micros) -> u64 {
        let newest = now / BUCKET;
        let window = newest.saturating_sub(WINDOW)..newest;
        let bytes = |number| self.bucket(number).map_or(0, |bucket| u64::from(bucket.sent));
        let sum: u64 = window.map(bytes).sum();
        sum * 8_000_000 / (WINDOW * BUCKET)
    }

    /// The bytes that were sent since the newest packet that is reported: they are under way, or lost.
    pub(super) fn under_way(&self, now: Micros) -> u64 {
        let unreported = |number| {
            let bucket = self.bucket(number)?;
            Some(u64::from(bucket.sent.saturating_sub(bucket.reported)))
        };
        let newest = (now / BUCKET).min(self.newest + BUCKETS as u64 - 1);
        (self.newest..=newest).filter_map(unreported).sum()
    }

    /// Whether for most of the last time nothing was sent, since we or the sender stood still. Then little has arrived, whatever the
    /// path carries.
    pub(super) fn has_pause(&self) -> bool {
        let is_empty = |number: &u64| self.bucket(*number).is_none();
        let window = self.newest.saturating_sub(WINDOW)..self.newest;
        window.filter(is_empty).count() as u64 * 2 > WINDOW
    }

    pub(super) fn has_hole(&self) -> bool {
        let (all, covered) = self.lately();
        covered < all
    }

    /// What a rate of arrivals would be without the holes, but at most the double.
    pub(super) fn fill(&self, rate: u64) -> u64 {
        let (all, covered) = self.lately();
        if covered.saturating_mul(2) <= all {
            return rate.saturating_mul(2);
        }
        rate.saturating_mul(all) / covered.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_reported_is_under_way() {
        let mut coverage = Coverage::new();
        for at in 0..10 {
            coverage.sent(1_000_000 + at * 30_000, 100);
        }
        assert_eq!(coverage.under_way(1_300_000), 1_000);
        for at in 0..4 {
            coverage.reported(1_000_000 + at * 30_000, 100);
        }
        assert_eq!(coverage.under_way(1_300_000), 600);
        assert_eq!(coverage.under_way(20_000_000), 600, "the memory is bounded");
    }
}
