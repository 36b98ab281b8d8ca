//! The purpose of a connection, and what it carries.

use super::{MediaKind, StageSlot};
use crate::ids::{Feed, FeedRef, ParticipantId, SlotId};

/// The purpose of a connection. A participant has one connection for each purpose at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Publish(Feed),
    Watch(FeedRef),
    /// Several feeds, in one or both directions.
    Conference,
    /// The screen of whoever presents, and nothing else.
    Presentation,
    /// Both directions of a call.
    Call,
}

/// One of the things that a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Publish(Feed),
    Watch(FeedRef),
    /// A slot that follows the speaker.
    Slot(SlotId, MediaKind),
    StageSlot(StageSlot),
}

impl Use {
    /// Whether this use receives what `participant` publishes.
    pub fn watches(self, participant: ParticipantId) -> bool {
        match self {
            Use::Watch(feed) => feed.participant == participant,
            Use::Publish(_) | Use::Slot(..) | Use::StageSlot(_) => false,
        }
    }
}
