//! What our own bursts tell of the path. The packets of a frame leave at once and arrive as far apart as the bottleneck lets them: a
//! measure of its capacity that costs nothing (packet dispersion; Dovrolis, Ramanathan and Moore 2004).
//!
//! It is not believed, since radio links hand on packets in lumps and a token bucket lets bursts pass. It only says when to probe.

use super::Micros;

/// A frame of usual size is sent at once, unless the path has shown to have no queue for it.
pub(super) const BURST: Micros = 40_000;
pub(super) const BURST_SMALL: Micros = 5_000;
/// Packets of one burst leave within this time.
const AT_ONCE: Micros = 1_000;
const KEPT: usize = 8;
const LAST: usize = 3;
/// Bursts that are older than this say nothing of the path as it is now.
const YOUNG: Micros = 1_500_000;

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
    packets_min: u32,
    rates: [u64; KEPT],
    /// The times at which these bursts were sent.
    sent: [Micros; KEPT],
    count: usize,
}

impl Bursts {
    /// Bursts of `packets_min` or more are looked at. The more packets, the surer is the rate, and the rarer are such bursts.
    pub(super) fn new(packets_min: u32) -> Bursts {
        Bursts {
            packets_min,
            sent: [0; KEPT],
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
                let least = self.packets_min;
                if let Some(last) = burst.replace(new).filter(|last| last.packets >= least) {
                    self.rates.rotate_left(1);
                    self.sent.rotate_left(1);
                    if let (Some(rate), Some(sent)) = (self.rates.last_mut(), self.sent.last_mut()) {
                        (*rate, *sent) = (last.rate(), last.sent);
                    }
                    self.count = (self.count + 1).min(KEPT);
                }
            }
        }
    }

    /// The rate that three quarters of the last bursts exceed, in bits per second, once there were enough.
    pub(super) fn rate(&self, now: Micros) -> Option<u64> {
        let oldest = self.sent.first().copied().unwrap_or(0);
        let mut rates = self.rates;
        rates.sort_unstable();
        rates
            .get(KEPT / 4)
            .copied()
            .filter(|_| self.count == KEPT && is_young(now, oldest))
    }

    /// The part of the path's capacity that `arriving` is, in thousandths, if the last bursts all arrived faster by a quarter. If a
    /// queue stands then, the rest is used by somebody else.
    pub(super) fn share(&self, now: Micros, arriving: u64) -> Option<u64> {
        let oldest = self.sent.iter().rev().nth(LAST - 1).copied().unwrap_or(0);
        let last = self.rates.iter().rev().take(LAST);
        let is_known = self.count >= LAST && is_young(now, oldest);
        let capacity = last.min().copied().filter(|_| is_known)?;
        let is_shared = capacity > arriving.saturating_mul(5) / 4;
        is_shared.then(|| arriving.saturating_mul(1_000) / capacity)
    }
}

fn is_young(now: Micros, sent: Micros) -> bool {
    now.saturating_sub(sent) < YOUNG
}

impl Burst {
    fn rate(self) -> u64 {
        let time = self.last.saturating_sub(self.first);
        self.bytes.saturating_mul(8_000_000) / time.max(1)
    }
}
