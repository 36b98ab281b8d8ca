//! A download beside ours: TCP with Reno (RFC 5681) or CUBIC (RFC 9438), as far as its share of a queue is concerned.

use std::collections::VecDeque;

use super::super::Micros;
use super::link::{Link, Packet};

const SEGMENT: u32 = 1_448;

pub struct Tcp {
    flow: usize,
    cubic: bool,
    window: f64,
    slow_start_until: f64,
    next: usize,
    /// The next number that is expected to be acknowledged: numbers that are left out are lost.
    expected: usize,
    /// Losses of packets before this number belong to a cut that was made.
    recover: usize,
    /// Acknowledgements on their way.
    acknowledged: VecDeque<(Micros, usize)>,
    heard: Micros,
    largest: f64,
    cut_at: Micros,
}

impl Tcp {
    pub fn new(flow: usize, cubic: bool) -> Tcp {
        Tcp {
            flow,
            cubic,
            window: 10.0,
            slow_start_until: 1e9,
            next: 0,
            expected: 0,
            recover: 0,
            acknowledged: VecDeque::new(),
            heard: 0,
            largest: 0.0,
            cut_at: 0,
        }
    }

    pub fn arrived(&mut self, at: Micros, packet: Packet, path_back: Micros) {
        self.acknowledged.push_back((at + path_back, packet.number));
    }

    pub fn step(&mut self, now: Micros, link: &mut Link) {
        while let Some((_, number)) = self.acknowledged.front().copied().filter(|(at, _)| *at <= now) {
            self.acknowledged.pop_front();
            self.heard = now;
            if number > self.expected && self.expected >= self.recover {
                self.cut(now);
            }
            self.expected = number + 1;
            self.grow(now);
        }
        if self.next > self.expected && now > self.heard + 1_000_000 {
            self.cut(now);
            self.window = 2.0;
            (self.expected, self.heard) = (self.next, now);
        }
        while ((self.next - self.expected) as f64) < self.window {
            let packet = Packet {
                flow: self.flow,
                number: self.next,
                bytes: SEGMENT + 52,
            };
            link.send(now, packet);
            self.next += 1;
        }
    }

    fn grow(&mut self, now: Micros) {
        if self.window < self.slow_start_until {
            self.window += 1.0;
            return;
        }
        self.window += 1.0 / self.window;
        if self.cubic {
            let since = (now - self.cut_at) as f64 / 1e6;
            let middle = (self.largest * 0.3 / 0.4).cbrt();
            let cubic = 0.4 * (since - middle).powi(3) + self.largest;
            // Not faster than half a segment for each that arrives (§4.4).
            self.window = self.window.max(cubic.min(self.window + 0.5));
        }
    }

    fn cut(&mut self, now: Micros) {
        self.largest = self.window;
        self.cut_at = now;
        self.window = (self.window * if self.cubic { 0.7 } else { 0.5 }).max(2.0);
        self.slow_start_until = self.window;
        self.recover = self.next;
    }
}
