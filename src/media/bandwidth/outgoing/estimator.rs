//! The estimator's inputs and its outcome. What the inputs mean for the target is in `rules`.

use super::burst::{BURST, Bursts};
use super::busy::Busy;
use super::ceiling::Ceiling;
use super::competing::Competing;
use super::control::{Control, TARGET_MAX, TARGET_MIN};
use super::coverage::Coverage;
use super::delay::Trend;
use super::loss::Loss;
use super::narrow::Narrow;
use super::probe::Probes;
use super::queue::QueueDelay;
use super::rate::ArrivalRate;
use super::remote::Remote;
use super::silence::Silence;
use super::spread::Spread;
use super::standstill::Standstill;
use super::summary::Summary;
use super::{Micros, Outcome, Probe, Report, State};

const TARGET_AT_START: u64 = 300_000;
/// The round trip before one is known.
const ROUND_TRIP: Micros = 100_000;
const PACKETS_OF_PAIRS: u32 = 2;
const PACKETS_OF_BURSTS: u32 = 4;
const ROUND_TRIP_MAX: Micros = 3_000_000;
/// The time without packets after which a path is at rest, besides the queue that was there and two round trips. It is longer than the
/// time between two pictures of a slow stream.
const REST: Micros = 500_000;

/// The estimator of one connection. Inputs are [`sent`](Estimator::sent), [`feedback`](Estimator::feedback),
/// [`remb`](Estimator::remb), [`demand`](Estimator::demand) and [`timeout`](Estimator::timeout); after each of them but the first
/// [`outcome`](Estimator::outcome) and [`next_probe`](Estimator::next_probe) may tell something new.
pub(crate) struct Estimator {
    /// The rates of all that arrives, and of media alone.
    pub(super) rate: ArrivalRate,
    pub(super) media: ArrivalRate,
    pub(super) busy: Busy,
    pub(super) spread: Spread,
    pub(super) standstill: Standstill,
    pub(super) coverage: Coverage,
    pub(super) trend: Trend,
    pub(super) queue: QueueDelay,
    /// Bursts of which there are many, and those whose rate is sure.
    pub(super) pairs: Bursts,
    pub(super) bursts: Bursts,
    pub(super) loss: Loss,
    pub(super) probes: Probes,
    pub(super) competing: Competing,
    pub(super) control: Control,
    pub(super) ceiling: Ceiling,
    pub(super) summary: Summary,
    pub(super) silence: Silence,
    pub(super) remote: Remote,
    demand: Option<u64>,
    /// The newest time that was told.
    now: Micros,
    pub(super) round_trip: Micros,
    pub(super) standing_since: Option<Micros>,
    /// What is known of the path if it has just become slow.
    pub(super) narrow: Option<Narrow>,
    /// The last time at which there was a queue.
    pub(super) queued_at: Option<Micros>,
    /// The time of the last change of the target that was more than growth.
    pub(super) changed_at: Micros,
    /// Others are believed to use a part of the path until this time.
    pub(super) shared_until: Micros,
    /// The part of a shared path that is ours, in thousandths.
    pub(super) share: u64,
    pub(super) outcome: Outcome,
}

impl Estimator {
    /// A connection begins, or has just become able to send.
    pub(crate) fn new(now: Micros) -> Estimator {
        Estimator {
            rate: ArrivalRate::new(),
            media: ArrivalRate::new(),
            busy: Busy::default(),
            spread: Spread::default(),
            standstill: Standstill::new(),
            coverage: Coverage::new(),
            trend: Trend::new(),
            queue: QueueDelay::new(),
            pairs: Bursts::new(PACKETS_OF_PAIRS),
            bursts: Bursts::new(PACKETS_OF_BURSTS),
            queued_at: None,
            loss: Loss::new(),
            probes: Probes::new(now, TARGET_AT_START * 3),
            competing: Competing::new(),
            control: Control::new(now, TARGET_AT_START),
            ceiling: Ceiling::new(),
            summary: Summary::new(TARGET_AT_START),
            silence: Silence::new(),
            remote: Remote::new(now),
            demand: None,
            now,
            round_trip: ROUND_TRIP,
            standing_since: None,
            narrow: None,
            changed_at: now,
            shared_until: now,
            share: 0,
            outcome: Outcome {
                target: TARGET_AT_START,
                smooth: TARGET_AT_START,
                proven: 0,
                queue_delay: 0,
                loss_256: 0,
                state: State::Growing,
                burst: BURST,
                narrow: None,
                probes_won: 0,
                probes_lost: 0,
            },
        }
    }

    /// A connection over which so many bits per second are sent already.
    pub(crate) fn of_rate(now: Micros, bits_per_second: u64) -> Estimator {
        let mut estimator = Estimator::new(now);
        estimator.control.set(bits_per_second);
        estimator.summary = Summary::new(bits_per_second);
        estimator.publish(now);
        estimator
    }

    /// Takes in what became of packets, in the order of their numbers.
    pub(crate) fn feedback(&mut self, now: Micros, round_trip: Option<Micros>, reports: &[Report]) {
        self.now = now;
        if let Some(round_trip) = round_trip {
            self.round_trip = round_trip.min(ROUND_TRIP_MAX);
        }
        if !reports.is_empty() {
            self.remote.packets_reported(now);
            if let Some(before) = self.silence.heard() {
                self.probes.plan(now, before);
            }
        }
        for report in reports {
            self.take(report);
        }
        self.decide(now);
        self.publish(now);
    }

