//! What is known of a meeting and of each of its participants: what its hosts have decided, and what clients say of themselves.

use std::time::Instant;

use super::meeting::{MeetingState, Muted, Reported};

/// What hosts have decided about a meeting as a whole. It ends with the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moderation {
    pub locked: bool,
    pub guests_muted: bool,
    /// Whether the meeting goes on without a host.
    pub goes_on: bool,
    /// State that its participants were sent last.
    pub announced: MeetingState,
}

/// Who has muted something of a participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Muting {
    #[default]
    Nobody,
    Themselves,
    /// The participant cannot unmute that, unless they are a host too.
    Host,
}

/// What a meeting knows of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attendance {
    /// Time at which they asked to enter.
    pub since: Instant,
    pub sound: Muting,
    pub camera: Muting,
    pub reported: Reported,
    /// Time since which they are spotlit, if they are.
    pub spotlit: Option<Instant>,
}

impl Attendance {
    pub fn new(since: Instant) -> Self {
        Self {
            since,
            sound: Muting::Nobody,
            camera: Muting::Nobody,
            reported: Reported::default(),
            spotlit: None,
        }
    }

    pub fn muted(&self) -> Muted {
        Muted {
            sound: self.sound != Muting::Nobody,
            camera: self.camera != Muting::Nobody,
        }
    }
}
