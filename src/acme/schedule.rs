//! When a certificate is asked for, and by which challenge: pure, told the time.
//!
//! [`Schedule::next`] says what is due. Whoever has done that says what became of it, and asks again.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::failure::Kind;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = HOUR.saturating_mul(24);

/// Longest pause. After a longer one nobody could say whether the server still tries.
const PAUSE_MAX: Duration = DAY;

/// Shortest time between two certificates. An authority that issues some for a second gets no busier than that.
const SUCCESS_PAUSE_MIN: Duration = Duration::from_secs(5);

/// Time after which what is due is looked at again in any case: somebody may have corrected the clock.
const LOOK_AGAIN: Duration = HOUR;

/// Failed validations within an hour after which none is tried. Let's Encrypt refuses a name for a while after five; one of them may
/// have been somebody else's.
const FAILED_VALIDATIONS_MAX: usize = 4;

/// Range of the time between two looks at what the authority suggests (RFC 9773 §4.3.2: clients may set limits).
const LOOKS_MIN: Duration = HOUR;
const LOOKS_MAX: Duration = DAY;

/// The times between which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl Validity {
    pub(crate) fn left(&self, now: SystemTime) -> Duration {
        self.until.duration_since(now).unwrap_or_default()
    }

    fn lifetime(&self) -> Duration {
        self.until.duration_since(self.from).unwrap_or_default()
    }

    /// Whether it ends so soon that somebody has to look: it should have been renewed when a third was left.
    pub(crate) fn is_urgent(&self, now: SystemTime) -> bool {
        self.left(now) < self.lifetime() / 4
    }
}

/// The date, and the time that has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) date: SystemTime,
    pub(super) passed: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A certificate is asked for.
    Ask,
    /// The authority is asked when it wants the certificate renewed (RFC 9773).
    Look,
    /// Nothing, for a time.
    Wait(Duration),
}

/// How a name is validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// TLS-ALPN-01 (RFC 8737).
    Tls,
    /// HTTP-01 (RFC 8555 §8.3).
    Http,
}

impl Method {
    pub(super) fn other(self) -> Method {
        match self {
            Method::Tls => Method::Http,
            Method::Http => Method::Tls,
        }
    }
}

/// What has been, and what is due.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Dates of the certificate. `None` where there is none with the wanted names, of the wanted authority.
    validity: Option<Validity>,
    /// A time in the authority's window.
    suggested: Option<SystemTime>,
    next_look: Option<Instant>,
    /// A random number from 0 to 1, which spreads what many servers would do at once.
    lot: f64,
    /// Failures in a row.
    failures: u32,
    pause_until: Option<Instant>,
    /// Dates of the last failed validations, the oldest first.
    failed_validations: VecDeque<SystemTime>,
    method: Method,
    /// Whether there is a way for HTTP-01.
    has_http: bool,
}

impl Schedule {
    /// Begins with a certificate, if there is one, and with the validations that have failed before a restart.
    pub(super) fn new(
        validity: Option<Validity>,
        failed_validations: &[SystemTime],
        has_http: bool,
        lot: f64,
    ) -> Schedule {
        let skipped = failed_validations.len().saturating_sub(FAILED_VALIDATIONS_MAX);
        Schedule {
            validity,
            suggested: None,
            next_look: None,
            lot,
            failures: 0,
            pause_until: None,
            failed_validations: failed_validations.iter().skip(skipped).copied().collect(),
            method: Method::Tls,
            has_http,
        }
    }

