//! The rules together: what delay, loss, probes and bursts mean for the target.

use super::Micros;
use super::control::{Pace, Rates};
use super::estimator::Estimator;
use super::flight::Shown;
use super::loss::{Answer, Verdict};
use super::narrow::{NARROW, Narrow};
use super::rate;

/// A trend counts as overuse only above this queue: without one it is jitter.
const QUEUE_MIN: Micros = 10_000;
/// A queue that stands above this, for so long, is overuse, though it does not grow.
const STANDING: Micros = 15_000;
const STANDING_TIME: Micros = 200_000;
/// A queue of the last moments above this is overuse at once.
const JUMP: Micros = 60_000;
/// The most by which another route is longer.
const ROUTES_MAX: Micros = 250_000;
/// The short time holds too few packets of a path slower than this, in bits per second, to know its rate.
const SLOW: u64 = 1_000_000;
/// A path that was shared is believed to be for so long. Until then no probe can tell what is free: it only outruns the others.
const SHARED: Micros = 10_000_000;
/// The wait before probes after a fall.
const RECOVERY: Micros = 1_000_000;

impl Estimator {
    /// Draws conclusions after each feedback.
    pub(super) fn decide(&mut self, now: Micros) {
        let queue = self.look_for_another_route(now);
        self.competing.queue(queue);
        self.queue.keep_base(now, self.competing.is_suspected());
        self.probes.queue(self.queue.hasty());
        self.take_answer(now);
        self.take_probe(now);
        self.judge_delay(now, queue);
        self.follow_narrow(now);
        self.judge_loss(now);
        if queue < QUEUE_MIN {
            self.control.queue_is_empty(now);
            self.take_hint(now);
        } else if queue > JUMP
            && let Some(arriving) = self.arriving()
        {
            self.control.measure(now, arriving);
        }
        self.grow(now, queue);
    }

    /// The queue. A delay that stays the same for long, though much less is sent than before, is none, but another route's.
    fn look_for_another_route(&mut self, now: Micros) -> Micros {
        let queue = self.queue.usual();
        let is_steady = self.queue.is_steady(now, queue) && (STANDING..ROUTES_MAX).contains(&queue);
        let Some(before) = self.competing.before().filter(|_| is_steady) else {
            return queue;
        };
        let is_less = self.rate.over(rate::SECOND).is_some_and(|rate| rate < before / 5 * 4);
        let lasts = now.saturating_sub(self.changed_at) >= rate::BUCKET * rate::SECOND + self.round_trip;
        if !is_less || !lasts || self.control.is_held(now) {
            return queue;
        }
        self.queue.take_as_base(now);
        self.control.was_not_full(before.min(self.limit()));
        self.probes.plan(now, before.saturating_mul(2));
        self.queue.usual()
    }

    pub(super) fn may_probe(&self, now: Micros) -> bool {
        let is_busy = self.control.is_held(now) || self.loss.is_busy() || self.competing.is_active();
        // Media that do not fill the target leave room, whoever else is there.
        let is_alone = now >= self.shared_until || self.probes.is_unfilled();
        !is_busy && is_alone && self.is_empty()
    }

