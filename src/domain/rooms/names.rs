//! The right to a name in a room, and the space for one more participant.

use super::Rooms;
use crate::domain::lobby::{Door, Entrant};
use crate::domain::room::{Participant, Room};
use crate::domain::{Claim, Refusal, RoomKind};
use crate::ids::{SessionId, Turn};

/// How somebody holds a name, in a room or at its door.
struct Hold {
    session: SessionId,
    claim: Claim,
    turn: Turn,
}

impl Rooms {
    /// Refuses a join in the name of somebody who has proven that the name is theirs, unless the join proves the same. A
    /// reserved name has one holder, who came first.
    pub(super) fn check_name(&self, door: &Door, entrant: &Entrant) -> Result<(), Refusal> {
        let others = self.holds(door, entrant).filter(|hold| hold.session != entrant.session);
        for hold in others {
            match (hold.claim, entrant.claim) {
                (Claim::Reserved, _) | (_, Claim::Reserved) | (Claim::Proven, Claim::Unproven) => {
                    return Err(Refusal::NameTaken);
                }
                (Claim::Proven, Claim::Proven) | (Claim::Unproven, _) => {}
            }
        }
        Ok(())
    }

    /// Whether a join that was received later than the one with this turn holds the name, and would have replaced it. A join
    /// without a proof replaces nobody who has proven that the name is theirs. Nobody replaces the holder of a reserved name, or
    /// is replaced by them, so no join overtakes another there.
    pub(super) fn is_overtaken(&self, door: &Door, entrant: &Entrant) -> bool {
        let Entrant { turn, claim, .. } = entrant;
        self.holds(door, entrant).any(|hold| match (hold.claim, *claim) {
            (Claim::Reserved, _) | (_, Claim::Reserved) => false,
            (Claim::Proven, Claim::Proven) | (Claim::Proven | Claim::Unproven, Claim::Unproven) => hold.turn > *turn,
            (Claim::Unproven, Claim::Proven) => false,
        })
    }

    /// Those who have the name that this one is to have: in the room, and at its door.
    fn holds(&self, door: &Door, entrant: &Entrant) -> impl Iterator<Item = Hold> {
        let inside = self.holder(door, entrant).map(|one| Hold {
            session: one.session,
            claim: one.claim,
            turn: one.turn,
        });
        let named = Some(&entrant.person.user).filter(|_| entrant.stay.visible);
        let waiting = named.and_then(|user| self.lobby.find(door, user));
        let waiting = waiting.map(|one| Hold {
            session: one.session,
            claim: one.claim,
            turn: one.turn,
        });
        inside.into_iter().chain(waiting)
    }

    fn entered(&self, door: &Door) -> Option<&Room> {
        self.rooms.get(self.by_name.get(door)?)
    }

    /// The participant who has the name that this one is to have. Somebody who is not visible has none.
    pub(super) fn holder(&self, door: &Door, entrant: &Entrant) -> Option<&Participant> {
        let room = self.entered(door).filter(|_| entrant.stay.visible)?;
        room.participant(room.find(&entrant.person.user)?)
    }

    /// Refuses a join for which there is no space. A join that replaces somebody, or leaves another place for this one, takes
    /// no new space.
    pub(super) fn check_space(&self, door: &Door, entrant: &Entrant) -> Result<(), Refusal> {
        let (session, visible) = (entrant.session, entrant.stay.visible);
        if !visible && self.limits.viewers_per_room == 0 {
            return Err(Refusal::RoomFull);
        }
        let Some(room) = self.entered(door) else {
            let frees_its_room = self.room_of(session).is_some_and(|room| room.len() == 1);
            let allowed = self.quotas.rooms.allows(self.quotas.client_of(session), 1);
            return match allowed {
                Err(_) if !frees_its_room => Err(Refusal::TooManyRooms),
                _ => Ok(()),
            };
        };
        let is_there = self.seats.get(&session).is_some_and(|seat| {
            let own = room.participant(seat.participant);
            seat.room == room.id && own.is_some_and(|own| own.stay.visible == visible)
        });
        let takes_a_place = self.holder(door, entrant).is_none() && !is_there;
        let (places, taken) = match (door.0, visible) {
            (RoomKind::Group, true) => (self.limits.participants_per_room, room.visible_count()),
            (RoomKind::Group, false) => (self.limits.viewers_per_room, room.len() - room.visible_count()),
            (RoomKind::Pair, _) => (2, room.len()),
        };
        if takes_a_place && taken >= places {
            return Err(Refusal::RoomFull);
        }
        Ok(())
    }

    /// Refuses a join for whose connection there is no place. The connection takes the place of one of a participant who is
    /// replaced and comes from the same address.
    pub(super) fn check_connection(&self, door: &Door, entrant: &Entrant) -> Result<(), Refusal> {
        if !entrant.connects {
            return Ok(());
        }
        let client = self.quotas.client_of(entrant.session);
        let frees_a_place =
            |holder: &Participant| holder.peer_count() > 0 && self.quotas.client_of(holder.session) == client;
        let has_place = self.quotas.peers.allows(client) || self.holder(door, entrant).is_some_and(frees_a_place);
        match has_place {
            true => Ok(()),
            false => Err(Refusal::TooManyPeers),
        }
    }
}