    pub(super) fn next(&self, now: Now) -> Step {
        let due_in = self
            .renews_at()
            .map_or(Duration::ZERO, |at| at.duration_since(now.date).unwrap_or_default());
        let wait = due_in.max(self.pause(now));
        if wait.is_zero() {
            return Step::Ask;
        }
        let look_in = self
            .next_look
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now.passed));
        match (self.validity.is_some() && self.failures == 0, look_in) {
            (true, Duration::ZERO) => Step::Look,
            (true, look_in) => Step::Wait(wait.min(look_in).min(LOOK_AGAIN)),
            (false, _) => Step::Wait(wait.min(LOOK_AGAIN)),
        }
    }

    pub(super) fn validity(&self) -> Option<Validity> {
        self.validity
    }

    /// The challenge to prefer.
    pub(super) fn method(&self) -> Method {
        self.method
    }

    /// Whether an order may say which certificate it replaces (RFC 9773 §5): the authority has named a time for that one, and this is
    /// the first attempt. An authority refuses an order for a certificate that it thinks replaced.
    pub(super) fn may_replace(&self) -> bool {
        self.suggested.is_some() && self.failures == 0
    }

    pub(super) fn failed_validations(&self) -> impl Iterator<Item = SystemTime> {
        self.failed_validations.iter().copied()
    }

    /// A certificate came.
    pub(super) fn renewed(&mut self, validity: Validity, now: Now, lot: f64) {
        self.validity = Some(validity);
        (self.suggested, self.next_look) = (None, None);
        (self.failures, self.lot) = (0, lot);
        // A clock that is far ahead takes every certificate for one that is due. Then it is one a day.
        let pause = DAY.min(validity.lifetime() / 3).max(SUCCESS_PAUSE_MIN);
        self.pause_until = Some(now.passed + pause);
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, kind: Kind, now: Now, lot: f64) {
        let doubled = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let pause = kind.first_pause().saturating_mul(doubled).min(PAUSE_MAX);
        // What is left must be enough for some more attempts.
        let left = self.validity.map_or(PAUSE_MAX, |validity| validity.left(now.date) / 4);
        let pause = pause.min(left.max(kind.first_pause()));
        self.pause_until = Some(now.passed + pause - pause.mul_f64(lot / 10.0));
        if kind == Kind::Validation {
            if self.failed_validations.len() == FAILED_VALIDATIONS_MAX {
                self.failed_validations.pop_front();
            }
            self.failed_validations.push_back(now.date);
            if self.has_http {
                self.method = self.method.other();
            }
        }
    }

    /// What the authority suggests: the window in which it wants the certificate renewed, and when to ask again.
    pub(super) fn looked(&mut self, window: Option<(SystemTime, SystemTime)>, again_in: Duration, now: Now, lot: f64) {
        self.next_look = Some(now.passed + again_in.clamp(LOOKS_MIN, LOOKS_MAX));
        self.suggested = window.map(|(start, end)| {
            let length = end.duration_since(start).unwrap_or_default();
            start + length.mul_f64(lot)
        });
    }

    /// Somebody wants no pause any more.
    pub(super) fn at_once(&mut self) {
        if self.failures > 0 {
            self.pause_until = None;
        }
    }

    /// The date at which the certificate is renewed: when a third of its time is left, a little earlier by lot, or when the authority
    /// wants it. `None`: now.
    fn renews_at(&self) -> Option<SystemTime> {
        let validity = self.validity?;
        let lifetime = validity.lifetime();
        let left = lifetime / 3 + (lifetime / 30).mul_f64(self.lot);
        let by_itself = validity.until.checked_sub(left)?;
        Some(self.suggested.map_or(by_itself, |suggested| suggested.min(by_itself)))
    }

    /// Time until the next attempt may be, because of those that failed, or that came too soon.
    fn pause(&self, now: Now) -> Duration {
        let since_last = self
            .pause_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now.passed));
        let in_last_hour = |date: &&SystemTime| now.date.duration_since(**date).is_ok_and(|ago| ago < HOUR);
        let recent: Vec<&SystemTime> = self.failed_validations.iter().filter(in_last_hour).collect();
        let since_validations = match recent.first() {
            Some(oldest) if recent.len() >= FAILED_VALIDATIONS_MAX => {
                HOUR.saturating_sub(now.date.duration_since(**oldest).unwrap_or_default())
            }
            _ => Duration::ZERO,
        };
        since_last.max(since_validations)
    }
}

#[cfg(test)]
mod tests;
