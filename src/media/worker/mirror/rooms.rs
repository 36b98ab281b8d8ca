//! Connections come and go, and rooms with them: when other workers are asked for a room, and when it is released.

use std::time::Instant;

use super::super::Worker;
use crate::ids::{RoomId, WorkerId};
use crate::media::keys::TrackKey;
use crate::media::link::Far;
use crate::media::report::TrackReport;
use crate::media::room::WorkerRoom;
use crate::media::track::{Origin, Track};

impl Worker {
    /// Counts one more connection of a room, and asks the other workers that serve the room.
    pub(in crate::media::worker) fn enter_room(&mut self, now: Instant, id: RoomId, others: &[WorkerId]) {
        self.rooms.entry(id).or_default().transports += 1;
        for other in others {
            self.request_room(now, id, other.0);
        }
    }

    /// Asks another worker for a room that it serves, if it was not asked yet.
    pub(super) fn request_room(&mut self, now: Instant, id: RoomId, other: usize) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if other != self.config.index && !room.others.contains(&other) {
            room.others.push(other);
            self.room_changed(now, other, id);
        }
    }

    /// Counts one connection less. After the last one, releases the room.
    pub(in crate::media::worker) fn leave_room(&mut self, now: Instant, id: RoomId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.transports -= 1;
        if room.transports > 0 {
            return;
        }
        // Nobody here gets tracks of other workers any more. Players go on: people on other workers may hear them.
        let others = std::mem::take(&mut room.others);
        let mirrored = self.tracks_in(id, |track| !self.is_own(track));
        for key in mirrored {
            self.remove_track(now, key);
        }
        for other in others {
            self.room_changed(now, other, id);
        }
        self.forget_room_if_unused(id);
    }

    /// Whether a track is published on this worker: by a connection, or by a player. Only such tracks are passed on to other
    /// workers. These have links of their own with all workers that serve the room, so no packet goes round.
    pub(in crate::media::worker) fn is_own(&self, track: &Track) -> bool {
        match track.origin {
            Origin::Transport(_) => true,
            Origin::Link(id) => {
                let far = self.links.get(id).map(|link| link.far);
                matches!(far, Some(Far::Player { .. }))
            }
        }
    }

    pub(super) fn tracks_in(&self, room: RoomId, is_match: impl Fn(&Track) -> bool) -> Vec<TrackKey> {
        let room = self.rooms.get(&room);
        let tracks = room.into_iter().flat_map(WorkerRoom::tracks);
        tracks.filter(|&key| is_match(&self.tracks[key])).collect()
    }

    /// The tracks of these rooms that are published on this worker. A room that is not here has none.
    pub fn report(&self, now: Instant, rooms: &[RoomId]) -> Vec<TrackReport> {
        let rooms = rooms.iter().filter_map(|room| self.rooms.get(room));
        let tracks = rooms.flat_map(WorkerRoom::tracks).map(|key| &self.tracks[key]);
        let own = tracks.filter(|track| self.is_own(track));
        own.map(|track| track.report(now)).collect()
    }

    pub(super) fn forget_room_if_unused(&mut self, id: RoomId) {
        if self.rooms.get(&id).is_some_and(WorkerRoom::is_unused) {
            self.rooms.remove(&id);
        }
    }

    fn room_changed(&mut self, now: Instant, other: usize, id: RoomId) {
        // Without a link yet, `Worker::link` finds the rooms when it adds one.
        let Some(link_id) = self.links.with_worker(other) else {
            return;
        };
        let Some(link) = self.links.get_mut(link_id) else {
            return;
        };
        // Whoever was not asked has nothing to release.
        let requests = self.rooms.get(&id).is_some_and(|room| room.requests(other));
        if !requests && !link.requested.contains(&id) {
            link.changed.retain(|room| *room != id);
        } else if !link.changed.contains(&id) {
            link.changed.push_back(id);
        }
        self.announce(now, link_id);
    }
}
