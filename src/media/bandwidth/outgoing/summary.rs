//! What the allocation of layers wants to know besides the target: what lasts, and what was proven.

use super::Micros;
use super::window::Least;

const BUCKET: Micros = 250_000;
/// Buckets of three seconds.
const BUCKETS: usize = 12;
const PROVEN_BUCKET: Micros = 10_000_000;
const PROVEN_BUCKETS: usize = 6;

pub(super) struct Summary {
    targets: Least<BUCKETS>,
    /// Rates that arrived, as negative values: the least of them is the greatest rate.
    arrived: Least<PROVEN_BUCKETS>,
    smooth: u64,
}

impl Summary {
    pub(super) fn new(target: u64) -> Summary {
        Summary {
            targets: Least::new(BUCKET),
            arrived: Least::new(PROVEN_BUCKET),
            smooth: target,
        }
    }

    pub(super) fn target(&mut self, now: Micros, target: u64) {
        self.targets.add(now, target as i64);
        let least = self.targets.value().map_or(0, i64::unsigned_abs);
        if least.abs_diff(self.smooth) > self.smooth / 20 {
            self.smooth = least;
        }
    }

    pub(super) fn arrived(&mut self, now: Micros, rate: u64) {
        self.arrived.add(now, -(rate.min(i64::MAX as u64) as i64));
    }

    /// More than this does not arrive any longer: what was proven before is forgotten.
    pub(super) fn disproved(&mut self, now: Micros, rate: u64) {
        if self.proven() > rate {
            self.arrived = Least::new(PROVEN_BUCKET);
            self.arrived(now, rate);
        }
    }

    /// The least target of the last three seconds. It ignores changes of 5 %.
    pub(super) fn smooth(&self) -> u64 {
        self.smooth
    }

    /// The highest rate that arrived in the last minute.
    pub(super) fn proven(&self) -> u64 {
        self.arrived.value().map_or(0, i64::unsigned_abs)
    }
}
