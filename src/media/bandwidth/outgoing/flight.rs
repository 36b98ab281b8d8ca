//! One probe on its way, and what it shows.

use super::{Micros, Probe, Report};

/// A rate of fewer packets says little.
pub(super) const PACKETS_MIN: u8 = 6;
/// A probe whose end is not reported is given up.
const PATIENCE: Micros = 1_000_000;
/// What is sent so long after a probe is reported after all of it, unless a report was lost.
const PASSED: Micros = 200_000;

/// What a probe showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The rate that arrived, in bits per second.
    pub rate: u64,
    /// Whether the path did not carry all that was sent.
    pub saturated: bool,
    /// Whether the rate that was asked for was reached well enough to ask for more.
    pub more: bool,
}

#[derive(Clone, Copy)]
struct End {
    sent: Micros,
    arrived: Micros,
    bytes: u32,
}

/// A probe on its way.
pub(super) struct Flight {
    pub(super) probe: Probe,
    given_at: Micros,
    first_sent: Option<Micros>,
    last_sent: Micros,
    bytes: u64,
    packets: u32,
    reported: u32,
    came: u32,
    /// All that was reported from the first packet of the probe on, also media between its packets.
    all: u32,
    all_lost: u32,
    came_bytes: u64,
    first: Option<End>,
    last: Option<End>,
    /// Whether packets that were sent well after it have been reported.
    is_passed: bool,
}

impl Flight {
    pub(super) fn new(now: Micros, probe: Probe) -> Flight {
        Flight {
            probe,
            given_at: now,
            first_sent: None,
            last_sent: now,
            bytes: 0,
            packets: 0,
            reported: 0,
            came: 0,
            all: 0,
            all_lost: 0,
            came_bytes: 0,
            first: None,
            last: None,
            is_passed: false,
        }
    }

    pub(super) fn sent(&mut self, now: Micros, bytes: u32) {
        self.first_sent.get_or_insert(now);
        self.last_sent = now;
        self.bytes = self.bytes.saturating_add(u64::from(bytes));
        self.packets = self.packets.saturating_add(1);
    }

    pub(super) fn report(&mut self, report: &Report) {
        let Some(first_sent) = self.first_sent else { return };
        if report.probe == Some(self.probe.cluster) {
            self.reported = self.reported.saturating_add(1);
            self.came = self.came.saturating_add(u32::from(report.arrived.is_some()));
        }
        self.is_passed |= report.sent > self.last_sent.saturating_add(PASSED);
        if report.sent < first_sent || report.sent > self.last_sent || self.reported == 0 {
            return;
        }
        self.all = self.all.saturating_add(1);
        let Some(arrived) = report.arrived else {
            self.all_lost = self.all_lost.saturating_add(1);
            return;
        };
        let end = End {
            sent: report.sent,
            arrived,
            bytes: report.bytes,
        };
        self.came_bytes = self.came_bytes.saturating_add(u64::from(report.bytes));
        self.first.get_or_insert(end);
        if self.last.is_none_or(|last| arrived >= last.arrived) {
            self.last = Some(end);
        }
    }

    /// Whether all of it is reported, or should be.
    pub(super) fn is_over(&self, now: Micros, round_trip: Micros) -> bool {
        let sent_all = self.bytes >= u64::from(self.probe.bytes) && self.packets >= u32::from(PACKETS_MIN);
        let is_reported = self.reported >= self.packets || self.is_passed;
        let waited = now.saturating_sub(self.last_sent.max(self.given_at));
        (sent_all && is_reported) || waited >= PATIENCE.saturating_add(round_trip)
    }

    /// What it showed, if enough of it came.
    pub(super) fn shown(&self, inherent_loss: f64) -> Option<Shown> {
        let (first, last) = (self.first?, self.last?);
        if self.came < 4 || self.came.saturating_mul(2) < self.reported.max(self.packets) {
            return None;
        }
        let received = rate(
            self.came_bytes - u64::from(first.bytes),
            last.arrived.saturating_sub(first.arrived),
        )?;
        let sent = rate(
            self.came_bytes - u64::from(last.bytes),
            last.sent.saturating_sub(first.sent),
        )?;
        // What is lost beyond the usual was too much.
        let lost = f64::from(self.all_lost) / f64::from(self.all.max(1));
        let excess = (lost - 2.0 * inherent_loss - 0.15).clamp(0.0, 0.5);
        let received = (received as f64 * (1.0 - excess)) as u64;
        let saturated = received < sent / 10 * 9;
        let rate = if saturated {
            received / 100 * 95
        } else {
            received.min(sent)
        };
        let asked = self.probe.bits_per_second;
        Some(Shown {
            rate: rate.min(asked / 10 * 12),
            saturated,
            more: rate >= asked / 10 * if saturated { 9 } else { 7 },
        })
    }
}

fn rate(bytes: u64, time: Micros) -> Option<u64> {
    bytes.saturating_mul(8_000_000).checked_div(time)
}
