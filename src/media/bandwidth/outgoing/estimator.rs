//! The rules together: what each input means for the target.

use super::competing::Competing;
use super::control::{Control, TARGET_MAX, TARGET_MIN};
use super::delay::Trend;
use super::loss::{Loss, Verdict};
use super::probe::Probes;
use super::queue::QueueDelay;
use super::rate::{self, ArrivalRate};
use super::window::Least;
use super::{Micros, Outcome, Probe, Report, State};

const TARGET_AT_START: u64 = 300_000;
/// The round trip before one is known.
const ROUND_TRIP: Micros = 100_000;
const ROUND_TRIP_MAX: Micros = 3_000_000;

/// A trend counts as overuse only above this queue: without one it is jitter.
const QUEUE_MIN: Micros = 10_000;
/// A queue that stands above this, for so long, is overuse, though it does not grow.
const STANDING: Micros = 60_000;
const STANDING_TIME: Micros = 400_000;

const BURST: Micros = 40_000;
const BURST_SMALL: Micros = 5_000;

/// The estimator of one connection. Inputs are [`sent`](Estimator::sent), [`feedback`](Estimator::feedback),
/// [`remb`](Estimator::remb), [`demand`](Estimator::demand) and [`timeout`](Estimator::timeout); after each of them
/// [`outcome`](Estimator::outcome) and [`next_probe`](Estimator::next_probe) may tell something new.
pub(crate) struct Estimator {
    rate: ArrivalRate,
    trend: Trend,
    queue: QueueDelay,
    loss: Loss,
    probes: Probes,
    competing: Competing,
    control: Control,
    demand: Option<u64>,
    round_trip: Micros,
    standing_since: Option<Micros>,
    /// A rate above which packets are lost, and until when it is believed.
    ceiling: Option<(u64, Micros)>,
    ceiling_time: Micros,
    /// The time of the last feedback, or of the first packet after it.
    waiting_since: Option<Micros>,
    halved: u32,
    least: Least<12>,
    most: Least<6>,
    outcome: Outcome,
}

impl Estimator {
    pub(crate) fn new(now: Micros) -> Estimator {
        Estimator {
            rate: ArrivalRate::new(),
            trend: Trend::new(),
            queue: QueueDelay::new(),
            loss: Loss::new(),
            probes: Probes::new(now, TARGET_AT_START * 3),
            competing: Competing::new(),
            control: Control::new(now, TARGET_AT_START),
            demand: None,
            round_trip: ROUND_TRIP,
            standing_since: None,
            ceiling: None,
            ceiling_time: 10_000_000,
            waiting_since: None,
            halved: 0,
            least: Least::new(250_000),
            most: Least::new(10_000_000),
            outcome: Outcome {
                target: TARGET_AT_START,
                smooth: TARGET_AT_START,
                proven: 0,
                queue_delay: 0,
                loss_256: 0,
                state: State::Growing,
                burst: BURST,
            },
        }
    }

    /// Takes in what became of packets, in the order of their numbers.
    pub(crate) fn feedback(&mut self, now: Micros, round_trip: Option<Micros>, reports: &[Report]) {
        if let Some(round_trip) = round_trip {
            self.round_trip = round_trip.min(ROUND_TRIP_MAX);
        }
        if !reports.is_empty() {
            self.waiting_since = None;
        }
        for report in reports {
            self.probes.report(report);
            if report.probe.is_none() {
                self.loss.packet(report.sent, report.arrived.is_none());
            }
            if let Some(arrived) = report.arrived {
                self.rate.arrived(arrived, report.bytes);
                self.queue.packet(report.sent, arrived);
                self.trend.packet(report.sent, arrived);
            }
        }
        self.decide(now);
    }

    fn decide(&mut self, now: Micros) {
        let queue = self.queue.usual();
        self.competing.queue(queue);
        self.take_probe(now);
        if queue > STANDING {
            self.standing_since.get_or_insert(now);
        } else {
            self.standing_since = None;
        }
        self.judge_delay(now, queue);
        self.judge_loss(now);
        if queue < QUEUE_MIN {
            self.control.queue_is_empty(now);
        }
        self.grow(now, queue);
        self.publish(now);
    }

    fn take_probe(&mut self, now: Micros) {
        let was_flying = self.probes.is_flying();
        let shown = self.probes.shown(now, self.round_trip, self.loss.inherent());
        if !was_flying || self.probes.is_flying() {
            return;
        }
        let target = self.control.target();
        if let Some(shown) = shown {
            if shown.saturated {
                self.control.full_at(now, shown.rate);
            }
            if shown.rate > target {
                self.control.raise(shown.rate.min(self.limit()));
            }
        }
        self.probes.conclude(now, shown, target);
    }

    fn judge_delay(&mut self, now: Micros, queue: Micros) {
        let hasty = self.queue.hasty();
        let stands = self
            .standing_since
            .is_some_and(|since| now.saturating_sub(since) >= STANDING_TIME);
        let overused = (self.trend.is_growing() && queue > QUEUE_MIN) || stands || hasty > STANDING;
        if !overused || self.control.is_held(now) || self.competing.is_active() {
            return;
        }
        let target = self.control.target();
        let usual = self.rate.over(rate::USUAL).unwrap_or(target);
        let arriving = if hasty > STANDING {
            usual.min(self.rate.over(rate::SHORT).unwrap_or(usual))
        } else {
            usual
        };
        self.control
            .fall(now, self.round_trip, queue.max(hasty), arriving.min(target));
        self.competing.cut(now);
        self.loss.begin_anew(now);
        self.after_fall(now, target);
    }

