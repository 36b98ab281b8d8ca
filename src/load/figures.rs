//! The figures of a run, over all connections.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::error::LoadError;
use super::link::LinkTotals;
use super::playback::Freezes;
use super::repair::WatchCounts;
use super::source::Source;
use crate::media::peer::srtp::Profile;

/// The longest delay that is distinguished, in steps of a thousandth; longer ones count as this. A packet a
/// minute late is lost.
const DELAY_MAX_US: u64 = 60_000_000;
/// Different error texts that are kept.
const ERRORS_MAX: usize = 16;

/// A track at one of its subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub packets: u64,
    pub bytes: u64,
}

/// The progress of the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub sent: u64,
    pub delivered: u64,
    pub(crate) delay_p50: Duration,
    pub(crate) delay_p99: Duration,
}

pub struct Totals {
    pub(crate) delays_us: Histogram<u64>,
    /// Packets of all sources since the measurement began.
    pub sent: u64,
    pub delivered: u64,
    pub lost: u64,
    pub(crate) reordered: u64,
    pub(crate) duplicates: u64,
    pub(crate) corrupt: u64,
    pub compared: u64,
    pub(crate) deliveries: Vec<Delivery>,
    /// Error texts, and how often each occurred.
    pub errors: HashMap<String, u64>,
    /// The SRTP profile of the media.
    pub profile: Option<Profile>,
    /// The figures of the simulated links, if there are any.
    pub(crate) links: Option<LinkTotals>,
    /// Repairs and feedback of subscribers behind links, and the freezes of each of their pictures.
    pub(crate) watched: WatchCounts,
    pub(crate) freezes: Vec<Freezes>,
    pub(super) measuring: bool,
    pub(super) sent_before: Vec<u64>,
    pub(super) sent_after: Option<Vec<u64>>,
}

impl Default for Totals {
    fn default() -> Totals {
        Totals {
            delays_us: Histogram::new_with_bounds(1, DELAY_MAX_US, 3).expect("the bounds are good"),
            sent: 0,
            delivered: 0,
            lost: 0,
            reordered: 0,
            duplicates: 0,
            corrupt: 0,
            compared: 0,
            deliveries: Vec::new(),
            errors: HashMap::new(),
            profile: None,
            links: None,
            watched: WatchCounts::default(),
            freezes: Vec::new(),
            measuring: false,
            sent_before: Vec::new(),
            sent_after: None,
        }
    }
}

impl Totals {
    pub(crate) fn is_measuring(&self) -> bool {
        self.measuring
    }

    /// Begins the measurement: only packets sent from now on count.
    pub fn begin(&mut self, sources: &[Source]) {
        self.delays_us.reset();
        self.sent_before = sources.iter().map(|source| source.sent).collect();
        self.measuring = true;
    }

    /// Ends the sending.
    pub fn end(&mut self, sources: &[Source]) {
        if self.sent_after.is_none() {
            let after: Vec<u64> = sources.iter().map(|source| source.sent).collect();
            self.sent = (0..after.len())
                .map(|source| after[source] - self.sent_before(source))
                .sum();
            self.sent_after = Some(after);
        }
    }

    fn sent_before(&self, source: usize) -> u64 {
        self.sent_before.get(source).copied().unwrap_or(0)
    }

    /// Records the arrival of a packet that was sent at `sent_us` (its lower 32 bits).
    pub fn arrived(&mut self, arrived_us: u64, sent_us: Option<u32>) {
        if let Some(sent_us) = sent_us.filter(|_| self.measuring) {
            // The kernel's clock and ours may differ by less than a step, so a delay is at least 1 µs.
            let delay = (arrived_us as u32).wrapping_sub(sent_us) as i32;
            self.delays_us.saturating_record(delay.max(1) as u64);
        }
    }

    pub fn failed(&mut self, error: LoadError) {
        if self.errors.len() < ERRORS_MAX || self.errors.contains_key(&error.to_string()) {
            *self.errors.entry(error.to_string()).or_default() += 1;
        }
    }

    pub(crate) fn progress(&self, delivered: u64, sources: &[Source]) -> Progress {
        let sent = sources
            .iter()
            .map(|source| source.sent - self.sent_before(source.id as usize));
        Progress {
            sent: sent.sum(),
            delivered: self.delivered + delivered,
            delay_p50: Duration::from_micros(self.delays_us.value_at_quantile(0.5)),
            delay_p99: Duration::from_micros(self.delays_us.value_at_quantile(0.99)),
        }
    }
}
