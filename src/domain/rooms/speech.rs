//! Announcements in a room of who speaks.

use std::time::Instant;

use super::{Rooms, Seat};
use crate::domain::{Effect, Event};
use crate::ids::{PeerId, RoomId};

impl Rooms {
    /// Notes that a participant's connection has ended: they are not heard over it any longer. Slots that show them then show
    /// whoever goes on speaking.
    pub(super) fn silence(&mut self, seat: Seat, peer: PeerId) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return Vec::new();
        };
        let before = room.speakers.clone();
        room.speaking.forget_peer(peer);
        room.stopped_speaking(seat.participant);
        self.speech_due.extend(room.speaking.due().map(|due| (due, seat.room)));
        room.refill_slots(&before)
    }

    /// Sends a room who speaks, if that has changed: at once, or when the last announcement is old enough. The two parties of a
    /// call are not sent it: they know it themselves.
    pub(super) fn announce_speakers(&mut self, now: Instant, id: RoomId) -> Option<Effect> {
        let room = self.rooms.get_mut(&id).filter(|room| room.name.is_some())?;
        if !room.speaking.announce(now) {
            self.speech_due.extend(room.speaking.due().map(|due| (due, id)));
            return None;
        }
        let users = room.announced_speakers().into();
        Some(Effect::SendEach {
            sessions: room.sessions(),
            event: Event::Speakers { users },
        })
    }

    /// Sends who speaks to all rooms whose time for that has come.
    pub(super) fn announce_all_speakers(&mut self, now: Instant) -> Vec<Effect> {
        let later = self.speech_due.split_off(&(now, RoomId(u64::MAX)));
        let due = std::mem::replace(&mut self.speech_due, later);
        let announced = due.into_iter().filter_map(|(_, id)| self.announce_speakers(now, id));
        announced.collect()
    }
}
