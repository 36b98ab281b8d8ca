//! When packets leave that need not leave at once: those of a frame that is larger than what the path carries in some tens of
//! milliseconds, and those that are sent again. All at once they would fill the queue at the narrowest place of the path, and what
//! comes after them, sound first, would wait there or be lost.
//!
//! All that is sent makes a debt, which goes down at the pacing rate. What may wait is sent in slices: when the debt is gone, as
//! much as the burst budget. An ordinary frame is smaller than this budget and never waits, nor does sound. Where nothing is
//! known of the path, nothing waits.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::bandwidth::outgoing::{Micros, Narrow, Outcome};
use crate::media::keys::SubscriptionKey;

/// The pacing rate, in percent of the target. It is above the target, so that what waits becomes less.
const ABOVE_TARGET: u64 = 110;
/// The same while packets hardly wait in queues: the path has room for a burst, and a viewer waits for the picture (libwebrtc
/// sends everything at this rate).
const FAR_ABOVE_TARGET: u64 = 250;
/// The same while a copy catches up that has begun with earlier pictures: these are many frames, not one.
const CATCHES_UP: u64 = 200;
/// Time within which a copy catches up that begins with pictures from before its viewer came. Its viewer sees them faster than they were taken, and
/// hears sound that is ahead of them.
pub(crate) const CATCHES_UP_WITHIN: Duration = Duration::from_secs(1);
/// The time whose share of the target is sent at once where nothing is known of the path.
const BURST: Micros = 40_000;
/// Packets hardly wait in queues if they do so for less than this time.
const HARDLY: Micros = 10_000;
/// A queue in which they wait for this time may be full.
const LONG: Micros = 60_000;
/// The least budget: two packets, and the one that is begun before they are spent. Ordinary frames of slow videos have no more.
const BUDGET_MIN: u64 = 2 * 1_200;
/// Longest time between two slices, whatever else is sent: other videos would otherwise hold up a picture for as long as they
/// fill the path.
const BETWEEN_SLICES_MAX: Micros = 60_000;
/// Longest time that something waits: as its end comes near, more is sent. A picture that is still later has stood still for
/// longer than a loss takes to be mended.
const WAITS_AT_MOST: Micros = 500_000;
/// The same while the path's queue is long: what hurries is lost there, and then waits for another round trip.
const WAITS_BEHIND_QUEUE: Micros = 2_000_000;
/// Time that something has waited there before it may be given up: by then its publisher has been asked for less.
const GIVEN_UP_AFTER: Micros = 150_000;
/// Least time between two times that this is done: the key frame with which pictures go on may have to wait, too.
const GIVEN_UP_EACH: Micros = 3_000_000;
/// The least time that is left for what has waited so long.
const LEFT_AT_LEAST: Micros = 5_000;
/// What may wait in the queue of a path that has just become slow, as the time that it takes to leave. More may find no room there.
const NARROW_QUEUE: Micros = 220_000;
/// Packets that wait to be sent again: as many as one subscription may ask for at once.
const AGAIN_MAX: usize = 128;

/// Packets of which it is remembered when they were sent again.
const RESENT_KEPT: usize = 32;

/// Debts and rates are counted in these fractions of a byte, so that a rate is a whole number for each microsecond.
const FRACTION_BITS: u32 = 20;

/// What the pace depends on.
#[derive(Clone, Copy)]
struct Path {
    target: u64,
    burst: Micros,
    /// Whether packets wait in queues, and for so long that these may be full.
    has_queue: bool,
    has_long_queue: bool,
    narrow: Option<Narrow>,
}

/// The rate at which a copy catches up that begins with earlier pictures, over a path that is taken to carry so many bits per second.
/// `None` where the path has just become slow.
pub(crate) fn catch_up_rate(path: u64, outcome: &Outcome) -> Option<u64> {
    let percent = match outcome.queue_delay >= HARDLY {
        true => ABOVE_TARGET,
        false => CATCHES_UP,
    };
    let rate = path.saturating_mul(percent) / 100;
    outcome.narrow.is_none().then_some(rate)
}

pub(crate) struct Pacer {
    known: Option<Path>,
    /// What the path is supposed to be while a copy catches up that has begun with earlier pictures.
    supposed: Option<Path>,
    /// What may be sent at once. Everything, while nothing is known of the path.
    budget: u64,
    /// What the debt loses in a microsecond: usually, and now.
    usual_rate: u64,
    rate: u64,
    debt: u64,
    /// Time for which the debt was computed.
    at: Micros,
    /// Bytes that wait, and the time at which all of them are to have left.
    waiting: u64,
    until: Option<Micros>,
    /// Time of the last slice.
    sliced: Micros,
    /// Time at which the last slice began that sent something, or at which the first was planned; and whether the newest one has
    /// sent something.
    left_at: Micros,
    has_left: bool,
    /// The last time at which what waited was given up.
    given_up: Option<Micros>,
    /// Packets of copies that are to be sent again, by their numbers.
    again: VecDeque<(SubscriptionKey, u16)>,
    is_planned: bool,
    /// Packets that were sent again, and when.
    resent: VecDeque<(SubscriptionKey, u16, Micros)>,
}

