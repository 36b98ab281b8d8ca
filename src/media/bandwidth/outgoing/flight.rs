//! One probe on its way, and what it shows.

use super::{Micros, Probe, Report};

/// A rate of fewer packets says little.
pub(super) const PACKETS_MIN: u8 = 6;
/// The parts of a probe whose ends are remembered.
const PARTS: usize = 16;
/// A queue that has grown by so much since the probe began says that the path is full: no more is sent of it.
const GROWN: Micros = 30_000;
/// A probe whose end is not reported is given up.
const PATIENCE: Micros = 1_000_000;
/// What is sent so long after a probe is reported after all of it, unless a report was lost.
const PASSED: Micros = 200_000;
/// Reports of media after a probe's last packet so far that are kept: those of a large frame.
const BEYOND_MAX: usize = 32;

/// What is to be learnt from a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// The rate that the path carries, about.
    Hint,
    /// The rate that the path carries, for sure.
    Rate,
    /// Whether more is lost if more is sent.
    Loss,
}

/// What a probe showed of the packets that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// The packets that were sent while it was sent, and those of them that were lost.
    pub packets: u32,
    pub lost: u32,
    /// The rate at which all of them were sent, in bits per second.
    pub sent: u64,
    /// Whether the path did not carry all that was sent.
    pub saturated: bool,
}

/// What a probe showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The rate that arrived, in bits per second.
    pub rate: u64,
    /// Whether the path did not carry all that was sent.
    pub saturated: bool,
    /// Whether the rate can be believed. A short probe that passes whole may have been no more than a shaper lets pass at once.
    pub sure: bool,
    /// Whether the rate that was asked for was reached well enough to ask for more.
    pub more: bool,
}

/// A packet that came.
#[derive(Clone, Copy)]
struct End {
    sent: Micros,
    arrived: Micros,
    bytes: u32,
    /// The bytes that had come until then, with its own.
    came: u64,
}

/// A probe on its way.
pub(super) struct Flight {
    pub(super) probe: Probe,
    pub(super) aim: Aim,
    given_at: Micros,
    first_sent: Option<Micros>,
    last_sent: Micros,
    bytes: u64,
    /// Those that were sent until its last packet.
    bytes_within: u64,
    packets: u32,
    reported: u32,
    came: u32,
    /// All that was reported from the first packet of the probe on, also media between its packets.
    all: u32,
    all_lost: u32,
    came_bytes: u64,
    /// The first packet of each part, and the bytes that all parts have.
    parts: [Option<End>; PARTS],
    span: u64,
    last: Option<End>,
    /// Whether the queue has grown so much that the rest is not sent.
    is_cut: bool,
    /// Whether packets that were sent well after it have been reported.
    is_passed: bool,
    /// Reports of media that were sent after all of its packets that are sent so far. They are between them if it goes on.
    beyond: Vec<Report>,
}

impl Flight {
    pub(super) fn new(now: Micros, probe: Probe, aim: Aim) -> Flight {
        Flight {
            probe,
            aim,
            given_at: now,
            first_sent: None,
            last_sent: now,
            bytes: 0,
            bytes_within: 0,
            packets: 0,
            reported: 0,
            came: 0,
            all: 0,
            all_lost: 0,
            came_bytes: 0,
            parts: [None; PARTS],
            span: u64::from(probe.bytes).max(1),
            last: None,
            is_cut: false,
            is_passed: false,
            beyond: Vec::new(),
        }
    }

    /// Counts a packet that was sent: one of the probe, or of the media between its packets, which are a part of its rate.
    pub(super) fn sent(&mut self, now: Micros, bytes: u32, is_own: bool) {
        if is_own {
            self.first_sent.get_or_insert(now);
            self.last_sent = now;
            self.packets = self.packets.saturating_add(1);
        }
        if self.first_sent.is_some() {
            self.bytes = self.bytes.saturating_add(u64::from(bytes));
        }
        if is_own {
            self.bytes_within = self.bytes;
        }
    }

    /// Ends it early if the queue, which was none when it began, has grown.
    pub(super) fn cut(&mut self, queue: Micros) {
        self.is_cut |= queue > GROWN && self.reported >= u32::from(PACKETS_MIN);
    }

