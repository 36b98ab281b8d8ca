//! What a meeting and its participants are like now, as those who see the meeting are sent it.

use std::sync::Arc;

use crate::domain::moderation::Moderation;
use crate::domain::room::Room;
use crate::domain::{MeetingState, Muted, ParticipantState, Role};
use crate::ids::{ParticipantId, SessionId};

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
