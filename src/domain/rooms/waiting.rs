//! Sessions that wait at the doors of rooms, and what those inside are sent of them.

use super::Rooms;
use crate::domain::lobby::{Door, Entrant};
use crate::domain::{Effect, EndReason, Event, MeetingEvent, ParticipantState, Refusal};
use crate::ids::{SessionId, UserId};

impl Rooms {
    /// Lets somebody wait. They leave the room where they are, and take the place of whoever waits under their name.
    pub(super) fn wait(&mut self, door: Door, entrant: Entrant) -> Result<Vec<Effect>, Refusal> {
        let session = entrant.session;
        let waits = |one: &Entrant| one.session == session;
        let before = self.lobby.at(&door);
        if before.len() >= self.limits.waiting_per_room && !before.iter().any(waits) {
            return Err(Refusal::RoomFull);
        }
        let mut effects = self.leave(session);
        if entrant.stay.visible {
            self.replace_waiting(&door, &entrant.person.user, &mut effects);
        }
        let event = Event::Meeting(MeetingEvent::Waiting);
        effects.push(Effect::Send { session, event });
        let state = entrant.stay.visible.then(|| entrant.state());
        effects.extend(state.and_then(|state| self.announce_waiting(&door, state)));
        self.lobby.add(door, entrant);
        Ok(effects)
    }

    /// The session no longer waits, if it does: nobody lets it in.
    pub(super) fn stop_waiting(&mut self, session: SessionId) -> Vec<Effect> {
        let Some((door, gone)) = self.lobby.take(session) else {
            return Vec::new();
        };
        let user = gone.person.user.clone();
        let left = Event::ParticipantLeft { user };
        let announced = Some(left).filter(|_| gone.stay.visible);
        let announced = announced.and_then(|left| self.send_to_seers(&door, left));
        announced.into_iter().collect()
    }

    /// Removes whoever waits under the name of somebody who comes.
    pub(super) fn replace_waiting(&mut self, door: &Door, user: &UserId, effects: &mut Vec<Effect>) {
        if let Some(session) = self.lobby.find(door, user).map(|older| older.session) {
            let reason = EndReason::Replaced;
            effects.push(Effect::Dismiss { session, reason });
            effects.extend(self.stop_waiting(session));
        }
    }

    /// States of all who wait at a door and are seen.
    pub(super) fn waiting_at(&self, door: &Door) -> impl Iterator<Item = ParticipantState> {
        let seen = self.lobby.at(door).iter().filter(|one| one.stay.visible);
        seen.map(Entrant::state)
    }

    fn announce_waiting(&self, door: &Door, state: ParticipantState) -> Option<Effect> {
        self.send_to_seers(door, Event::Meeting(MeetingEvent::Participant(state)))
    }

    /// Sends something to those in a room who are sent what happens in its meeting.
    fn send_to_seers(&self, door: &Door, event: Event) -> Option<Effect> {
        let room = self.rooms.get(self.by_name.get(door)?)?;
        super::meeting::send(room.seers_but(None), event)
    }
}
