//! Slots: who is in them, and when that changes.

use std::time::Instant;

use super::{Rooms, Seat};
use crate::domain::Effect;
use crate::ids::{PeerId, RoomId};

impl Rooms {
    /// The participant who publishes over this connection has begun or stopped speaking.
    pub fn speech_changed(&mut self, now: Instant, peer: PeerId, speaks: bool) -> Vec<Effect> {
        let seat = self.peers.get(&peer);
        let Some((room, seat)) = seat.and_then(|seat| Some((self.rooms.get_mut(&seat.room)?, *seat))) else {
            return Vec::new();
        };
        let before = room.speakers.clone();
        room.speaking.note(peer, seat.participant, speaks);
        match speaks {
            true => room.began_speaking(seat.participant),
            false => room.stopped_speaking(seat.participant),
        }
        let mut effects = room.refill_slots(&before);
        effects.extend(room.settle_wants());
        effects.extend(self.announce_speakers(now, seat.room));
        effects
    }

    /// Shows somebody who publishes in slots for which nobody has spoken yet.
    pub(super) fn introduce(&mut self, room: RoomId) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(&room) else {
            return Vec::new();
        };
        let before = room.speakers.clone();
        room.introduce();
        room.refill_slots(&before)
    }

    /// Fills the slots of a participant's connections after an offer of `peer`, which is one of these.
    pub(super) fn fill_slots_of(&mut self, seat: Seat, peer: PeerId) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return Vec::new();
        };
        let mut effects = room.fill_slots_of(seat.participant);
        effects.extend(room.fill_stage(Some(peer)));
        effects.extend(room.settle_wants());
        effects
    }

    /// Fills the slots of everybody in a room where other people are to be heard and shown than before.
    pub(super) fn fill_stage(&mut self, room: RoomId) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(&room) else {
            return Vec::new();
        };
        let mut effects = room.fill_stage(None);
        effects.extend(room.settle_wants());
        effects
    }
}
