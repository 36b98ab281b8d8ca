//! What is known of a meeting and of each of its participants: what its hosts have decided, and what clients say of themselves.

use std::time::Instant;

use super::meeting::{MeetingState, Muted, OwnState, Reported};

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

/// Who has muted something of a participant. Of two who do, the later one here counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Muting {
    #[default]
    Nobody,
    Themselves,
    /// A host, together with all guests. The participant cannot unmute that, unless they are a host too.
    WithGuests,
    /// A host, them alone. The same holds, and it holds again when they leave and come back.
    Host,
}

impl Muting {
    pub fn is_by_host(self) -> bool {
        matches!(self, Muting::WithGuests | Muting::Host)
    }
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
    /// What hosts have decided about them, as their session was sent it last.
    pub announced: OwnState,
}

impl Attendance {
    pub fn new(since: Instant) -> Self {
        Self {
            since,
            sound: Muting::Nobody,
            camera: Muting::Nobody,
            reported: Reported::default(),
            spotlit: None,
            announced: OwnState::default(),
        }
    }

    pub fn muted(&self) -> Muted {
        Muted {
            sound: self.sound != Muting::Nobody,
            camera: self.camera != Muting::Nobody,
        }
    }

    pub fn muted_by_host(&self) -> Muted {
        Muted {
            sound: self.sound.is_by_host(),
            camera: self.camera.is_by_host(),
        }
    }

    /// What a host has muted of this participant alone.
    pub fn muted_alone(&self) -> Muted {
        Muted {
            sound: self.sound == Muting::Host,
            camera: self.camera == Muting::Host,
        }
    }
}
