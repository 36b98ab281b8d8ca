//! The end of a link: the other worker is lost, and with it what it published here and what it passed on from here.

use std::time::Instant;

use super::super::Worker;

impl Worker {
    /// Worker `other` is lost. Tracks that live there end here; tracks of ours are not passed on to it any more. Connections
    /// stay: the hub closes those whose room lived there. Another link may follow, with the worker in its place.
    pub fn unlink(&mut self, now: Instant, other: usize) {
        let Some(link) = self.links.get_mut(other).and_then(Option::take) else {
            return;
        };
        for track in self.tracks.values_mut() {
            track.mirrors.retain(|mirror| mirror.link != other);
        }
        for room in self.rooms.values_mut() {
            room.mirrors.retain(|mirror| *mirror != other);
        }
        self.rooms.retain(|_, room| room.peers > 0 || !room.mirrors.is_empty());
        for key in link.mirrored.into_values() {
            self.remove_track(now, key);
        }
    }
}
