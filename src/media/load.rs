//! What a media worker lets the rest of the server see of itself while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::stats::Stats;
use crate::pulse::Pulse;

/// How busy a worker is, and that its thread lives and turns.
#[derive(Debug)]
pub struct Load {
    /// Written about once a second.
    subscriptions: AtomicU64,
    peers: AtomicU64,
    /// Rooms placed and subscriptions opened since the last report, which does not know them yet.
    placed: AtomicU64,
    running: AtomicBool,
    /// None where nobody turns: in tests of what stands above the workers.
    pulse: Option<Pulse>,
}

impl Load {
    /// Of a worker that begins to run.
    pub fn new(pulse: Option<Pulse>) -> Load {
        Load {
            subscriptions: AtomicU64::new(0),
            peers: AtomicU64::new(0),
            placed: AtomicU64::new(0),
            running: AtomicBool::new(true),
            pulse,
        }
    }

    /// Every subscription is a stream of packets to send; a connection costs its keep-alives; a new room will have some.
    pub fn weight(&self) -> u64 {
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        10 * count(&self.subscriptions) + count(&self.peers) + 10 * count(&self.placed)
    }

    pub fn place(&self, rooms_and_subscriptions: u64) {
        self.placed.fetch_add(rooms_and_subscriptions, Ordering::Relaxed);
    }

    /// Copies what placement reads of a worker's numbers.
    pub fn publish(&self, stats: &Stats) {
        self.subscriptions.store(stats.subscriptions, Ordering::Relaxed);
        self.peers.store(stats.peers, Ordering::Relaxed);
        self.placed.store(0, Ordering::Relaxed);
    }

    /// The worker has turned.
    pub fn beat(&self, now: Instant) {
        if let Some(pulse) = &self.pulse {
            pulse.beat(now);
        }
    }

    pub fn pulse(&self) -> Option<&Pulse> {
        self.pulse.as_ref()
    }

    /// The worker has ended, in whatever way.
    pub fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }
}
