//! The stay of a participant in a room: what they may publish, until when, whether the others see them, and as what they enter.

use std::time::Instant;

use super::{Role, WithoutHost};
use crate::ids::Features;

/// What a participant may do, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    pub publishes: PublishRights,
    /// Time at which the participant has to leave. `None` for a stay without an end.
    pub until: Option<Instant>,
    /// Whether the others see that the participant is there. One who is not visible has no name in the room, publishes nothing
    /// and says nothing; they see the others. Rooms have places of their own for them ([`super::Limits::viewers_per_room`]).
    pub visible: bool,
    /// Role with which they enter. A host may change it later.
    pub role: Role,
    pub without_host: WithoutHost,
    /// Whether a host has invited them: a locked meeting lets them in.
    pub invited: bool,
    /// Whether the session is sent [`super::MeetingEvent`]s, and so can wait where a meeting is locked. Other sessions are sent none.
    pub sees_meeting: bool,
    /// What the client understands beside the messages that all clients do.
    pub understands: Features,
}

/// The kinds of media that a participant may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishRights {
    pub audio: bool,
    pub video: bool,
}

impl Default for Stay {
    fn default() -> Self {
        Self {
            publishes: PublishRights::ALL,
            until: None,
            visible: true,
            role: Role::Guest,
            without_host: WithoutHost::Enter,
            invited: false,
            sees_meeting: false,
            understands: Features::default(),
        }
    }
}

impl Stay {
    /// The stay of somebody who only watches, and whom nobody sees.
    pub const UNSEEN: Stay = Stay {
        publishes: PublishRights::NONE,
        until: None,
        visible: false,
        role: Role::Guest,
        without_host: WithoutHost::Enter,
        invited: false,
        sees_meeting: false,
        understands: Features::NONE,
    };

    /// What the participant publishes at most.
    pub(super) fn rights(&self) -> PublishRights {
        match self.visible {
            true => self.publishes,
            false => PublishRights::NONE,
        }
    }
}

impl PublishRights {
    pub const ALL: PublishRights = PublishRights {
        audio: true,
        video: true,
    };
    pub const NONE: PublishRights = PublishRights {
        audio: false,
        video: false,
    };

    /// Whether one of these kinds may be published.
    pub fn allows_any_of(self, kinds: PublishRights) -> bool {
        self.audio && kinds.audio || self.video && kinds.video
    }
}