impl Pacer {
    pub fn new() -> Pacer {
        Pacer {
            known: None,
            supposed: None,
            budget: u64::MAX,
            usual_rate: 0,
            rate: 0,
            debt: 0,
            at: 0,
            waiting: 0,
            until: None,
            sliced: 0,
            left_at: 0,
            has_left: false,
            given_up: None,
            // Reserved, because packets are put off without allocating.
            again: VecDeque::with_capacity(AGAIN_MAX),
            is_planned: false,
            resent: VecDeque::with_capacity(RESENT_KEPT),
        }
    }

    /// Follows what is known of the path; `None` if that is nothing.
    pub fn follow(&mut self, outcome: Option<&Outcome>) {
        let before = self.narrow();
        self.known = outcome.map(|outcome| Path {
            target: outcome.target,
            burst: outcome.burst,
            has_queue: outcome.queue_delay >= HARDLY,
            has_long_queue: outcome.queue_delay >= LONG,
            narrow: outcome.narrow,
        });
        self.set_pace();
        if let Some(narrow) = self.narrow()
            && before.is_none_or(|before| before.since != narrow.since)
        {
            // The debt is what is in the path's queue.
            (self.debt, self.at) = (narrow.queued << FRACTION_BITS, narrow.since);
        }
    }

    /// What is known of a path that has just become slow. Then everything waits but sound.
    #[inline]
    fn narrow(&self) -> Option<Narrow> {
        self.known.and_then(|path| path.narrow)
    }

    /// Sets budget and rate by what is known, or is supposed while a copy catches up that has begun with earlier pictures.
    fn set_pace(&mut self) {
        let Some(path) = self.known.or(self.supposed) else {
            self.budget = u64::MAX;
            self.debt = 0;
            return;
        };
        if let Some(narrow) = path.narrow {
            let bytes = narrow.bits_per_second * NARROW_QUEUE / 8_000_000;
            self.budget = bytes << FRACTION_BITS;
            self.usual_rate = rate(narrow.bits_per_second / 8, 1_000_000);
            self.rate = self.usual_rate;
            return;
        }
        let bytes = path.target.saturating_mul(path.burst) / 8_000_000 * ABOVE_TARGET / 100;
        self.budget = bytes.max(BUDGET_MIN) << FRACTION_BITS;
        let percent = match (path.has_queue, self.supposed) {
            (true, _) => ABOVE_TARGET,
            (false, Some(_)) => CATCHES_UP,
            (false, None) => FAR_ABOVE_TARGET,
        };
        self.usual_rate = rate(path.target / 8 * percent / 100, 1_000_000);
        self.rate = self.rate.max(self.usual_rate);
        if self.until.is_none() {
            self.rate = self.usual_rate;
        }
    }

    /// Lets a copy catch up within a time that begins with earlier pictures. If nothing is known of the path, it is supposed to
    /// carry so many bits per second meanwhile.
    pub fn begin_replay(&mut self, now: Micros, target: u64, within: Duration) {
        self.supposed = Some(Path {
            target,
            burst: BURST,
            has_queue: false,
            has_long_queue: false,
            narrow: None,
        });
        self.set_pace();
        self.until = Some(now + within.as_micros() as Micros);
    }

    /// Counts what is sent.
    #[inline]
    pub fn sent(&mut self, now: Micros, bytes: usize) {
        if self.budget != u64::MAX {
            self.pass(now);
            // More than a few budgets of debt would only hold up what waits, long after others have sent too much.
            let debt = self.debt + ((bytes as u64) << FRACTION_BITS);
            self.debt = debt.min(self.budget.saturating_mul(4));
        }
    }

    #[inline]
    fn pass(&mut self, now: Micros) {
        if now != self.at {
            let paid = now.saturating_sub(self.at).saturating_mul(self.rate);
            self.debt = self.debt.saturating_sub(paid);
            self.at = now;
        }
    }

    /// Whether so much may be sent at once whatever was sent before.
    #[inline]
    pub fn is_ordinary(&self, bytes: u32) -> bool {
        u64::from(bytes) << FRACTION_BITS <= self.budget && self.narrow().is_none()
    }

    /// Whether what may wait is to wait now.
    pub fn is_spent(&mut self, now: Micros) -> bool {
        self.pass(now);
        self.debt > self.budget
    }

    /// Puts off a packet of so many bytes.
    pub fn put_off(&mut self, now: Micros, bytes: usize) {
        self.waiting += bytes as u64;
        self.until.get_or_insert(now + WAITS_AT_MOST);
    }

    /// Whether a packet was sent again so lately that it may still be in a queue, if there is one: then to send it once more would
    /// only lengthen that. If not, it is taken to be sent now.
    pub fn is_on_its_way(
        &mut self,
        now: Micros,
        subscription: SubscriptionKey,
        sequence: u16,
        round_trip: Option<Micros>,
    ) -> bool {
        let since = round_trip.map_or(now, |time| now.saturating_sub(time));
        let is_same = |sent: &(SubscriptionKey, u16, Micros)| (sent.0, sent.1) == (subscription, sequence);
        if self.resent.iter().any(|sent| is_same(sent) && sent.2 > since) {
            return true;
        }
        if self.resent.len() == RESENT_KEPT {
            self.resent.pop_front();
        }
        self.resent.push_back((subscription, sequence, now));
        false
    }