    /// Whether nothing waits on the path. A queue that has just begun is seen in the last moments only.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.usual() <= QUEUE_MIN && self.queue.hasty() <= JUMP / 2
    }

    /// Nothing has been sent for so long that what waited on the path has left it. What was to be found out by sending less stays
    /// unknown, and the target as it is, until a probe shows more.
    pub(super) fn rest(&mut self, now: Micros) {
        self.queue.rest();
        self.standing_since = None;
        self.competing.queue(0);
        self.control.queue_is_empty(now);
        self.probes.give_up(now, self.round_trip);
        self.begin_anew(now);
    }

    /// The rate that arrives, as far as reports that were lost allow to know.
    fn arriving(&self) -> Option<u64> {
        self.rate.over(rate::USUAL).map(|rate| self.coverage.fill(rate))
    }

    /// The rate at which packets leave the queue in which they wait, on a path so slow that it is known no better.
    fn slow_rate(&self) -> Option<u64> {
        self.busy
            .rate()
            .filter(|rate| *rate < SLOW && !self.coverage.has_hole())
    }

    /// The rate of a burst whose packets waited, on a path that is suddenly so slow that nothing else tells yet.
    fn burst_rate(&self) -> Option<u64> {
        let is_sudden = |rate: &u64| *rate < NARROW && *rate < self.control.target() / 2;
        self.spread
            .rate()
            .filter(|rate| is_sudden(rate) && !self.coverage.has_hole())
    }

    /// Whether the packets of the newest burst that waited have arrived as far apart as on a narrow path.
    fn is_spread(&self) -> bool {
        self.spread.hint().is_some_and(|rate| rate < NARROW)
    }

    fn follow_narrow(&mut self, now: Micros) {
        let (rate, hasty) = (self.slow_rate(), self.queue.hasty());
        self.narrow.take_if(|narrow| !narrow.follow(now, rate, hasty));
    }

    /// The rate at which media arrive, without probes.
    fn media(&self) -> u64 {
        self.media.over(rate::USUAL).map_or(0, |rate| self.coverage.fill(rate))
    }

    /// Whether media use at least a half of the target, so that they would soon show if it were too high.
    fn is_used(&self) -> bool {
        self.loss.before_loss(self.media()) >= self.control.target() / 2
    }

    fn take_probe(&mut self, now: Micros) {
        let Some(shown) = self.probes.shown(now, self.round_trip, self.loss.inherent()) else {
            return;
        };
        let target = self.control.target();
        // The rate of a short probe may be more than what lasts.
        let is_near = |shown: &Shown| self.is_used() && shown.rate <= target / 10 * 11;
        if let Some(shown) = shown.filter(|shown| shown.sure || is_near(shown)) {
            self.summary.arrived(now, shown.rate);
            if shown.saturated {
                self.control.full_at(now, shown.rate);
            }
            if shown.rate > target {
                self.control.raise(shown.rate.min(self.limit()));
                self.begin_anew(now);
            }
        }
        self.probes.conclude(now, shown, target);
    }

    /// Our own bursts arrive faster than the target: perhaps the path carries more now.
    fn take_hint(&mut self, now: Micros) {
        let target = self.control.target();
        if let Some(rate) = self.pairs.rate(now).filter(|rate| *rate > target / 10 * 13)
            && now >= self.ceiling.until()
        {
            self.probes.hint(now, rate.min(target.saturating_mul(2)));
        }
    }

    fn judge_delay(&mut self, now: Micros, queue: Micros) {
        let hasty = self.queue.hasty();
        if hasty > JUMP {
            self.queued_at = Some(now);
        }
        if queue <= STANDING {
            self.standing_since = None;
        }
        let since = match self.standing_since {
            None if queue > STANDING => *self.standing_since.insert(now),
            since => since.unwrap_or(now),
        };
        let stands = now.saturating_sub(since) >= STANDING_TIME;
        let grows = self.trend.is_growing() && queue > QUEUE_MIN;
        let burst = self.burst_rate();
        let slow = self.slow_rate().or(burst);
        // What has just stood still is late all at once. Only the packets that follow tell whether the path has become slow, too.
        let is_told = slow.is_some() || !self.standstill.is_recent();
        let jumped = (hasty > JUMP && is_told) || burst.is_some();
        let may_fall = !self.control.is_held(now) && !self.competing.is_active() && !self.coverage.has_pause();
        if !(grows || stands || jumped) || !may_fall {
            return;
        }
        let target = self.control.target();
        let usual = self.arriving().unwrap_or(target);
        // After a jump the usual time reaches back to before it. The short time may be nothing but a hole, and says little where it
        // is not needed: of a slow path it holds few packets.
        let may_be_short = jumped && queue <= JUMP && !self.coverage.has_hole();
        let short = self.rate.over(rate::SHORT).filter(|_| may_be_short);
        let arriving = slow.filter(|_| jumped).unwrap_or(usual.min(short.unwrap_or(usual)));
        if target < arriving / 10 * 8 {
            // The queue is being emptied already.
            return;
        }
        let share = self.bursts.share(now, arriving).filter(|_| !self.coverage.has_hole());
        if let Some(share) = share {
            self.share = share;
            self.shared_until = now.saturating_add(SHARED);
        }
        let rates = Rates {
            sending: self.coverage.sending(now),
            arriving,
            share,
        };
        let mut queue = queue.max(hasty);
        if jumped && arriving < NARROW && slow.is_some() && self.is_spread() {
            let narrow = Narrow::new(now, arriving, self.coverage.under_way(now));
            // Some of what is under way has found no room, and has not to leave.
            queue = queue.max(narrow.queue() * 3 / 4);
            self.narrow = Some(narrow);
        }
        self.control.fall(now, self.round_trip, queue, rates);
        self.after_fall(now, target, arriving);
    }

    fn after_fall(&mut self, now: Micros, before: u64, arriving: u64) {
        self.begin_anew(now);
        self.summary.disproved(now, arriving);
        let later = now.saturating_add(RECOVERY);
        self.probes.fallen(later);
        if self.control.target() < before / 100 * 66 {
            // It may have been somebody else's burst: then most of the old rate is there again soon.
            self.probes.plan(later, before / 100 * 85);
        }
        if let Some(first) = self.competing.fall(now, arriving) {
            self.control.raise(first / 2);
        }
    }

    /// The rate has changed: what was lost and what arrived before says nothing of it.
    fn begin_anew(&mut self, now: Micros) {
        self.loss.begin_anew(now);
        self.changed_at = now;
    }

    fn judge_loss(&mut self, now: Micros) {
        let lasts = now.saturating_sub(self.changed_at).saturating_sub(self.round_trip) / rate::BUCKET;
        let window = lasts.clamp(rate::USUAL, rate::SECOND);
        let arrived = self.rate.over(window).unwrap_or(0);

        match self.loss.judge(now, arrived) {
            Some(Verdict::Inherent { target }) => {
                self.control.raise(target.min(self.limit()));
                self.ceiling.was_none();
                self.probes.plan(now, target.saturating_mul(2));
                self.begin_anew(now);
            }
            Some(Verdict::Full { arrived }) if self.was_queued(now) => {
                // The queue overflowed, as it does when the path becomes slower. Where there is a queue, it tells of the path.
                self.control.full_at(now, arrived);
                self.begin_anew(now);
            }
            Some(Verdict::Full { arrived }) => self.set_ceiling(now, arrived / 100 * 95),
            None => {}
        }
        if self.loss.is_unanswered(now) {
            self.begin_trial(now, arrived);
        }
        let is_busy = self.loss.is_busy() || self.control.is_held(now);
        if is_busy || lasts <= rate::USUAL {
            return;
        }
        if self.loss.is_significant() {
            self.take_loss(now, arrived);
        } else if self.loss.is_doubtful(now) && self.may_probe(now) && self.loss.may_be_chance() {
            self.ask(now, self.loss.before_loss(arrived));
        }
    }

    /// Whether there was a queue since some time before the trial that has just ended.
    fn was_queued(&self, now: Micros) -> bool {
        let lately = |at: Micros| now.saturating_sub(at) < 3 * RECOVERY + 2 * self.round_trip;
        self.queued_at.is_some_and(lately)
    }

    fn take_loss(&mut self, now: Micros, arrived: u64) {
        let target = self.control.target();
        if self.competing.is_active() {
            self.control.set(target / 4 * 3);
            self.control.hold(now.saturating_add(self.round_trip));
            self.begin_anew(now);
        } else if self.ceiling.explains(now, target) {
            self.set_ceiling(now, arrived.min(target) / 100 * 95);
        } else if self.may_probe(now) && self.loss.may_be_chance() {
            self.ask(now, self.loss.before_loss(arrived));
        } else {
            self.begin_trial(now, arrived);
        }
    }

    /// Lets a probe show whether more is lost if more is sent. A layer that is sent stays meanwhile.
    fn ask(&mut self, now: Micros, sending: u64) {
        let is_filled = !self.probes.is_unfilled();
        let rate = self.loss.ask(now, self.round_trip, sending, is_filled);
        self.probes.ask_for_loss(rate);
    }

    /// Takes in what such a probe showed. Where the path may be full, less is sent for a while to find out.
    fn take_answer(&mut self, now: Micros) {
        let Some(sending) = self.loss.asked_at() else { return };
        let Some(shown) = self.probes.shown_of_loss(now, self.round_trip) else {
            return;
        };
        match shown.map_or(Answer::Unclear, |shown| self.loss.answer(shown)) {
            Answer::Chance => {
                self.ceiling.was_none();
                self.begin_anew(now);
            }
            Answer::Unclear if self.loss.may_ask_again() => self.ask(now, sending),
            Answer::Unclear if self.loss.keeps_belief() => {}
            Answer::Unclear | Answer::Full => self.begin_trial(now, self.rate.over(rate::SECOND).unwrap_or(0)),
        }
    }

    /// Begins to send less, to see whether less is lost or as much arrives.
    fn begin_trial(&mut self, now: Micros, arrived: u64) {
        let target = self.control.target();
        let sending = self.loss.before_loss(arrived).min(target);
        let cut = (arrived / 100 * 85).max(sending / 4).min(sending / 100 * 95);
        let kept = cut as f64 / sending.max(1) as f64;
        self.loss.begin_trial(now, self.round_trip, target, arrived, kept);
        self.changed_at = now;
        self.control.set(cut);
        self.probes.put_off(now.saturating_add(2 * RECOVERY));
    }

    /// Packets are lost above this rate: nothing tries to exceed it for a while.
    fn set_ceiling(&mut self, now: Micros, rate: u64) {
        self.control.set(rate);
        self.control.full_at(now, rate);
        self.control.hold(now.saturating_add(self.round_trip));
        self.begin_anew(now);
        self.ceiling.found(now, rate);
        self.summary.disproved(now, rate);
        self.probes.put_off(self.ceiling.until());
    }

    fn grow(&mut self, now: Micros, queue: Micros) {
        let arrived = self.arriving().unwrap_or(0);
        self.probes.filled(arrived >= self.control.target() / 10 * 8);
        let arrived = if self.is_used() { arrived } else { self.media() };
        // A probe, or one key frame, may have been no more than a shaper lets pass at once.
        let lasting = self.media.over(rate::SECOND).unwrap_or(0);
        self.summary
            .arrived(now, lasting.min(arrived).min(self.control.target()));
        self.loss.settle(now);
        let pace = if self.competing.is_active() {
            Pace::Competing
        } else if queue >= QUEUE_MIN || self.trend.is_growing() || self.loss.is_busy() {
            Pace::None
        } else if now < self.shared_until {
            Pace::Shared { share: self.share }
        } else {
            Pace::Alone
        };
        let most = (arrived.saturating_mul(3) / 2).saturating_add(10_000).min(self.limit());
        self.control.grow(now, self.round_trip, most, pace);
    }
}
