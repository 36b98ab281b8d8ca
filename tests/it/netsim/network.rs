//! The network between clients and engine: loses, delays, reorders, repeats and queues datagrams, all by one seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// One direction between two ends. The default is a good one: 10 ms, nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub delay: Duration,
    /// The most that is added to the delay, drawn evenly from zero for each datagram.
    pub jitter: Duration,
    /// Whether jitter may let a datagram overtake another.
    pub reorders: bool,
    /// Probabilities, 0 to 1.
    pub loss: f64,
    pub duplicate: f64,
    /// Bits per second; datagrams that come faster wait, and are lost if they would wait longer than `queue`.
    pub rate_bps: Option<u64>,
    pub queue: Duration,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            reorders: false,
            loss: 0.0,
            duplicate: 0.0,
            rate_bps: None,
            queue: Duration::from_millis(100),
        }
    }
}

impl Link {
    pub fn lossy(loss: f64) -> Link {
        Link {
            loss,
            ..Link::default()
        }
    }
}

pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// What happened to the datagrams that were sent in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: u64,
    pub lost: u64,
    pub repeated: u64,
}

#[derive(Default)]
struct Direction {
    link: Link,
    /// The time at which the last accepted bit leaves the sender.
    busy_until: Option<Instant>,
    last_arrival: Option<Instant>,
    tally: Tally,
}

pub struct Network {
    random: StdRng,
    directions: BTreeMap<(SocketAddr, SocketAddr), Direction>,
    /// Datagrams by arrival; those of one instant arrive in the order in which they were sent.
    in_flight: BinaryHeap<Reverse<(Instant, u64)>>,
    datagrams: BTreeMap<u64, Datagram>,
    next_serial: u64,
}

impl Network {
    pub fn new(seed: u64) -> Network {
        Network {
            random: StdRng::seed_from_u64(seed),
            directions: BTreeMap::new(),
            in_flight: BinaryHeap::new(),
            datagrams: BTreeMap::new(),
            next_serial: 0,
        }
    }

    /// Sets what the way from one end to the other is like from now on.
    pub fn set_link(&mut self, from: SocketAddr, to: SocketAddr, link: Link) {
        self.directions.entry((from, to)).or_default().link = link;
    }

    pub fn tally(&self, from: SocketAddr, to: SocketAddr) -> Tally {
        self.directions
            .get(&(from, to))
            .map(|direction| direction.tally)
            .unwrap_or_default()
    }

    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        let direction = self.directions.entry((datagram.from, datagram.to)).or_default();
        let link = direction.link;
        direction.tally.sent += 1;
        // Always the same number of draws for a datagram: one decision does not change the draws for the others.
        let (loss, repeat) = (self.random.random::<f64>(), self.random.random::<f64>());
        let jitters = [self.random.random::<f64>(), self.random.random::<f64>()];
        let Some(leaves) = direction.leaves(now, datagram.bytes.len()) else {
            direction.tally.lost += 1;
            return;
        };
        if loss < link.loss {
            direction.tally.lost += 1;
            return;
        }
        let copies = if repeat < link.duplicate { 2 } else { 1 };
        direction.tally.repeated += copies - 1;
        for jitter in &jitters[..copies as usize] {
            let mut arrival = leaves + link.delay + link.jitter.mul_f64(*jitter);
            if !link.reorders {
                arrival = arrival.max(direction.last_arrival.unwrap_or(arrival));
                direction.last_arrival = Some(arrival);
            }
            self.in_flight.push(Reverse((arrival, self.next_serial)));
            let copy = Datagram {
                bytes: datagram.bytes.clone(),
                ..datagram
            };
            self.datagrams.insert(self.next_serial, copy);
            self.next_serial += 1;
        }
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse((arrival, _))| *arrival)
    }

    /// The next datagram that has arrived by `now`.
    pub fn arrived(&mut self, now: Instant) -> Option<Datagram> {
        self.next_arrival().filter(|arrival| *arrival <= now)?;
        let Reverse((_, serial)) = self.in_flight.pop()?;
        self.datagrams.remove(&serial)
    }
}

impl Direction {
    /// When the datagram has left the sender; `None` when the queue before it is too long.
    fn leaves(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(rate_bps) = self.link.rate_bps else {
            return Some(now);
        };
        let begins = self.busy_until.map_or(now, |busy| busy.max(now));
        if begins - now > self.link.queue {
            return None;
        }
        let leaves = begins + Duration::from_secs_f64(bytes as f64 * 8.0 / rate_bps as f64);
        self.busy_until = Some(leaves);
        Some(leaves)
    }
}
