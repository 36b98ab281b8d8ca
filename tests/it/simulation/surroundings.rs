//! Things that all people of a run share: the time, the network, the log, and facts about the streams that were
//! sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::hosts::Decisions;
use super::tally::Tally;
use crate::netsim::network::Network;

/// One line for everything that happens. It outlives a run that panics.
pub type Log = Arc<Mutex<Vec<String>>>;

/// Seconds since 1970 at the beginning of a run.
const DAY_S: i64 = 1_767_323_045;

pub struct Surroundings {
    pub start: Instant,
    pub now: Instant,
    pub network: Network,
    /// The workers' addresses.
    pub servers: Vec<SocketAddr>,
    /// Workers that have been disturbed and not been replaced or gone on since.
    pub disturbed: Vec<bool>,
    /// The time since which each has not been disturbed.
    pub undisturbed_since: Vec<Instant>,
    pub streams: BTreeMap<u32, Facts>,
    /// Whether workers have died or stood still for long: then the server may end rooms.
    pub workers_failed: bool,
    pub storage_failed: bool,
    /// Whether nothing fails any longer.
    pub is_calm: bool,
    /// The server's date: seconds since 1970-01-01 UTC. It stands still, unless it is set.
    pub wall_s: Arc<AtomicI64>,
    /// What hosts have done.
    pub decisions: Decisions,
    pub tally: Tally,
    next_number: u32,
    log: Log,
}

/// Facts about a stream.
pub struct Facts {
    /// The room in which it is published.
    pub room: u8,
    /// Whether nothing has happened that could lose one of its packets on their way to the server, or there.
    pub is_clean: bool,
    /// The time at which the server has got the end of the stream: media sent later must not come through.
    pub ended_ms: Option<u64>,
}

impl Surroundings {
    pub fn new(start: Instant, seed: u64, servers: Vec<SocketAddr>, log: Log) -> Surroundings {
        Surroundings {
            start,
            now: start,
            network: Network::new(seed),
            disturbed: vec![false; servers.len()],
            undisturbed_since: vec![start; servers.len()],
            servers,
            streams: BTreeMap::new(),
            workers_failed: false,
            storage_failed: false,
            is_calm: false,
            wall_s: Arc::new(AtomicI64::new(DAY_S)),
            decisions: Decisions::default(),
            tally: Tally::default(),
            next_number: 0,
            log,
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.elapsed().as_millis() as u64
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The worker at this address.
    pub fn worker_at(&self, server: SocketAddr) -> Option<usize> {
        self.servers.iter().position(|address| *address == server)
    }

    pub fn disturb(&mut self, worker: usize, is_disturbed: bool) {
        self.disturbed[worker] = is_disturbed;
        if is_disturbed {
            self.undisturbed_since[worker] = self.now;
        }
    }

    pub fn number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    /// The server has not run for so long: everything that was due to reach it by some time is due later.
    pub fn wait_longer(&mut self, time: Duration) {
        self.decisions.wait_longer(time);
        for facts in self.streams.values_mut() {
            facts.ended_ms = facts.ended_ms.map(|ended| ended + time.as_millis() as u64);
        }
    }

    pub fn note(&self, what: impl AsRef<str>) {
        let line = format!("{:>6} {}", self.now_ms(), what.as_ref());
        self.log.lock().expect("one thread").push(line);
    }
}
