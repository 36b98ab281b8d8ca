//! The rate at which packets arrive, by the receiver's clock. By our clock it would be wrong: reports come in batches, and a window
//! that is closed by a batch holds one batch too many.

use super::Micros;

pub(super) const BUCKET: Micros = 50_000;
/// Buckets that are kept: 1.2 seconds.
const BUCKETS: usize = 24;
/// Arrivals in a row that lie before everything that is kept. More of them show that the receiver's clock has been set back.
const STRAYS_MAX: u8 = 16;

/// The buckets of a usual window, and of a short one. They hold nine frames and three, if there are thirty a second.
pub(super) const USUAL: u64 = 6;
pub(super) const SHORT: u64 = 2;
/// The buckets of a second.
pub(super) const SECOND: u64 = 20;

/// Bytes that arrived, in buckets of the receiver's time.
pub(super) struct ArrivalRate {
    bytes: [u32; BUCKETS],
    /// The first and the newest bucket with an arrival, counted from the receiver's epoch.
    first: u64,
    newest: Option<u64>,
    strays: u8,
}

impl ArrivalRate {
    pub(super) fn new() -> ArrivalRate {
        ArrivalRate {
            bytes: [0; BUCKETS],
            first: 0,
            newest: None,
            strays: 0,
        }
    }

    pub(super) fn arrived(&mut self, at: Micros, bytes: u32) {
        let bucket = at / BUCKET;
        let newest = match self.newest {
            Some(newest) if bucket < newest.saturating_add(BUCKETS as u64) => newest,
            _ => return self.begin(bucket, bytes),
        };
        if newest.saturating_sub(bucket) >= BUCKETS as u64 {
            self.strays += 1;
            if self.strays >= STRAYS_MAX {
                self.begin(bucket, bytes);
            }
            return;
        }
        self.strays = 0;
        for skipped in newest + 1..=bucket {
            self.add(skipped, 0, false);
        }
        self.newest = Some(newest.max(bucket));
        self.add(bucket, bytes, true);
    }

    fn begin(&mut self, bucket: u64, bytes: u32) {
        *self = ArrivalRate::new();
        self.first = bucket;
        self.newest = Some(bucket);
        self.add(bucket, bytes, true);
    }

    fn add(&mut self, bucket: u64, bytes: u32, keep: bool) {
        if let Some(slot) = self.bytes.get_mut((bucket % BUCKETS as u64) as usize) {
            *slot = if keep { slot.saturating_add(bytes) } else { bytes };
        }
    }

    /// The rate in bits per second in the last `buckets` that are complete, or in as many as there are.
    pub(super) fn over(&self, buckets: u64) -> Option<u64> {
        let newest = self.newest?;
        // The first bucket began before the first arrival.
        let from = newest.saturating_sub(buckets).max(self.first + 1);
        let count = newest.checked_sub(from).filter(|count| *count >= SHORT.min(buckets))?;
        let sum = |bucket| u64::from(self.bytes.get((bucket % BUCKETS as u64) as usize).copied().unwrap_or(0));
        let bytes: u64 = (from..newest).map(sum).sum();
        Some(bytes * 8_000_000 / (count * BUCKET))
    }
}