    /// Whether nothing more is to be sent of it.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn report(&mut self, report: &Report) {
        let Some(first_sent) = self.first_sent else { return };
        if report.probe == Some(self.probe.cluster) {
            self.reported = self.reported.saturating_add(1);
            self.came = self.came.saturating_add(u32::from(report.arrived.is_some()));
        }
        self.is_passed |= report.sent > self.last_sent.saturating_add(PASSED);
        if report.sent < first_sent || self.reported == 0 {
            return;
        }
        if report.sent > self.last_sent {
            if self.beyond.len() < BEYOND_MAX {
                self.beyond.push(*report);
            }
            return;
        }
        // The probe has gone on since these were sent.
        for report in std::mem::take(&mut self.beyond) {
            if report.sent <= self.last_sent {
                self.count(&report);
            }
        }
        self.count(report);
    }

    /// Counts a packet that was sent while it was sent.
    fn count(&mut self, report: &Report) {
        self.all = self.all.saturating_add(1);
        let Some(arrived) = report.arrived else {
            self.all_lost = self.all_lost.saturating_add(1);
            return;
        };
        self.came_bytes = self.came_bytes.saturating_add(u64::from(report.bytes));
        let end = End {
            sent: report.sent,
            arrived,
            bytes: report.bytes,
            came: self.came_bytes,
        };
        self.note(end);
        if self.last.is_none_or(|last| arrived >= last.arrived) {
            self.last = Some(end);
        }
    }

    /// Notes a packet of the first half, if it is the first of its part. Media may be much more than the probe: then each part becomes
    /// twice as long.
    fn note(&mut self, end: End) {
        let from = end.came - u64::from(end.bytes);
        while from >= 2 * self.span {
            let mut firsts = self.parts;
            for (half, pair) in firsts.iter_mut().zip(self.parts.chunks(2)) {
                *half = pair.iter().flatten().next().copied();
            }
            firsts[PARTS / 2..].fill(None);
            self.parts = firsts;
            self.span *= 2;
        }
        let part = from * PARTS as u64 / self.span;
        if let Some(part) = self.parts.get_mut(part as usize) {
            part.get_or_insert(end);
        }
    }

    /// Whether all of it is reported, or should be.
    pub(super) fn is_over(&self, now: Micros, round_trip: Micros) -> bool {
        let sent_all =
            self.is_cut || self.bytes >= u64::from(self.probe.bytes) && self.packets >= u32::from(PACKETS_MIN);
        let is_reported = self.reported >= self.packets || self.is_passed;
        let waited = now.saturating_sub(self.last_sent.max(self.given_at));
        (sent_all && is_reported) || waited >= PATIENCE.saturating_add(round_trip)
    }

    /// What was lost of all that was sent from its first packet to its last one, if it was sent as it was meant to be.
    pub(super) fn lost(&self) -> Option<Lost> {
        let time = self.last_sent.saturating_sub(self.first_sent?);
        let all = between(self.parts.iter().flatten().next()?, &self.last?)?;
        Some(Lost {
            packets: self.all,
            lost: self.all_lost,
            sent: rate(self.bytes_within, time)?,
            saturated: all.is_saturated() || self.is_cut,
        })
    }

    /// What it showed, if enough of it came.
    pub(super) fn shown(&self, inherent_loss: f64) -> Option<Shown> {
        if self.came < 4 || self.came.saturating_mul(2) < self.reported.max(self.packets) {
            return None;
        }
        let parts = || self.parts.iter().flatten();
        let all = between(parts().next()?, &self.last?)?;
        // A shaper lets a burst pass before it holds packets back: the later half knows the rate.
        let middle = parts()
            .find(|part| part.came * 2 >= self.came_bytes)
            .or(parts().last())?;
        let later = between(middle, &self.last?).filter(|later| later.is_saturated());
        let measured = later.unwrap_or(all);
        let saturated = measured.is_saturated();
        let (received, sent) = (measured.received, measured.sent);
        // What is lost beyond the usual was too much.
        let lost = f64::from(self.all_lost) / f64::from(self.all.max(1));
        let excess = (lost - 2.0 * inherent_loss - 0.15).clamp(0.0, 0.5);
        let received = (received as f64 * (1.0 - excess)) as u64;
        let rate = if saturated {
            received / 100 * 95
        } else {
            received.min(sent)
        };
        let asked = self.probe.bits_per_second;
        Some(Shown {
            rate: rate.min(asked / 10 * 12),
            saturated,
            sure: self.aim == Aim::Rate,
            more: rate >= asked / 10 * if saturated { 9 } else { 7 },
        })
    }
}

/// Rates of a part of a probe.
#[derive(Clone, Copy)]
struct Measured {
    sent: u64,
    received: u64,
}

impl Measured {
    fn is_saturated(self) -> bool {
        self.received < self.sent / 10 * 9
    }
}

/// The rates from one packet that came to another.
fn between(first: &End, last: &End) -> Option<Measured> {
    let bytes = last.came.saturating_sub(first.came);
    let before_last = (bytes + u64::from(first.bytes)).saturating_sub(u64::from(last.bytes));
    Some(Measured {
        received: rate(bytes, last.arrived.saturating_sub(first.arrived))?,
        sent: rate(before_last, last.sent.saturating_sub(first.sent))?,
    })
}

fn rate(bytes: u64, time: Micros) -> Option<u64> {
    bytes.saturating_mul(8_000_000).checked_div(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_between_its_packets_count_also_if_they_are_reported_before_it_goes_on() {
        for at_once in [true, false] {
            let probe = Probe {
                cluster: 1,
                bits_per_second: 800_000,
                bytes: 13_000,
                packets_min: 6,
            };
            let (mut flight, mut reports) = (Flight::new(0, probe, Aim::Rate), Vec::new());
            // A packet each 10 ms, of the probe and of media in turn. What follows after the last one of the probe does so more slowly.
            for step in 0..20 {
                let at = if step <= 12 { 10_000 * step } else { 60_000 * step };
                let is_own = step % 2 == 0 && step <= 12;
                flight.sent(at, 1_000, is_own);
                let report = Report {
                    sent: at,
                    bytes: 1_000,
                    arrived: Some(at + 1_000),
                    probe: is_own.then_some(1),
                };
                match at_once {
                    true => flight.report(&report),
                    false => reports.push(report),
                }
            }
            reports.iter().for_each(|report| flight.report(report));
            assert_eq!((flight.all, flight.came), (13, 7), "at once: {at_once}");
            assert_eq!(flight.shown(0.0).map(|shown| shown.rate), Some(800_000));
        }
    }
}
