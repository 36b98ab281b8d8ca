//! Bursts that are sent to learn whether the path carries more than is sent: when, at which rate, and what came of them.

use super::{Micros, Probe, Report};

const PACKETS_MIN: u8 = 8;
const LASTS: Micros = 15_000;
const LASTS_REMOTE: Micros = 200_000;
/// Bytes of one packet of a probe, about.
const PACKET_BYTES: u64 = 1_200;
/// Media that are wanted may be sent with some waste: probes go this much above, in percent.
const ABOVE_DEMAND: u64 = 120;
const INTERVAL: Micros = 5_000_000;
const INTERVAL_MAX: Micros = 10_000_000;
/// What is sent so long after a probe is reported after all of it, unless a report was lost.
const PASSED: Micros = 200_000;
/// The wait before a rate that was much higher, but not the one that was asked for, is measured again.
const AGAIN: Micros = 500_000;
/// Probes in a row of which too little came, before the usual interval counts again.
const LOST_MAX: u8 = 3;
/// The least wait between probes that are due to a hint. It doubles with each one, until a probe shows much more.
const HINT_INTERVAL: Micros = 1_000_000;
/// A probe whose end is not reported is given up.
const PATIENCE: Micros = 1_000_000;

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
struct Flight {
    probe: Probe,
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

pub(super) struct Probes {
    next_cluster: u8,
    flight: Option<Flight>,
    due: Micros,
    /// The rate of the next probe, if it was decided when it became due.
    rate: Option<u64>,
    interval: Micros,
    hinted_at: Micros,
    hint_interval: Micros,
    /// Probes in a row of which too little came.
    lost: u8,
    /// Probes that raised the target, and those that did not, since the beginning.
    pub(super) won: u32,
    pub(super) without_gain: u32,
}

impl Probes {
    pub(super) fn new(now: Micros, rate: u64) -> Probes {
        Probes {
            next_cluster: 1,
            flight: None,
            due: now,
            rate: Some(rate),
            interval: INTERVAL,
            hinted_at: now,
            hint_interval: HINT_INTERVAL,
            lost: 0,
            won: 0,
            without_gain: 0,
        }
    }

    /// Asks for a probe at `rate` at a time, unless one is due before.
    pub(super) fn plan(&mut self, at: Micros, rate: u64) {
        if self.due >= at || self.rate.is_none() {
            self.due = at;
            self.rate = Some(rate);
        }
    }

    /// Puts off what is planned.
    pub(super) fn put_off(&mut self, until: Micros) {
        self.due = self.due.max(until);
    }

    /// Something hints at this rate: it is probed soon, unless such a hint has just proved to be wrong.
    pub(super) fn hint(&mut self, now: Micros, rate: u64) {
        if now >= self.hinted_at && self.flight.is_none() && self.due > now {
            self.hinted_at = now.saturating_add(self.hint_interval);
            self.hint_interval = (self.hint_interval * 2).min(INTERVAL_MAX * 2);
            self.plan(now, rate);
        }
    }

    pub(super) fn due(&self) -> Micros {
        self.due
    }

    /// The probe that is to be sent now. One whose effect only the receiver measures (`is_remote`) lasts longer.
    pub(super) fn next(&mut self, now: Micros, target: u64, demand: u64, is_remote: bool) -> Option<Probe> {
        if self.flight.is_some() || now < self.due {
            return None;
        }
        let most = demand.saturating_mul(ABOVE_DEMAND) / 100;
        let rate = self.rate.take().unwrap_or(target.saturating_mul(2)).min(most);
        self.due = now.saturating_add(self.interval);
        if rate < target.saturating_mul(11) / 10 {
            return None;
        }
        let least = u64::from(PACKETS_MIN) * PACKET_BYTES;
        let lasts = if is_remote { LASTS_REMOTE } else { LASTS };
        let bytes = rate.saturating_mul(lasts) / 8_000_000;
        let probe = Probe {
            cluster: self.next_cluster,
            bits_per_second: rate,
            bytes: bytes.max(least).min(u64::from(u32::MAX)) as u32,
            packets_min: PACKETS_MIN,
        };
        self.next_cluster = self.next_cluster.checked_add(1).unwrap_or(1);
        self.flight = Some(Flight {
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
        });
        Some(probe)
    }

