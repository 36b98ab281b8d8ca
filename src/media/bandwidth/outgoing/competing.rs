//! Whether somebody else keeps the queue full. A download by TCP fills whatever queue there is: who yields to the delay that it makes
//! gets nothing (RFC 8698 §4.1 and §4.3 describe two modes for the same reason).

use super::Micros;

/// The queue that we can empty if it is ours.
const EMPTY: Micros = 20_000;
/// So many falls in a time longer than this, with a queue that was never empty, are enough to know.
const FALLS: u32 = 4;
const TIME: Micros = 2_500_000;

pub(super) struct Competing {
    first_fall: Micros,
    falls: u32,
    /// The rate that arrived at the first of the falls.
    arriving: u64,
    active: bool,
}

impl Competing {
    pub(super) fn new() -> Competing {
        Competing {
            first_fall: 0,
            falls: 0,
            arriving: 0,
            active: false,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// Whether the queue has not been empty since a fall.
    pub(super) fn is_suspected(&self) -> bool {
        self.falls > 0
    }

    /// The rate that arrived at the first fall since the queue was empty.
    pub(super) fn before(&self) -> Option<u64> {
        (self.falls > 0).then_some(self.arriving)
    }

    /// Notes that the target was lowered because of the queue, and says whether the queue has now shown to be somebody else's: then it is
    /// the rate that arrived before all the falls.
    pub(super) fn fall(&mut self, now: Micros, arriving: u64) -> Option<u64> {
        if self.falls == 0 {
            self.first_fall = now;
            self.arriving = arriving;
        }
        self.falls = self.falls.saturating_add(1);
        let lasts = now.saturating_sub(self.first_fall) > TIME;
        if self.active || self.falls < FALLS || !lasts {
            return None;
        }
        self.active = true;
        Some(self.arriving)
    }

    pub(super) fn queue(&mut self, queue: Micros) {
        if queue < EMPTY {
            self.falls = 0;
            self.active = false;
        }
    }
}