    fn take(&mut self, report: &Report) {
        self.probes.report(report);
        self.coverage.reported(report.sent, report.bytes);
        if report.probe.is_none() {
            self.loss.packet(report.sent, report.arrived.is_none());
        }
        if let Some(arrived) = report.arrived {
            self.rate.arrived(arrived, report.bytes);
            let bytes = if report.probe.is_none() { report.bytes } else { 0 };
            self.media.arrived(arrived, bytes);
            self.queue.packet(report.sent, arrived);
            let waited = self.queue.of(report.sent, arrived);
            let is_after_standstill = self.standstill.packet(arrived, waited);
            self.busy.packet(arrived, report.bytes, waited, is_after_standstill);
            self.spread.packet(report.sent, arrived, report.bytes, waited);
            self.trend.packet(report.sent, arrived);
            self.pairs.packet(report.sent, arrived, report.bytes);
            self.bursts.packet(report.sent, arrived, report.bytes);
        }
    }

    /// Counts one packet that was sent.
    pub(crate) fn sent(&mut self, now: Micros, bytes: u32, probe: Option<u8>) {
        self.silence.sent(now);
        self.coverage.sent(now, bytes);
        self.probes.sent(now, bytes, probe);
    }

    /// Is told what all subscriptions of the connection would take if the path carried everything.
    pub(crate) fn demand(&mut self, now: Micros, bits_per_second: u64) {
        self.now = now;
        let bits_per_second = bits_per_second.min(TARGET_MAX);
        let before = self.demand.replace(bits_per_second);
        if before == Some(bits_per_second) {
            return;
        }
        self.control.set(self.control.target().min(self.limit()));
        // Rates of layers go up and down a little, which is no reason to probe.
        if before.is_some_and(|before| before.saturating_mul(5) / 4 < bits_per_second) {
            self.probes.plan(now, bits_per_second);
        }
        self.publish(now);
    }

    /// Takes in the receiver's own estimate (REMB) and the loss of its report, in 1/256. It counts only where packets are not reported
    /// one by one.
    pub(crate) fn remb(&mut self, now: Micros, bits_per_second: u64, lost_256: u8) {
        self.now = now;
        let target = self.control.target();
        if let Some(target) = self.remote.target(now, target, bits_per_second, lost_256) {
            self.silence.heard();
            self.probes.give_up(now, self.round_trip);
            self.control.set(target.min(self.limit()));
            self.summary.arrived(now, target);
            self.publish(now);
        }
    }

    /// Takes in the loss of a report, in 1/256, where the receiver tells of nothing else.
    pub(crate) fn lost(&mut self, now: Micros, lost_256: u8) {
        self.now = now;
        // Nothing probes, so what is measured low for a moment may not lower it.
        let target = self.remote.target_by_loss(now, self.control.target(), lost_256);
        self.control.set(target);
        self.summary.arrived(now, target);
        self.publish(now);
    }

    /// The probe that is to be sent now, if any. It is given out once.
    pub(crate) fn next_probe(&mut self, now: Micros) -> Option<Probe> {
        self.now = now;
        if self.probes.asks_for_loss() {
            return self.probes.next_for_loss(now);
        }
        if now < self.probes.due() || !self.may_probe(now) {
            return None;
        }
        let demand = self.demand.unwrap_or(TARGET_MAX);
        match self.remote.is_active() {
            true => self.probes.next_remote(now, self.control.target(), demand),
            false => self.probes.next(now, self.control.target(), demand),
        }
    }

    /// Whether a probe is to be sent though no more is wanted than there is.
    pub(crate) fn asks_for_probe(&self) -> bool {
        self.probes.asks_for_loss()
    }

    /// Whether a probe that is being sent is to end, because it has shown enough.
    pub(crate) fn ends_probe(&self) -> bool {
        self.probes.is_cut()
    }

    /// Does what is due by the clock: without reports, less is sent, and a path at rest is empty.
    pub(crate) fn timeout(&mut self, now: Micros) {
        self.now = now;
        if self.rests_at().is_some_and(|at| at <= now) {
            self.rest(now);
            self.publish(now);
        }
        let target = self.control.target();
        if self.silence.is_due(now, target) {
            self.control.set(target / 2);
            self.narrow = None;
            self.publish(now);
        }
    }

    /// The time at which [`timeout`](Estimator::timeout) and [`next_probe`](Estimator::next_probe) are to be called, unless
    /// something else happens before. It lies after the time that was told last. There is none while nothing is sent and no more is
    /// wanted than there is.
    pub(crate) fn next_timeout(&self) -> Option<Micros> {
        let is_wanted = self.demand.is_some_and(|demand| demand > self.control.target());
        let probe = Some(self.probes.due()).filter(|due| is_wanted && *due > self.now);
        let others = self.silence.due().into_iter().chain(self.rests_at());
        let others = others.map(|due| due.max(self.now.saturating_add(1)));
        probe.into_iter().chain(others).min()
    }

    /// The time from which on the path is at rest if nothing more is sent. `None` where nothing waits for that. Only reports say that a
    /// queue is empty, or why packets were lost. But if all videos are paused because of either, nothing is sent that could be reported.
    fn rests_at(&self) -> Option<Micros> {
        let waits = self.loss.is_busy() || !self.is_empty();
        let reported_at = self
            .remote
            .reported_at()
            .filter(|_| waits && self.silence.is_answered())?;
        let since = reported_at.saturating_add(self.queue.usual());
        Some(since.saturating_add(2 * self.round_trip).saturating_add(REST))
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The target is never more than twice of what could be used.
    pub(super) fn limit(&self) -> u64 {
        let most = self.demand.map_or(TARGET_MAX, |demand| demand.saturating_mul(2));
        most.clamp(TARGET_MIN, TARGET_MAX)
    }
}
