//! A rate above which packets are lost although no queue tells of it: a policer, or a bottleneck with a queue that is too short.

use super::Micros;

/// The time for which a ceiling is believed at first. Each one that follows is believed for twice as long, up to a minute.
const BELIEVED: Micros = 15_000_000;
const BELIEVED_MAX: Micros = 60_000_000;
/// Loss at a ceiling that is older than this is the ceiling again. If it is younger, the ceiling may have been a mistake.
const CONFIRMED: Micros = 1_500_000;

pub(super) struct Ceiling {
    rate: u64,
    found_at: Micros,
    until: Micros,
    believed: Micros,
}

impl Ceiling {
    pub(super) fn new() -> Ceiling {
        Ceiling {
            rate: 0,
            found_at: 0,
            until: 0,
            believed: BELIEVED,
        }
    }

    pub(super) fn found(&mut self, now: Micros, rate: u64) {
        *self = Ceiling {
            rate,
            found_at: now,
            until: now.saturating_add(self.believed),
            believed: (self.believed * 2).min(BELIEVED_MAX),
        };
    }

    /// The loss was none of a ceiling.
    pub(super) fn was_none(&mut self) {
        *self = Ceiling::new();
    }

    /// Until when nothing should be tried above it.
    pub(super) fn until(&self) -> Micros {
        self.until
    }

    /// Whether one was ever found.
    pub(super) fn is_known(&self) -> bool {
        self.rate > 0
    }

    /// Whether loss at `target` is explained by the ceiling that is known.
    pub(super) fn explains(&self, now: Micros, target: u64) -> bool {
        self.is_known() && target > self.rate / 10 * 9 && now > self.found_at.saturating_add(CONFIRMED)
    }
}
