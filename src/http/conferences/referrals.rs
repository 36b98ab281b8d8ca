//! The one-time tokens of participants who are told to go to another conference. Pure: the time is given.
//!
//! A token stands for the PIN that was given for that conference, and for nothing else: whether it lets its holder in is decided there.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Pin, Referral};
use crate::http::desk::Token;

/// Time within which a client has to follow a referral. It comes again after half a second.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// Referrals at a time: a full room is told to go. Of one too many the oldest is forgotten.
const REFERRALS_MAX: usize = 1_000;

#[derive(Default)]
pub(super) struct Referrals {
    waiting: HashMap<Token, Waiting>,
}

struct Waiting {
    alias: String,
    pin: Option<String>,
    since: Instant,
}

impl Referrals {
    /// Makes the token of a referral.
    pub fn refer(&mut self, now: Instant, to: Referral) -> String {
        self.waiting.retain(|_, waiting| now < waiting.since + FRESH_FOR);
        if self.waiting.len() >= REFERRALS_MAX {
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.since);
            if let Some(oldest) = oldest.map(|(token, _)| *token) {
                self.waiting.remove(&oldest);
            }
        }
        let token = Token::random();
        let waiting = Waiting {
            alias: to.alias,
            pin: to.pin.map(|Pin(pin)| pin),
            since: now,
        };
        self.waiting.insert(token, waiting);
        token.text()
    }

    /// Uses a token up, if it is fresh and is for this conference. Returns the PIN that it stands for: an empty one for a guest
    /// without.
    pub fn redeem(&mut self, now: Instant, token: &str, alias: &str) -> Option<String> {
        let token = Token::read(token)?;
        let waiting = self.waiting.get(&token)?;
        if waiting.alias != alias || now >= waiting.since + FRESH_FOR {
            return None;
        }
        self.waiting
            .remove(&token)
            .map(|waiting| waiting.pin.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    fn referral(alias: &str) -> Referral {
        Referral {
            alias: alias.to_owned(),
            role: Role::Guest,
            pin: Some(Pin("1234".to_owned())),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_referral_is_followed_once_in_time_and_to_its_conference() {
        let now = Instant::now();
        let mut referrals = Referrals::default();
        let token = referrals.refer(now, referral("a"));
        assert_eq!(referrals.redeem(now, &token, "b"), None, "another conference");
        assert_eq!(referrals.redeem(now + FRESH_FOR, &token, "a"), None, "too late");
        assert_eq!(referrals.redeem(now, "x", "a"), None);
        assert_eq!(referrals.redeem(now, &token, "a").as_deref(), Some("1234"));
        assert_eq!(referrals.redeem(now, &token, "a"), None, "used up");
    }

    #[tokio::test(start_paused = true)]
    async fn referrals_are_bounded_and_the_oldest_is_forgotten() {
        let now = Instant::now();
        let mut referrals = Referrals::default();
        let first = referrals.refer(now, referral("a"));
        for number in 1..=REFERRALS_MAX as u64 {
            referrals.refer(now + Duration::from_millis(number), referral("a"));
        }
        assert_eq!(referrals.waiting.len(), REFERRALS_MAX);
        assert_eq!(referrals.redeem(now, &first, "a"), None);
        referrals.refer(now + 2 * FRESH_FOR, referral("a"));
        assert_eq!(referrals.waiting.len(), 1);
    }
}
