//! Whose name is whose in a room.

use super::Rooms;
use crate::domain::{Claim, Refusal, RoomKind};
use crate::ids::{RoomName, SessionId, UserId};

impl Rooms {
    /// Nobody takes the place of somebody who has proven who they are, but by proving the same.
    pub(super) fn check_name(
        &self,
        session: SessionId,
        name: &(RoomKind, RoomName),
        user: &UserId,
        claim: Claim,
    ) -> Result<(), Refusal> {
        let room = self.by_name.get(name).and_then(|id| self.rooms.get(id));
        let holder = room.and_then(|room| room.participant(room.find(user)?));
        let is_held = holder.is_some_and(|holder| holder.claim == Claim::Proven && holder.session != session);
        if is_held && claim == Claim::Unproven {
            return Err(Refusal::NameTaken);
        }
        Ok(())
    }
}
