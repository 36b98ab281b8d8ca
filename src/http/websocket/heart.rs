//! A family's heartbeat, and when it is due.

use tokio::time::{Instant, sleep_until};

use crate::signaling::{Close, Heartbeat, Reaction};

/// A family's heartbeat, and the time when the next one is due, or its answer.
pub(super) struct Heart {
    beat: Heartbeat,
    is_unanswered: bool,
    due: Instant,
}

impl Heart {
    pub fn new(beat: Heartbeat, now: Instant) -> Self {
        let due = now + beat.after;
        let is_unanswered = false;
        Self {
            beat,
            is_unanswered,
            due,
        }
    }

    pub fn heard(heart: &mut Option<Self>) {
        if let Some(heart) = heart.as_mut().filter(|heart| heart.is_unanswered) {
            *heart = Self::new(heart.beat.clone(), Instant::now());
        }
    }

    /// The client may have answered while nobody read: the time for its answer starts again.
    pub fn excuse(heart: &mut Option<Self>) {
        if let Some(heart) = heart.as_mut().filter(|heart| heart.is_unanswered) {
            heart.due = Instant::now() + heart.beat.answer_within;
        }
    }

    pub fn sent(heart: &mut Option<Self>) {
        if let Some(heart) = heart.as_mut().filter(|heart| !heart.is_unanswered) {
            heart.due = Instant::now() + heart.beat.after;
        }
    }

    /// Returns the heartbeat, or the close, that is due. Never returns where the family has no heartbeat. Cancel-safe.
    pub async fn next(heart: &mut Option<Self>) -> Reaction {
        let Some(heart) = heart else {
            return std::future::pending().await;
        };
        sleep_until(heart.due).await;
        let mut reaction = Reaction::default();
        if heart.is_unanswered {
            reaction.close = Some(Close::SILENT);
        } else {
            heart.is_unanswered = true;
            heart.due = Instant::now() + heart.beat.answer_within;
            reaction.frames.push(heart.beat.frame.clone());
        }
        reaction
    }
}