    /// Puts off a packet that is to be sent again, if it has to wait. False if it is to be sent now.
    pub fn put_off_again(&mut self, now: Micros, subscription: SubscriptionKey, sequence: u16) -> bool {
        if self.again.is_empty() && !self.is_spent(now) {
            return false;
        }
        if self.again.contains(&(subscription, sequence)) {
            return true;
        }
        if self.again.len() >= AGAIN_MAX {
            return false;
        }
        self.again.push_back((subscription, sequence));
        self.until.get_or_insert(now + WAITS_AT_MOST);
        true
    }

    /// The next packet that is to be sent again now.
    pub fn next_again(&mut self, now: Micros) -> Option<(SubscriptionKey, u16)> {
        if self.is_spent(now) {
            return None;
        }
        self.has_left = true;
        self.again.pop_front()
    }

    /// Begins a slice: what waits is sent until [`Pacer::is_spent`].
    pub fn begin_slice(&mut self, now: Micros) {
        self.hurry(now);
        self.pass(now);
        if now.saturating_sub(self.sliced) >= BETWEEN_SLICES_MAX && self.narrow().is_none() {
            self.debt = 0;
        }
        if std::mem::take(&mut self.has_left) {
            self.left_at = now;
        } else if now.saturating_sub(self.left_at) >= NARROW_QUEUE {
            // Sound alone fills what a narrow path is supposed to carry. It may carry more, which only pictures show.
            self.debt = self.debt.min(self.budget);
        }
        self.sliced = now;
    }

    /// Sets the rate so that all that waits leaves in time.
    fn hurry(&mut self, now: Micros) {
        let longer = match self.is_behind_queue() {
            true => WAITS_BEHIND_QUEUE - WAITS_AT_MOST,
            false => 0,
        };
        let needed = self.until.map_or(0, |until| {
            let until = until.saturating_add(longer);
            let left = until.saturating_sub(now).max(LEFT_AT_LEAST);
            rate(self.waiting, left)
        });
        self.rate = self.usual_rate.max(needed);
    }

    /// Whether the path's queue may be full.
    fn is_behind_queue(&self) -> bool {
        self.known
            .is_some_and(|path| path.has_long_queue || path.narrow.is_some())
    }

    /// Whether what waits behind a long queue would take longer than anything is to wait.
    pub fn is_hopeless(&self, now: Micros) -> bool {
        let since = self.until.map(|until| until.saturating_sub(WAITS_AT_MOST));
        let has_waited = since.is_some_and(|since| now >= since.saturating_add(GIVEN_UP_AFTER));
        let is_new = self.given_up.is_some_and(|at| now < at.saturating_add(GIVEN_UP_EACH));
        let in_time = self.usual_rate.saturating_mul(WAITS_AT_MOST) >> FRACTION_BITS;
        has_waited && !is_new && self.is_behind_queue() && self.waiting > in_time
    }

    /// Forgets all that waits, because it is hopeless.
    pub fn give_up(&mut self, now: Micros) {
        self.forget();
        self.given_up = Some(now);
    }

    /// Counts a packet that has waited as sent, or lost.
    pub fn left(&mut self, bytes: usize) {
        self.waiting = self.waiting.saturating_sub(bytes as u64);
        self.has_left = true;
    }

    /// Ends a slice. Returns the time of the next one, if `more` waits or a packet is to be sent again.
    pub fn end_slice(&mut self, now: Micros, more: bool) -> Option<Micros> {
        if more || !self.again.is_empty() {
            return Some(self.next(now));
        }
        self.forget();
        None
    }

    /// Only tests ask whether a packet waits to be sent again.
    #[cfg(debug_assertions)]
    pub fn has_waiting(&self) -> bool {
        !self.again.is_empty()
    }

    /// Forgets all that waits.
    pub fn forget(&mut self) {
        self.again.clear();
        (self.waiting, self.until, self.is_planned) = (0, None, false);
        self.supposed = None;
        self.set_pace();
    }

    /// The time of the next slice, if that is news: something waits, and no slice is planned.
    pub fn plan(&mut self, now: Micros) -> Option<Micros> {
        if self.is_planned || self.until.is_none() {
            return None;
        }
        self.is_planned = true;
        (self.sliced, self.left_at) = (now, now);
        Some(self.next(now))
    }

    fn next(&self, now: Micros) -> Micros {
        let stays = self.narrow().map_or(0, |_| self.budget);
        let paid = now + self.debt.saturating_sub(stays) / self.rate.max(1);
        paid.min(self.sliced + BETWEEN_SLICES_MAX)
    }
}

/// Fractions of bytes in a microsecond.
fn rate(bytes: u64, time: Micros) -> u64 {
    (bytes.min(u64::MAX >> FRACTION_BITS) << FRACTION_BITS) / time
}

#[cfg(test)]
mod tests;
