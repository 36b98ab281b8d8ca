//! The right to a name in a room, and the space for one more participant.

use super::Rooms;
use crate::domain::{Claim, Refusal, RoomKind};
use crate::ids::{RoomName, SessionId, Turn, UserId};

impl Rooms {
    /// Refuses a join in the name of somebody who has proven that the name is theirs, unless the join proves the same. A
    /// reserved name has one holder, who came first.
    pub(super) fn check_name(
        &self,
        session: SessionId,
        name: &(RoomKind, RoomName),
        user: &UserId,
        claim: Claim,
    ) -> Result<(), Refusal> {
        let room = self.by_name.get(name).and_then(|id| self.rooms.get(id));
        let holder = room.and_then(|room| room.participant(room.find(user)?));
        let Some(holder) = holder.filter(|holder| holder.session != session) else {
            return Ok(());
        };
        match (holder.claim, claim) {
            (Claim::Reserved, _) | (_, Claim::Reserved) | (Claim::Proven, Claim::Unproven) => Err(Refusal::NameTaken),
            (Claim::Proven, Claim::Proven) | (Claim::Unproven, _) => Ok(()),
        }
    }

    /// Whether a join that was received later than the one with `turn` holds the name, and would have replaced it. A join
    /// without a proof replaces nobody who has proven that the name is theirs. Nobody replaces the holder of a reserved name, or
    /// is replaced by them, so no join overtakes another there.
    pub(super) fn is_overtaken(&self, turn: Turn, name: &(RoomKind, RoomName), user: &UserId, claim: Claim) -> bool {
        let room = self.by_name.get(name).and_then(|id| self.rooms.get(id));
        let holder = room.and_then(|room| room.participant(room.find(user)?));
        holder.is_some_and(|holder| match (holder.claim, claim) {
            (Claim::Reserved, _) | (_, Claim::Reserved) => false,
            (Claim::Proven, Claim::Proven) | (Claim::Proven | Claim::Unproven, Claim::Unproven) => holder.turn > turn,
            (Claim::Unproven, Claim::Proven) => false,
        })
    }

    /// Refuses a join for which there is no space. A join that replaces somebody, or leaves another place for this one, takes
    /// no new space.
    pub(super) fn check_space(
        &self,
        session: SessionId,
        name: &(RoomKind, RoomName),
        user: &UserId,
    ) -> Result<(), Refusal> {
        let Some(room) = self.by_name.get(name).and_then(|id| self.rooms.get(id)) else {
            let frees_its_room = self.room_of(session).is_some_and(|room| room.len() == 1);
            let allowed = self.quotas.rooms.allows(self.quotas.client_of(session), 1);
            return match allowed {
                Err(_) if !frees_its_room => Err(Refusal::TooManyRooms),
                _ => Ok(()),
            };
        };
        let takes_a_place = room.find(user).is_none() && self.room_of(session).is_none_or(|now| now.id != room.id);
        let places = match name.0 {
            RoomKind::Group => self.limits.participants_per_room,
            RoomKind::Pair => 2,
        };
        if takes_a_place && room.len() >= places {
            return Err(Refusal::RoomFull);
        }
        Ok(())
    }
}