    pub(super) fn sent(&mut self, now: Micros, bytes: u32, cluster: u8) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.probe.cluster == cluster) {
            flight.first_sent.get_or_insert(now);
            flight.last_sent = now;
            flight.bytes = flight.bytes.saturating_add(u64::from(bytes));
            flight.packets = flight.packets.saturating_add(1);
        }
    }

    pub(super) fn report(&mut self, report: &Report) {
        let Some(flight) = &mut self.flight else { return };
        let Some(first_sent) = flight.first_sent else { return };
        if report.probe == Some(flight.probe.cluster) {
            flight.reported = flight.reported.saturating_add(1);
            flight.came = flight.came.saturating_add(u32::from(report.arrived.is_some()));
        }
        flight.is_passed |= report.sent > flight.last_sent.saturating_add(PASSED);
        if report.sent < first_sent || report.sent > flight.last_sent || flight.reported == 0 {
            return;
        }
        flight.all = flight.all.saturating_add(1);
        let Some(arrived) = report.arrived else {
            flight.all_lost = flight.all_lost.saturating_add(1);
            return;
        };
        let end = End {
            sent: report.sent,
            arrived,
            bytes: report.bytes,
        };
        flight.came_bytes = flight.came_bytes.saturating_add(u64::from(report.bytes));
        flight.first.get_or_insert(end);
        if flight.last.is_none_or(|last| arrived >= last.arrived) {
            flight.last = Some(end);
        }
    }

    /// Ends a probe once all of it is reported, or should be, and says what it showed. One of which too little came shows nothing.
    pub(super) fn shown(&mut self, now: Micros, round_trip: Micros, inherent_loss: f64) -> Option<Option<Shown>> {
        let flight = self.flight.as_ref()?;
        let patience = PATIENCE.saturating_add(round_trip);
        let sent_all = flight.bytes >= u64::from(flight.probe.bytes) && flight.packets >= u32::from(PACKETS_MIN);
        let is_over = sent_all && (flight.reported >= flight.packets || flight.is_passed);
        if !is_over && now.saturating_sub(flight.last_sent.max(flight.given_at)) < patience {
            return None;
        }
        Some(self.flight.take()?.shown(inherent_loss))
    }

    /// Draws the conclusion for the next probe.
    pub(super) fn conclude(&mut self, now: Micros, shown: Option<Shown>, target: u64) {
        if shown.is_some() {
            self.lost = 0;
        }
        let count = match shown {
            Some(shown) if shown.rate > target => &mut self.won,
            _ => &mut self.without_gain,
        };
        *count = count.saturating_add(1);
        if shown.is_some_and(|shown| shown.rate > target.saturating_mul(5) / 4) {
            self.hint_interval = HINT_INTERVAL;
        }
        match shown {
            Some(shown) if shown.more => {
                self.interval = INTERVAL;
                self.plan(now, shown.rate.saturating_mul(2));
            }
            Some(shown) if shown.saturated && shown.rate < target.saturating_mul(11) / 10 => {
                self.interval = (self.interval * 3 / 2).min(INTERVAL_MAX);
                self.put_off(now.saturating_add(self.interval));
            }
            // Media that are sent in between may make the measure too low, so it is taken once more.
            Some(shown) if shown.saturated => self.plan(now.saturating_add(AGAIN), shown.rate / 2 * 3),
            Some(_) => self.interval = INTERVAL,
            None if self.lost < LOST_MAX => {
                self.lost += 1;
                self.plan(now, target.saturating_mul(2));
            }
            None => {}
        }
    }
}

impl Flight {
    fn shown(&self, inherent_loss: f64) -> Option<Shown> {
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
