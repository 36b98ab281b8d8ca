//! The load of a running media worker, as the rest of the server sees it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::stats::Stats;
use crate::pulse::Pulse;

/// How busy a worker is, and whether its thread lives and turns.
#[derive(Debug)]
pub struct Load {
    /// Number of subscriptions; like `peers`, written about once a second.
    subscriptions: AtomicU64,
    peers: AtomicU64,
    /// Number of rooms placed and subscriptions opened since the last `publish`, which did not count them yet.
    placed: AtomicU64,
    running: AtomicBool,
    /// The pulse of the worker's thread. `None` in tests without such a thread.
    pulse: Option<Pulse>,
}

impl Load {
    /// The load of a worker that begins to run.
    pub fn new(pulse: Option<Pulse>) -> Load {
        Load {
            subscriptions: AtomicU64::new(0),
            peers: AtomicU64::new(0),
            placed: AtomicU64::new(0),
            running: AtomicBool::new(true),
            pulse,
        }
    }

    /// The weight for placement: every subscription is a stream of packets to send, a connection costs its keep-alives,
    /// and a new room will have some of both.
    pub(crate) fn weight(&self) -> u64 {
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        10 * count(&self.subscriptions) + count(&self.peers) + 10 * count(&self.placed)
    }

    pub fn place(&self, rooms_and_subscriptions: u64) {
        self.placed.fetch_add(rooms_and_subscriptions, Ordering::Relaxed);
    }

    /// Takes over those numbers of a worker that placement reads.
    pub fn publish(&self, stats: &Stats) {
        self.subscriptions.store(stats.subscriptions, Ordering::Relaxed);
        self.peers.store(stats.peers, Ordering::Relaxed);
        self.placed.store(0, Ordering::Relaxed);
    }

    /// Records a turn of the worker.
    pub fn beat(&self, now: Instant) {
        if let Some(pulse) = &self.pulse {
            pulse.beat(now);
        }
    }

    pub fn pulse(&self) -> Option<&Pulse> {
        self.pulse.as_ref()
    }

    /// Records the end of the worker, whatever its cause.
    pub fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }
}
