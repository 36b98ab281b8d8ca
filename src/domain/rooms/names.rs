//! The right to a name in a room, and the space for one more participant.

use super::{Entrant, Rooms};
use crate::domain::room::{Participant, Room};
use crate::domain::{Claim, Refusal, RoomKind};
use crate::ids::SessionId;

impl Rooms {
    /// Refuses a join in the name of somebody who has proven that the name is theirs, unless the join proves the same. A
    /// reserved name has one holder, who came first.
    pub(super) fn check_name(&self, session: SessionId, entrant: &Entrant) -> Result<(), Refusal> {
        let Some(holder) = self.holder(entrant).filter(|holder| holder.session != session) else {
            return Ok(());
        };
        match (holder.claim, entrant.claim) {
            (Claim::Reserved, _) | (_, Claim::Reserved) | (Claim::Proven, Claim::Unproven) => Err(Refusal::NameTaken),
            (Claim::Proven, Claim::Proven) | (Claim::Unproven, _) => Ok(()),
        }
    }

    /// Whether a join that was received later than the one with `turn` holds the name, and would have replaced it. A join
    /// without a proof replaces nobody who has proven that the name is theirs. Nobody replaces the holder of a reserved name, or
    /// is replaced by them, so no join overtakes another there.
    pub(super) fn is_overtaken(&self, entrant: &Entrant) -> bool {
        let Entrant { turn, claim, .. } = entrant;
        let holder = self.holder(entrant);
        holder.is_some_and(|holder| match (holder.claim, *claim) {
            (Claim::Reserved, _) | (_, Claim::Reserved) => false,
            (Claim::Proven, Claim::Proven) | (Claim::Proven | Claim::Unproven, Claim::Unproven) => holder.turn > *turn,
            (Claim::Unproven, Claim::Proven) => false,
        })
    }

    fn entered(&self, entrant: &Entrant) -> Option<&Room> {
        self.rooms.get(self.by_name.get(&entrant.room)?)
    }

    /// The participant who has the name that this one is to have. Somebody who is not visible has none.
    fn holder(&self, entrant: &Entrant) -> Option<&Participant> {
        let room = self.entered(entrant).filter(|_| entrant.stay.visible)?;
        room.participant(room.find(&entrant.person.user)?)
    }

    /// Refuses a join for which there is no space. A join that replaces somebody, or leaves another place for this one, takes
    /// no new space.
    pub(super) fn check_space(&self, session: SessionId, entrant: &Entrant) -> Result<(), Refusal> {
        let visible = entrant.stay.visible;
        if !visible && self.limits.viewers_per_room == 0 {
            return Err(Refusal::RoomFull);
        }
        let Some(room) = self.entered(entrant) else {
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
        let takes_a_place = self.holder(entrant).is_none() && !is_there;
        let (places, taken) = match (entrant.room.0, visible) {
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
    pub(super) fn check_connection(&self, session: SessionId, entrant: &Entrant) -> Result<(), Refusal> {
        if !entrant.connects {
            return Ok(());
        }
        let client = self.quotas.client_of(session);
        let frees_a_place =
            |holder: &Participant| holder.peer_count() > 0 && self.quotas.client_of(holder.session) == client;
        let has_place = self.quotas.peers.allows(client) || self.holder(entrant).is_some_and(frees_a_place);
        match has_place {
            true => Ok(()),
            false => Err(Refusal::TooManyPeers),
        }
    }
}
