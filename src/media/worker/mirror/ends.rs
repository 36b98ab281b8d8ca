//! How links begin and end: with another worker, which may be lost, and with whoever else has a part in a room.

use std::time::Instant;

use super::super::Worker;
use crate::ids::PeerId;
use crate::media::keys::LinkId;
use crate::media::link::{Far, LinkEnd};
use crate::media::messages::{CloseReason, MediaEvent};

impl Worker {
    /// Adds a link: from now on `far` can be reached. An earlier link with a worker in the same place ends: that worker is
    /// lost. `None` if there are too many links: then this end is dropped, and a player is closed as full.
    pub fn link(&mut self, now: Instant, far: Far, end: LinkEnd) -> Option<LinkId> {
        if let Far::Worker(other) = far {
            self.unlink(now, other);
        }
        if self.links.is_full() {
            if let Far::Player { peer, .. } = far {
                let reason = CloseReason::Full;
                self.events.push_back(MediaEvent::Closed { peer, reason });
            }
            return None;
        }
        let id = self.links.add(far, end);
        match far {
            Far::Worker(other) => {
                let waiting = self.rooms.iter().filter(|(_, room)| room.requests(other));
                let changed = waiting.map(|(id, _)| *id).collect();
                if let Some(link) = self.links.get_mut(id) {
                    link.changed = changed;
                }
                self.announce(now, id);
            }
            Far::Player { peer, .. } => self.events.push_back(MediaEvent::Connected { peer }),
            Far::Recorder => {}
        }
        Some(id)
    }

    /// Ends the link with worker `other`, which is lost. The tracks that it published end here, and ours are not passed on to
    /// it any more. Connections stay. A link with the worker in its place may follow.
    pub fn unlink(&mut self, now: Instant, other: usize) {
        if let Some(id) = self.links.with_worker(other) {
            self.end_link(now, id);
        }
    }

    /// Ends the link with a player, which the hub wants closed.
    pub(in crate::media::worker) fn unlink_player(&mut self, now: Instant, player: PeerId) {
        if let Some(id) = self.links.with_player(player) {
            self.end_link(now, id);
        }
    }

    /// Ends a link whose other end was dropped.
    pub(super) fn link_ended(&mut self, now: Instant, id: LinkId) {
        if let Some(Far::Player { peer, .. }) = self.links.get(id).map(|link| link.far) {
            let reason = CloseReason::Played;
            self.events.push_back(MediaEvent::Closed { peer, reason });
        }
        self.end_link(now, id);
    }

    fn end_link(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.remove(id) else { return };
        for track in self.tracks.values_mut() {
            track.mirrors.retain(|mirror| mirror.link != id);
        }
        for room in self.rooms.values_mut() {
            room.mirrors.retain(|mirror| *mirror != id);
            if let Far::Worker(lost) = link.far {
                room.others.retain(|other| *other != lost);
            }
        }
        for key in link.mirrored.into_values() {
            self.remove_track(now, key);
        }
        self.rooms.retain(|_, room| !room.is_unused());
    }
}
