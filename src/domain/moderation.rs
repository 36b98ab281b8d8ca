//! What is known of a meeting and of each of its participants: what its hosts have decided, and what clients say of themselves.

use std::sync::Arc;
use std::time::Instant;

use super::meeting::{MeetingState, Muted, ParticipantState, Reported, Role};
use super::room::Room;
use crate::ids::{ParticipantId, SessionId};

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

impl Room {
    pub fn meeting(&self) -> MeetingState {
        let Moderation {
            locked,
            guests_muted,
            goes_on,
            ..
        } = self.moderation;
        let has_host = || self.participants().any(|(_, one)| one.stay.role == Role::Host);
        MeetingState {
            locked,
            guests_muted,
            started: goes_on || has_host(),
        }
    }

    /// What is shown of a participant. `None` for one whom nobody sees.
    pub fn state_of(&self, id: ParticipantId) -> Option<ParticipantState> {
        let participant = self.participant(id).filter(|one| one.stay.visible)?;
        let attendance = &participant.attendance;
        let Muted { sound, camera } = attendance.muted();
        Some(ParticipantState {
            person: Arc::clone(&participant.person),
            role: participant.stay.role,
            muted: sound,
            video_muted: camera,
            reported: attendance.reported,
            spotlit: attendance.spotlit,
            waiting: false,
            since: attendance.since,
        })
    }

    /// The sessions that are sent what happens in the meeting, but for this one's, in the order of arrival.
    pub fn seers_but(&self, id: Option<ParticipantId>) -> Vec<SessionId> {
        let seers = self
            .participants()
            .filter(|(one, seer)| Some(*one) != id && seer.stay.sees_meeting);
        seers.map(|(_, seer)| seer.session).collect()
    }
}
