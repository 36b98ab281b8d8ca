//! A path with a shaper: a token bucket before a queue that drops at its end, as `tbf` of Linux does; then a delay and random loss.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Headers of Ethernet, IPv4 and UDP.
const HEADERS: u64 = 14 + 20 + 8;
/// Bytes that the bucket lets pass at once.
const BUCKET: u64 = 5_000;

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub kbps: u64,
    /// The longest time that a packet may wait.
    pub queue: Duration,
    /// The time from the shaper to the other end.
    pub delay: Duration,
    /// The most that is added to it by chance. No packet overtakes another.
    pub jitter: Duration,
    pub loss: f64,
}

pub const FREE: Shape = Shape {
    kbps: 5_000,
    queue: Duration::from_millis(200),
    delay: Duration::from_millis(3),
    jitter: Duration::ZERO,
    loss: 0.0,
};

pub struct Path {
    pub shape: Shape,
    random: StdRng,
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued_bytes: u64,
    /// Time at which the bucket will be full again.
    full_at: Instant,
    last_arrival: Instant,
    pub dropped: u64,
}

impl Path {
    pub fn new(now: Instant, seed: u64) -> Path {
        Path {
            shape: FREE,
            random: StdRng::seed_from_u64(seed),
            queue: VecDeque::new(),
            queued_bytes: 0,
            full_at: now,
            last_arrival: now,
            dropped: 0,
        }
    }

    fn time(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes * 8_000_000 / self.shape.kbps)
    }

    pub fn send(&mut self, now: Instant, datagram: Vec<u8>) {
        let bytes = datagram.len() as u64 + HEADERS;
        let most = self.shape.kbps * self.shape.queue.as_millis() as u64 / 8 + BUCKET;
        if self.queued_bytes + bytes > most {
            self.dropped += 1;
            return;
        }
        self.queued_bytes += bytes;
        self.queue.push_back((now, datagram));
    }

    /// The datagrams that leave the shaper until `now`, with the times at which they arrive.
    pub fn serve(&mut self, now: Instant) -> Vec<(Instant, Vec<u8>)> {
        let mut served = Vec::new();
        while let Some((entered, datagram)) = self.queue.front() {
            let bytes = datagram.len() as u64 + HEADERS;
            let (time, bucket) = (self.time(bytes), self.time(BUCKET));
            let leaves = (*entered).max(self.full_at + time - bucket);
            if leaves > now {
                break;
            }
            self.queued_bytes -= bytes;
            self.full_at = self.full_at.max(leaves) + time;
            let (_, datagram) = self.queue.pop_front().unwrap();
            let (loss, jitter) = (self.random.random::<f64>(), self.random.random::<f64>());
            if loss < self.shape.loss {
                continue;
            }
            let arrival = leaves + self.shape.delay + self.shape.jitter.mul_f64(jitter);
            self.last_arrival = self.last_arrival.max(arrival);
            served.push((self.last_arrival, datagram));
        }
        served
    }
}
