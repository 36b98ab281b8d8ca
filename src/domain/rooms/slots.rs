//! Slots that follow the speaker.

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
            true => room.speakers.began(seat.participant),
            false => room.speakers.stopped(seat.participant, room.speaking.newest()),
        }
        let mut effects = room.refill_slots(&before);
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

    /// Fills the slots of a participant's connections, which have just been offered.
    pub(super) fn fill_slots_of(&self, seat: Seat) -> Vec<Effect> {
        let room = self.rooms.get(&seat.room);
        room.map_or_else(Vec::new, |room| room.fill_slots_of(seat.participant))
    }
}
