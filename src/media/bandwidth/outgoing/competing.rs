//! Whether somebody else keeps the queue full. A download by TCP fills whatever queue there is: who yields to the delay that it makes
//! gets nothing (RFC 8698 §4.1 and §4.3 describe two modes for the same reason).

use super::Micros;

/// The queue that we can empty if it is ours.
const EMPTY: Micros = 20_000;
const CUTS: usize = 4;
const CUTS_LAST: Micros = 2_500_000;

pub(super) struct Competing {
    cuts: [Micros; CUTS],
    count: usize,
    active: bool,
}

impl Competing {
    pub(super) fn new() -> Competing {
        Competing {
            cuts: [0; CUTS],
            count: 0,
            active: false,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// Notes that the target was lowered because of the queue.
    pub(super) fn cut(&mut self, now: Micros) {
        self.cuts.rotate_left(1);
        if let Some(last) = self.cuts.last_mut() {
            *last = now;
        }
        self.count = (self.count + 1).min(CUTS);
        let first = self.cuts.first().copied().unwrap_or(now);
        if self.count == CUTS && now.saturating_sub(first) > CUTS_LAST {
            self.active = true;
        }
    }

    pub(super) fn queue(&mut self, queue: Micros) {
        if queue < EMPTY {
            self.count = 0;
            self.active = false;
        }
    }
}
