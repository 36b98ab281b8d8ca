//! Media of few layers: they cannot fill the link, and jump when they may. The rules are those of the allocation, for one video.

use super::super::Micros;
use super::world::SECOND;

const STAYS_AFTER_FALL: Micros = 3 * SECOND;
const RISE_INTERVAL: Micros = SECOND;

/// One video that is sent in one of its layers.
pub struct Layered {
    rates: Vec<u64>,
    at: usize,
    fell: Option<Micros>,
    raised: Option<Micros>,
}

impl Layered {
    pub fn new(rates: Vec<u64>) -> Layered {
        Layered {
            rates,
            at: 0,
            fell: None,
            raised: None,
        }
    }

    /// The rate of the layer that is sent now, and whether it is another one than before, which begins with a key frame.
    pub fn choose(&mut self, now: Micros, target: u64, proven: u64) -> (u64, bool) {
        let before = self.at;
        let highest = |most: u64| self.rates.iter().rposition(|rate| *rate <= most).unwrap_or(0);
        let is_past = |since: Option<Micros>, time| since.is_none_or(|since| now - since >= time);
        if self.rates[self.at] > target && self.at > 0 {
            (self.at, self.fell) = (highest(target), Some(now));
        } else if is_past(self.fell, STAYS_AFTER_FALL) && is_past(self.raised, RISE_INTERVAL) {
            let risen = highest((target / 10 * 9).min(proven / 11 * 10));
            if risen > self.at {
                (self.at, self.raised) = (risen, Some(now));
            }
        }
        (self.rates[self.at], self.at != before)
    }
}
