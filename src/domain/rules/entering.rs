//! Which room somebody enters who asks for one, and whether they have to prove who they are.

use crate::domain::lobby::Entrant;
use crate::domain::{Claim, Effect, Refusal, RoomKind, Rules};
use crate::ids::RoomName;

impl Rules {
    pub(super) fn join(&mut self, kind: RoomKind, room: RoomName, entrant: Entrant) -> Result<Vec<Effect>, Refusal> {
        self.check_proof(kind, &room, entrant.claim)?;
        if kind == RoomKind::Pair && !entrant.stay.visible {
            return Err(Refusal::NotAllowed);
        }
        let door = (self.place_of(kind, &room), room);
        self.rooms.join(door, entrant)
    }

    /// The kind of the room that somebody enters who asks for this kind. A device that has answered somebody who is no device
    /// meets them in a group room, by the page on which it meets devices; the others of the call may be there, too.
    fn place_of(&mut self, kind: RoomKind, room: &RoomName) -> RoomKind {
        if kind == RoomKind::Pair && self.calls.device_meets_people_in(room) {
            self.calls.room_entered(room);
            return RoomKind::Group;
        }
        kind
    }

    /// Who may enter a room of two: people who know its name; where proof is required, only those who have given it. The two
    /// parties of a call need no proof: the room was made for them, and its name was sent to nobody else.
    fn check_proof(&self, kind: RoomKind, room: &RoomName, claim: Claim) -> Result<(), Refusal> {
        let is_proven = claim == Claim::Proven || self.calls.meets_in(room);
        if kind == RoomKind::Pair && self.limits.proof_required && !is_proven {
            return Err(Refusal::NotProven);
        }
        Ok(())
    }
}
