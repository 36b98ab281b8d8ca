//! The time that packets wait in queues: the least delay of the last moments above the least of the last half minute.
//!
//! The least of several packets knows nothing of jitter and of our own bursts, both of which only add to a delay. The half minute
//! lets a new route and clocks that drift be forgotten.

use super::Micros;
use super::window::Least;

const BASE_BUCKET: Micros = 1_000_000;
const BASE_BUCKETS: usize = 30;
/// The longest time for which a base is kept while a queue stands.
const KEPT: Micros = 120_000_000;
const BUCKET: Micros = 25_000;
/// Buckets of the usual value: 250 ms.
const BUCKETS: usize = 10;
/// Buckets of the hasty value: up to 50 ms, one frame or two.
const HASTY_BUCKETS: u64 = 2;

/// A delay is steady if it has changed by no more than this for so long.
const STEADY: Micros = 8_000;
const STEADY_TIME: Micros = 1_000_000;

pub(super) struct QueueDelay {
    base: Least<BASE_BUCKETS>,
    recent: Least<BUCKETS>,
    /// The base that is kept while somebody else's queue stands, and until when: it would be forgotten, and the queue be taken for none.
    kept: Option<(i64, Micros)>,
    /// The least and the greatest queue since a time from which on it has hardly changed.
    steady: (Micros, Micros),
    steady_since: Micros,
}

impl QueueDelay {
    pub(super) fn new() -> QueueDelay {
        QueueDelay {
            base: Least::new(BASE_BUCKET),
            recent: Least::new(BUCKET),
            kept: None,
            steady: (0, 0),
            steady_since: 0,
        }
    }

    /// Takes note of the usual queue, and says whether it has hardly changed for long.
    pub(super) fn is_steady(&mut self, now: Micros, queue: Micros) -> bool {
        let (least, most) = (self.steady.0.min(queue), self.steady.1.max(queue));
        if most - least > STEADY {
            (self.steady, self.steady_since) = ((queue, queue), now);
        } else {
            self.steady = (least, most);
        }
        now.saturating_sub(self.steady_since) >= STEADY_TIME
    }

    /// Takes the present delay for that of an empty path.
    pub(super) fn take_as_base(&mut self, now: Micros) {
        let recent = self.recent.value();
        (self.kept, self.base) = (None, Least::new(BASE_BUCKET));
        if let Some(recent) = recent {
            self.base.add(now, recent);
        }
    }

    /// Nothing has been sent for so long that nothing waits any more.
    pub(super) fn rest(&mut self) {
        self.recent = Least::new(BUCKET);
    }

    pub(super) fn packet(&mut self, sent: Micros, arrived: Micros) {
        // The clocks have nothing to do with each other: only differences of this count.
        let delay = (arrived as i64).saturating_sub(sent as i64);
        self.base.add(sent, delay);
        self.recent.add(sent, delay);
    }

    /// Keeps the base as it is while `stands`, but not for ever: the route may have changed.
    pub(super) fn keep_base(&mut self, now: Micros, stands: bool) {
        if !stands {
            self.kept = None;
        } else if self.kept.is_none() {
            self.kept = self.base.value().map(|base| (base, now.saturating_add(KEPT)));
        }
        if self.kept.is_some_and(|(_, until)| now >= until) {
            self.kept = None;
            self.base = Least::new(BASE_BUCKET);
        }
    }

    /// The queue in which one packet has waited.
    pub(super) fn of(&self, sent: Micros, arrived: Micros) -> Micros {
        self.above_base(Some((arrived as i64).saturating_sub(sent as i64)))
    }

    /// The queue of the last 250 ms of sent packets.
    pub(super) fn usual(&self) -> Micros {
        self.above_base(self.recent.value())
    }

    /// The queue of the last 50 ms: earlier known, but coarse where packets are few and jitter is strong.
    pub(super) fn hasty(&self) -> Micros {
        self.above_base(self.recent.of_newest(HASTY_BUCKETS))
    }

    fn above_base(&self, recent: Option<i64>) -> Micros {
        let base = match (self.base.value(), self.kept) {
            (Some(base), Some((kept, _))) => Some(base.min(kept)),
            (base, _) => base,
        };
        match (recent, base) {
            (Some(recent), Some(base)) => recent.saturating_sub(base).max(0) as u64,
            _ => 0,
        }
    }
}
