//! A link in virtual time: a bottleneck with a queue that drops at its end, a policer, random loss, delay and jitter.

use std::collections::VecDeque;

use super::super::Micros;

/// Numbers that are the same for the same seed (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, and not with, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    pub fn chance(&mut self, percent: f64) -> bool {
        percent > 0.0 && (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 100.0 < percent
    }
}

/// What a link is like.
#[derive(Clone)]
pub struct Path {
    /// The capacity in bits per second, each from a time on.
    pub capacity: Vec<(Micros, u64)>,
    /// The queue that the bottleneck holds at most, as the time that it takes to send it at `queue_capacity`.
    pub queue: Micros,
    pub queue_capacity: u64,
    /// Bytes that the bottleneck sends at once after it has been idle (a shaper with a token bucket). Its queue is always `queue` of
    /// its capacity. 0 where it sends all at its capacity.
    pub bucket: u64,
    pub round_trip: Micros,
    /// The greatest part of a delay that differs from packet to packet. Packets may overtake one another by it.
    pub jitter: Micros,
    pub loss_percent: f64,
    /// A token bucket before the bottleneck: its rate in bits per second, and its bytes.
    pub policer: Option<(u64, u64)>,
    /// The time from each standstill of the receiver to the next one, and how long it lasts. What comes meanwhile is read after it.
    pub standstills: Option<(Micros, Micros)>,
}

/// The time in which a receiver reads a packet, when it has many to read.
const READING: Micros = 1_000;

impl Path {
    pub fn of(kbit: u64) -> Path {
        Path {
            capacity: vec![(0, kbit * 1_000)],
            queue: 300_000,
            queue_capacity: kbit * 1_000,
            bucket: 0,
            round_trip: 40_000,
            jitter: 0,
            loss_percent: 0.0,
            policer: None,
            standstills: None,
        }
    }

    /// The time left until the receiver goes on, if it stands still.
    pub fn stands_still(&self, now: Micros) -> Option<Micros> {
        let (every, length) = self.standstills?;
        (every + length)
            .checked_sub(now % (every + length))
            .filter(|left| *left <= length)
    }

    pub fn capacity_at(&self, now: Micros) -> u64 {
        let before = self.capacity.iter().take_while(|(from, _)| *from <= now);
        before.last().map_or(1, |(_, rate)| *rate)
    }
}

#[derive(Clone, Copy)]
pub struct Packet {
    pub flow: usize,
    pub number: usize,
    pub bytes: u32,
}

/// A link while it is used.
pub struct Link {
    pub path: Path,
    queue: VecDeque<(Micros, Packet)>,
    queued_bytes: u64,
    queue_bytes: u64,
    free_at: Micros,
    tokens: u64,
    tokens_at: Micros,
    /// The time at which the receiver has read the newest packet.
    read_at: Micros,
}

impl Link {
    pub fn new(path: Path) -> Link {
        Link {
            tokens: path.policer.map_or(0, |(_, bucket)| bucket * 8_000_000),
            queue_bytes: (path.queue * path.queue_capacity / 8_000_000).max(3_000),
            path,
            queue: VecDeque::new(),
            queued_bytes: 0,
            free_at: 0,
            tokens_at: 0,
            read_at: 0,
        }
    }

    /// Takes in a packet, and says whether there was room for it.
    pub fn send(&mut self, now: Micros, packet: Packet) -> bool {
        let bytes = u64::from(packet.bytes);
        if let Some((rate, bucket)) = self.path.policer {
            // Tokens are millionths of bits, so that no fraction is lost.
            self.tokens = (self.tokens + rate * (now - self.tokens_at)).min(bucket * 8_000_000);
            self.tokens_at = now;
            if self.tokens < bytes * 8_000_000 {
                return false;
            }
            self.tokens -= bytes * 8_000_000;
        }
        let most = match self.path.bucket {
            0 => self.queue_bytes,
            bucket => self.path.queue * self.path.capacity_at(now) / 8_000_000 + bucket,
        };
        if self.queued_bytes + bytes > most {
            return false;
        }
        self.queued_bytes += bytes;
        self.queue.push_back((now, packet));
        true
    }

    /// Moves what the bottleneck sends until `until` into `out`, with the times at which it arrives.
    pub fn serve(&mut self, until: Micros, random: &mut Random, out: &mut Vec<(Packet, Option<Micros>)>) {
        let capacity = self.path.capacity_at(until);
        while let Some((entered, packet)) = self.queue.front().copied() {
            let time = |bytes: u64| bytes * 8_000_000 / capacity;
            let done = match self.path.bucket {
                0 => self.free_at.max(entered) + time(u64::from(packet.bytes)),
                // `free_at` is when the bucket is full again.
                bucket => entered.max((self.free_at + time(u64::from(packet.bytes))).saturating_sub(time(bucket))),
            };
            if done > until {
                break;
            }
            self.queue.pop_front();
            self.queued_bytes -= u64::from(packet.bytes);
            self.free_at = match self.path.bucket {
                0 => done,
                _ => self.free_at.max(done) + time(u64::from(packet.bytes)),
            };
            let lost = packet.flow == 0 && random.chance(self.path.loss_percent);
            let jitter = random.below(self.path.jitter + 1);
            let at = self.read(done + self.path.round_trip / 2 + jitter);
            out.push((packet, (!lost).then_some(at)));
        }
    }

    /// The time at which the receiver reads a packet that comes at `at`.
    fn read(&mut self, at: Micros) -> Micros {
        if self.path.standstills.is_none() {
            return at;
        }
        let goes_on = at + self.path.stands_still(at).unwrap_or(0);
        self.read_at = goes_on.max(self.read_at + READING);
        self.read_at
    }

    /// The time for which a packet would wait that came now.
    pub fn wait(&self, now: Micros) -> Micros {
        self.queued_bytes * 8_000_000 / self.path.capacity_at(now)
    }
}
