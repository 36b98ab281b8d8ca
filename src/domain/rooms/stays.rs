//! Stays that end, and are renewed before.

use std::time::{Duration, Instant};

use super::{Rooms, Seat};
use crate::domain::lobby::{Door, Entrant};
use crate::domain::room::Participant;
use crate::domain::{Claim, Effect, EndReason, RoomKind};
use crate::ids::{RoomId, RoomName, SessionId, UserId};

/// Time by which a renewed stay ends later than before, at least. Ends come from clocks that count seconds; a join with the same
/// end, computed again, is not to count as a newer one.
const RENEWED_BY: Duration = Duration::from_millis(900);

impl Rooms {
    /// Renews the stay of a session that enters the room again where it is, under the same name and with the same rights, and
    /// whose stay would then end later. Returns whether that is so: then nothing else is to be done. The others see nothing of
    /// it, and the connections go on.
    pub(super) fn renew_stay(&mut self, door: &Door, entrant: &Entrant) -> bool {
        let Some(seat) = self.seats.get(&entrant.session).copied() else {
            return false;
        };
        let Some((end, is_same)) = self.rooms.get(&seat.room).and_then(|room| {
            let participant = room.participant(seat.participant)?;
            let is_same = room.name.as_ref() == Some(door)
                && participant.person.user == entrant.person.user
                && participant.claim == entrant.claim
                && participant.stay.visible == entrant.stay.visible
                && participant.stay.rights() == entrant.stay.rights();
            Some((participant.stay.until?, is_same))
        }) else {
            return false;
        };
        let Some(later) = entrant.stay.until.filter(|later| is_same && *later >= end + RENEWED_BY) else {
            return false;
        };
        if let Some(owner) = self.owner(seat) {
            owner.stay.until = Some(later);
            owner.turn = owner.turn.max(entrant.turn);
        }
        self.forget_end(seat, Some(end));
        self.note_end(seat, Some(later));
        true
    }

    pub(super) fn note_end(&mut self, seat: Seat, until: Option<Instant>) {
        self.ends.extend(until.map(|end| (end, seat.room, seat.participant)));
    }

    pub(super) fn forget_end(&mut self, seat: Seat, until: Option<Instant>) {
        if let Some(end) = until {
            self.ends.remove(&(end, seat.room, seat.participant));
        }
    }

    pub(super) fn forget_ends_in(&mut self, id: RoomId) {
        self.ends.retain(|(_, room, _)| *room != id);
    }

    /// Ends the stays whose time is over.
    pub(super) fn end_stays(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((_, room, participant)) = self.ends.first().copied().filter(|(end, ..)| *end <= now) {
            self.ends.pop_first();
            let seat = Seat { room, participant };
            if let Some(session) = self.owner(seat).map(|owner| owner.session) {
                effects.extend(self.end_stay(session));
            }
        }
        effects
    }

    fn end_stay(&mut self, session: SessionId) -> Vec<Effect> {
        let reason = EndReason::StayOver;
        let mut effects = vec![Effect::Dismiss { session, reason }];
        effects.extend(self.leave(session));
        effects
    }

    /// Ends the stays of a user in a group room: as somebody whom the others see, and as viewers.
    pub(crate) fn end_stays_of(&mut self, room: &RoomName, user: &UserId) -> Vec<Effect> {
        let is_theirs = |one: &&Participant| one.person.user == *user && one.claim != Claim::Reserved;
        let theirs = self.participants_in(room).filter(is_theirs);
        let mut sessions: Vec<SessionId> = theirs.map(|one| one.session).collect();
        let waiting = self.lobby.at(&(RoomKind::Group, room.clone())).iter();
        sessions.extend(waiting.filter(|one| one.person.user == *user).map(|one| one.session));
        sessions
            .into_iter()
            .flat_map(|session| self.end_stay(session))
            .collect()
    }

    /// The people in a group room: participants whom others see, without robots.
    pub(crate) fn people_in(&self, room: &RoomName) -> Vec<UserId> {
        let is_somebody = |one: &&Participant| one.stay.visible && one.claim != Claim::Reserved;
        let people = self.participants_in(room).filter(is_somebody);
        people.map(|one| one.person.user.clone()).collect()
    }

    /// The participants of a group room, in the order of their arrival.
    fn participants_in(&self, room: &RoomName) -> impl Iterator<Item = &Participant> {
        let id = self.by_name.get(&(RoomKind::Group, room.clone()));
        let room = id.and_then(|id| self.rooms.get(id));
        room.into_iter()
            .flat_map(|room| room.ids().filter_map(|id| room.participant(id)))
    }
}
