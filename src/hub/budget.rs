//! What a session's requests cost the others: bytes, once for each who is sent them. Pure; the time is given.
//!
//! A text of 16 KiB is cheap to send and dear to deliver to a hundred people, and a message to everybody costs what there
//! are people. A session that has spent what it may is not listened to until time has paid, and a single message that
//! would be more than it may ever spend at once is refused.

use std::time::Duration;

use tokio::time::Instant;

use super::outbox;
use crate::domain::Effect;
use crate::domain::Errand;
use crate::ids::SessionId;
use crate::shares::TokenBucket;

/// Seconds of its rate that a session can have saved up, and that it may owe: so long it is not listened to at the
/// most. At the default rate that is 8 MiB: a text of the greatest length to five full rooms, or one of 700 bytes to
/// 10,000 people.
const SAVED_S: u32 = 32;

/// Seconds of its rate that it begins with: less than it can save, so that coming again with a new socket brings nothing.
const FIRST_S: u32 = 4;

/// What storing a message costs beside its bytes: a write to the disk.
const STORING_BYTES: usize = 4 * 1024;

pub(super) struct Budget {
    bucket: TokenBucket,
    most: u32,
}

impl Budget {
    pub fn new(bytes_per_s: u32, now: Instant) -> Self {
        let most = bytes_per_s.saturating_mul(SAVED_S);
        let first = bytes_per_s.saturating_mul(FIRST_S);
        Self {
            bucket: TokenBucket::new(most, bytes_per_s.into(), now).holding(first),
            most,
        }
    }

    /// Whether something of this price may be done at all.
    pub fn allows(&self, price: u32) -> bool {
        price <= self.most
    }

    /// For how long the session is not to be listened to after this.
    pub fn charge(&mut self, price: u32, now: Instant) -> Duration {
        self.bucket.charge(price, now)
    }
}

/// What the effects of a request of `session` cost others. What it is told itself is its own affair.
pub(super) fn price(session: SessionId, effects: &[Effect]) -> u32 {
    let bytes = effects.iter().map(|effect| match effect {
        Effect::Tell { session: to, event } if *to != session => outbox::weight(event),
        Effect::TellEach { sessions, event } => {
            let others = sessions.iter().filter(|to| **to != session).count();
            others.saturating_mul(outbox::weight(event))
        }
        Effect::Mailbox(Errand::Keep { message, .. }) => message.len() + STORING_BYTES,
        _ => 0,
    });
    u32::try_from(bytes.fold(0, usize::saturating_add)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Event, MessageEvent};

    const RATE: u32 = 1_000;

    #[tokio::test(start_paused = true)]
    async fn who_has_spent_what_there_is_waits_until_time_has_paid() {
        let start = Instant::now();
        let mut budget = Budget::new(RATE, start);
        assert_eq!(budget.charge(4_000, start), Duration::ZERO);
        assert_eq!(budget.charge(2_000, start), Duration::from_secs(2));
        let later = start + Duration::from_secs(2);
        assert_eq!(budget.charge(0, later), Duration::ZERO);
        assert_eq!(budget.charge(1, later), Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_ever_waits_for_longer_than_is_saved_in_one_go() {
        let start = Instant::now();
        let mut budget = Budget::new(RATE, start);
        assert!(budget.allows(32_000));
        assert!(!budget.allows(32_001));
        let rested = start + Duration::from_secs(3_600);
        assert_eq!(budget.charge(32_000, rested), Duration::ZERO);
        assert_eq!(budget.charge(32_000, rested), Duration::from_secs(32));
    }

    #[test]
    fn the_price_is_what_others_are_sent() {
        let (own, other, third) = (SessionId(1), SessionId(2), SessionId(3));
        let text = |bytes: usize| Event::Text {
            from: "anna".into(),
            text: "x".repeat(bytes).into(),
        };
        let tell = |session, event| Effect::Tell { session, event };
        assert_eq!(price(own, &[tell(own, text(1_000))]), 0);
        let one = price(own, &[tell(other, text(1_000))]);
        assert!((1_000..1_500).contains(&one), "{one}");
        assert_eq!(
            price(own, &[tell(other, text(1_000)), tell(third, text(1_000))]),
            2 * one
        );

        let message = bytes::Bytes::from(vec![0; 1_000]);
        let each = Effect::TellEach {
            sessions: vec![own, other, third],
            event: Event::Message(MessageEvent::Received {
                message: message.clone(),
            }),
        };
        assert!((2_000..3_000).contains(&price(own, &[each])));
    }
}
