//! The target: how it grows, and how it falls.

use super::Micros;

pub(super) const TARGET_MIN: u64 = 50_000;
pub(super) const TARGET_MAX: u64 = 30_000_000;

/// Growth where nothing is known, in percent a second (draft-ietf-rmcat-gcc-02 §5.5).
const GROWTH_PERCENT: u64 = 8;
const GROWTH_COMPETING_PERCENT: u64 = 4;
const PACKET_BITS: u64 = 9_600;
const RESPONSE: Micros = 100_000;
/// Rates at which the path was full are remembered for so long.
const LINK_KEPT: Micros = 60_000_000;
/// The wait after a fall, besides one round trip.
const HOLD: Micros = 200_000;
/// A queue is emptied in about this time.
const DRAIN: Micros = 800_000;

/// The parts of the arriving rate, in thousandths, to which a fall goes with a long queue and with a short one.
const KEPT_MIN: u64 = 400;
const KEPT_MAX: u64 = 880;
/// The part that somebody yields to whom the whole path belongs, if it is shared.
const YIELDED: u64 = 300;
/// The part to which the target returns after a deeper fall, once the queue is empty.
const RETURN: u64 = 880;

pub(super) struct Control {
    target: u64,
    /// A rate at which the path was full, and when that was.
    link: Option<(u64, Micros)>,
    held_until: Micros,
    grown_at: Micros,
    /// The target is to return to what the path carries when the queue is empty.
    returning: bool,
}

impl Control {
    pub(super) fn new(now: Micros, target: u64) -> Control {
        Control {
            target,
            link: None,
            held_until: now,
            grown_at: now,
            returning: false,
        }
    }

    pub(super) fn target(&self) -> u64 {
        self.target
    }

    pub(super) fn is_held(&self, now: Micros) -> bool {
        now < self.held_until
    }

    pub(super) fn hold(&mut self, until: Micros) {
        self.held_until = self.held_until.max(until);
    }

    pub(super) fn set(&mut self, target: u64) {
        self.target = target.clamp(TARGET_MIN, TARGET_MAX);
    }

    pub(super) fn raise(&mut self, target: u64) {
        self.set(self.target.max(target));
    }

    /// Remembers the rate that arrived while the path was full.
    pub(super) fn full_at(&mut self, now: Micros, rate: u64) {
        self.link = Some((rate, now));
    }

    fn link(&self, now: Micros) -> Option<u64> {
        self.link
            .filter(|(_, at)| now.saturating_sub(*at) < LINK_KEPT)
            .map(|(rate, _)| rate)
    }

    /// Falls below what arrives, the further the longer the queue will be, so that it empties.
    pub(super) fn fall(&mut self, now: Micros, round_trip: Micros, queue: Micros, rates: Rates) {
        let Rates {
            sending,
            arriving,
            share,
        } = rates;
        // Until now more was sent than arrives. What is under way lengthens the queue further.
        let excess = sending.saturating_sub(arriving);
        let coming = excess.saturating_mul(round_trip) / arriving.max(1);
        let queue = queue.saturating_add(coming).min(DRAIN);
        let thousandths = 1_000 - queue.saturating_sub(10_000) * 1_000 / DRAIN;
        // Whose share is larger yields more, so that shares become equal.
        let most = share.map_or(KEPT_MAX, |share| 1_000 - YIELDED * share.min(1_000) / 1_000);
        let kept = thousandths.clamp(KEPT_MIN, most);
        let below = arriving.saturating_mul(kept) / 1_000;
        self.full_at(now, arriving);
        self.set(below.min(self.target / 100 * 95));
        self.returning = kept < RETURN;
        self.hold(now.saturating_add(round_trip).saturating_add(HOLD));
    }

    /// The path was not full when the target fell: this rate arrived.
    pub(super) fn was_not_full(&mut self, rate: u64) {
        (self.link, self.returning) = (None, false);
        self.raise(rate);
    }

    /// Corrects the rate at which the path is full, while the queue is long after a fall.
    pub(super) fn measure(&mut self, now: Micros, arriving: u64) {
        if self.returning
            && let Some((rate, _)) = self.link
        {
            self.full_at(now, rate.min(arriving));
        }
    }

    /// Returns to just below what the path carries, once the queue is empty.
    pub(super) fn queue_is_empty(&mut self, now: Micros) {
        if self.returning && !self.is_held(now) {
            self.returning = false;
            if let Some(link) = self.link(now) {
                self.raise(link / 1_000 * RETURN);
            }
        }
    }

    /// Grows for the time that has passed, up to `most`.
    pub(super) fn grow(&mut self, now: Micros, round_trip: Micros, most: u64, pace: Pace) {
        let passed = now.saturating_sub(self.grown_at).min(1_000_000);
        self.grown_at = now;
        if self.is_held(now) {
            return;
        }
        let by_percent = |percent: u64| self.target * percent * passed / 100_000_000;
        let response = round_trip.min(10_000_000) + RESPONSE;
        let additive = PACKET_BITS * passed / response;
        let is_near = |link: u64| (link / 10 * 9..link / 10 * 13).contains(&self.target);
        let step = match pace {
            Pace::None => 0,
            Pace::Competing => additive + by_percent(GROWTH_COMPETING_PERCENT),
            Pace::Shared { share } => additive * 4 * 1_000u64.saturating_sub(share) / 1_000,
            Pace::Alone
                if self
                    .link(now)
                    .is_some_and(|link| is_near(link) && self.target > link / 100 * 96) =>
            {
                additive / 2
            }
            Pace::Alone if self.link(now).is_some_and(is_near) => additive,
            Pace::Alone => by_percent(GROWTH_PERCENT).max(additive),
        };
        self.set((self.target + step).min(most.max(self.target)));
    }
}

/// The rates at the time of a fall, in bits per second.
pub(super) struct Rates {
    pub sending: u64,
    pub arriving: u64,
    /// The part of the path that is ours, in thousandths, if others use it.
    pub share: Option<u64>,
}

/// How the target may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    None,
    /// Others share the path, and yield as we do. Our share is in thousandths: the smaller it is the faster it grows.
    Shared {
        share: u64,
    },
    /// Somebody keeps the queue full.
    Competing,
    Alone,
}
