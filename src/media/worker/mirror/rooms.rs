//! Connections come and go, and rooms with them: when another worker is asked for a room, and when the room is released.

use std::time::Instant;

use super::super::Worker;
use crate::ids::RoomId;
use crate::media::keys::TrackKey;

impl Worker {
    /// One more connection of a room that lives on worker `home`.
    pub(in crate::media::worker) fn enter_room(&mut self, now: Instant, id: RoomId, home: usize) {
        let room = self.rooms.entry(id).or_default();
        room.peers += 1;
        if room.peers > 1 || home == self.config.index {
            return;
        }
        room.home = Some(home);
        self.room_changed(now, home, id);
    }

    /// One connection less.
    pub(in crate::media::worker) fn leave_room(&mut self, now: Instant, id: RoomId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.peers -= 1;
        if room.peers > 0 {
            return;
        }
        if let Some(home) = room.home {
            let tracks: Vec<TrackKey> = room.tracks().collect();
            for key in tracks {
                self.remove_track(now, key);
            }
            self.rooms.remove(&id);
            return self.room_changed(now, home, id);
        }
        self.forget_room_if_unused(id);
    }

    pub(super) fn forget_room_if_unused(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get(&id)
            && room.peers == 0
            && room.mirrors.is_empty()
        {
            self.rooms.remove(&id);
        }
    }

    fn room_changed(&mut self, now: Instant, home: usize, id: RoomId) {
        // Without a link yet, the rooms that it will be for are found by looking at all.
        let Some(Some(link)) = self.links.get_mut(home) else {
            return;
        };
        if !link.changed.contains(&id) {
            link.changed.push_back(id);
        }
        self.say(now, home);
    }
}