    /// A deep fall may have been somebody else's burst: then most of the old rate is there again soon.
    fn after_fall(&mut self, now: Micros, before: u64) {
        if self.control.target() < before / 100 * 66 {
            self.probes.plan(now.saturating_add(1_000_000), before / 100 * 85);
        } else {
            self.probes.put_off(now.saturating_add(1_000_000));
        }
    }

    fn judge_loss(&mut self, now: Micros) {
        let arrived = self.rate.over(rate::SECOND).unwrap_or(0);
        match self.loss.judge(now, arrived) {
            Some(Verdict::Inherent { target }) => self.control.raise(target),
            Some(Verdict::Full { arrived }) => self.set_ceiling(now, arrived / 100 * 95),
            None => {}
        }
        if self.loss.is_on_trial() || self.control.is_held(now) || !self.loss.is_significant() {
            return;
        }
        let target = self.control.target();
        if self.competing.is_active() {
            self.control.set(target / 4 * 3);
            self.control.hold(now.saturating_add(self.round_trip));
            self.loss.begin_anew(now);
        } else if self.ceiling.is_some_and(|(rate, _)| target > rate / 10 * 9) {
            self.set_ceiling(now, arrived.min(target) / 100 * 95);
        } else {
            let cut = (arrived / 100 * 85).max(target / 2).min(target / 100 * 95);
            let kept = cut as f64 / target.max(1) as f64;
            self.loss.begin_trial(now, self.round_trip, target, arrived, kept);
            self.control.set(cut);
            self.probes.put_off(now.saturating_add(2_000_000));
        }
    }

    /// Packets are lost above this rate: nothing tries to exceed it for a while, and longer each time.
    fn set_ceiling(&mut self, now: Micros, rate: u64) {
        self.control.set(rate);
        self.control.full_at(now, rate);
        self.control.hold(now.saturating_add(self.round_trip));
        self.loss.begin_anew(now);
        self.ceiling = Some((rate, now.saturating_add(self.ceiling_time)));
        self.probes.put_off(now.saturating_add(self.ceiling_time));
        self.ceiling_time = (self.ceiling_time * 2).min(60_000_000);
    }

    fn grow(&mut self, now: Micros, queue: Micros) {
        self.loss.settle(50_000);
        let arrived = self.rate.over(rate::USUAL).unwrap_or(0);
        let most = (arrived.saturating_mul(3) / 2 + 10_000).min(self.limit());
        let is_free = queue < QUEUE_MIN && !self.trend.is_growing() && !self.loss.is_on_trial();
        if is_free || self.competing.is_active() {
            self.control
                .grow(now, self.round_trip, most, self.competing.is_active());
        }
        self.most.add(now, -(arrived.min(self.control.target()) as i64));
    }

    /// The target is never more than twice of what could be used.
    fn limit(&self) -> u64 {
        self.demand
            .map_or(TARGET_MAX, |demand| demand.saturating_mul(2))
            .clamp(TARGET_MIN, TARGET_MAX)
    }

    fn publish(&mut self, now: Micros) {
        let target = self.control.target();
        self.least.add(now, target as i64);
        self.most.pass(now);
        let least = self.least.value().unwrap_or(0).max(0) as u64;
        let smooth = self.outcome.smooth;
        self.outcome = Outcome {
            target,
            smooth: if least.abs_diff(smooth) > smooth / 20 {
                least
            } else {
                smooth
            },
            proven: self.most.value().map_or(0, |most| most.unsigned_abs()),
            queue_delay: self.queue.usual(),
            loss_256: self.loss.in_256(),
            state: self.state(now),
            burst: if self.ceiling.is_some() { BURST_SMALL } else { BURST },
        };
    }

    fn state(&self, now: Micros) -> State {
        if self.halved >= 4 {
            State::Silent
        } else if self.competing.is_active() {
            State::Competing
        } else if self.loss.is_on_trial() {
            State::Verifying
        } else if self.control.is_held(now) {
            State::Holding
        } else {
            State::Growing
        }
    }

    /// Counts one packet that was sent.
    pub(crate) fn sent(&mut self, now: Micros, bytes: u32, probe: Option<u8>) {
        if self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
        if let Some(cluster) = probe {
            self.probes.sent(now, bytes, cluster);
        }
    }

    /// Is told what all subscriptions of the connection would take if the path carried everything.
    pub(crate) fn demand(&mut self, now: Micros, bits_per_second: u64) {
        let before = self.demand.replace(bits_per_second);
        if before == Some(bits_per_second) {
            return;
        }
        self.control.set(self.control.target().min(self.limit()));
        if before.is_some_and(|before| before < bits_per_second) {
            self.probes.plan(now, bits_per_second);
        }
        self.publish(now);
    }

    /// Takes in the receiver's own estimate (REMB) and the loss of its report, where it sends no transport-wide feedback.
    pub(crate) fn remb(&mut self, now: Micros, bits_per_second: u64, _lost_256: u8) {
        self.control.set(bits_per_second / 100 * 95);
        self.publish(now);
    }

    /// The probe that is to be sent now, if any. It is given out once.
    pub(crate) fn next_probe(&mut self, now: Micros) -> Option<Probe> {
        if now < self.probes.due() {
            return None;
        }
        if self.control.is_held(now) || self.loss.is_on_trial() || self.competing.is_active() {
            return None;
        }
        if self.queue.usual() > QUEUE_MIN {
            return None;
        }
        self.probes
            .next(now, self.control.target(), self.demand.unwrap_or(TARGET_MAX))
    }

    /// Does what is due by the clock.
    pub(crate) fn timeout(&mut self, _now: Micros) {}

    /// The time at which [`timeout`](Estimator::timeout) is to be called, unless something else happens before.
    pub(crate) fn next_timeout(&self) -> Option<Micros> {
        None
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }
}
