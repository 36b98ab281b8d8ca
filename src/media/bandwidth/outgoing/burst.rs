//! What our own bursts tell of the path. The packets of a frame leave at once and arrive as far apart as the bottleneck lets them: a
//! measure of its capacity that costs nothing (packet dispersion; Dovrolis, Ramanathan and Moore 2004).
//!
//! It is not believed, since radio links hand on packets in lumps and a token bucket lets bursts pass. It only says when to probe.

use super::Micros;

const PACKETS_MIN: u32 = 4;
/// Packets of one burst leave within this time.
const AT_ONCE: Micros = 1_000;
const KEPT: usize = 8;
const LAST: usize = 3;

#[derive(Clone, Copy)]
struct Burst {
    sent: Micros,
    first: Micros,
    last: Micros,
    packets: u32,
    /// Bytes without those of the packet that came first.
    bytes: u64,
}

pub(super) struct Bursts {
    burst: Option<Burst>,
    rates: [u64; KEPT],
    count: usize,
}

impl Bursts {
    pub(super) fn new() -> Bursts {
        Bursts {
            burst: None,
            rates: [0; KEPT],
            count: 0,
        }
    }

    pub(super) fn packet(&mut self, sent: Micros, arrived: Micros, bytes: u32) {
        match &mut self.burst {
            Some(burst) if sent.abs_diff(burst.sent) <= AT_ONCE => {
                burst.packets = burst.packets.saturating_add(1);
                burst.bytes = burst.bytes.saturating_add(u64::from(bytes));
                burst.first = burst.first.min(arrived);
                burst.last = burst.last.max(arrived);
            }
            burst => {
                let new = Burst {
                    sent,
                    first: arrived,
                    last: arrived,
                    packets: 1,
                    bytes: 0,
                };
                if let Some(rate) = burst.replace(new).and_then(Burst::rate) {
                    self.rates.rotate_left(1);
                    if let Some(last) = self.rates.last_mut() {
                        *last = rate;
                    }
                    self.count = (self.count + 1).min(KEPT);
                }
            }
        }
    }

    /// The rate that three quarters of the last bursts exceed, in bits per second, once there were enough.
    pub(super) fn rate(&self) -> Option<u64> {
        let mut rates = self.rates;
        rates.sort_unstable();
        rates.get(KEPT / 4).copied().filter(|_| self.count == KEPT)
    }

    /// The part of the path's capacity that `arriving` is, in thousandths, if the last bursts all arrived faster by a quarter. If a
    /// queue stands then, the rest is used by somebody else.
    pub(super) fn share(&self, arriving: u64) -> Option<u64> {
        let last = self.rates.iter().rev().take(LAST);
        let capacity = last.min().copied().filter(|_| self.count >= LAST)?;
        let is_shared = capacity > arriving.saturating_mul(5) / 4;
        is_shared.then(|| arriving.saturating_mul(1_000) / capacity)
    }
}

impl Burst {
    fn rate(self) -> Option<u64> {
        if self.packets < PACKETS_MIN {
            return None;
        }
        let time = self.last.saturating_sub(self.first);
        Some(self.bytes.saturating_mul(8_000_000) / time.max(1))
    }
}
