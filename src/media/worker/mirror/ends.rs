//! Links begin and end: with another worker, which may be lost, and with whoever else has a part in a room.

use std::time::Instant;

use super::super::Worker;
use crate::ids::PeerId;
use crate::media::keys::LinkId;
use crate::media::link::{Far, LinkEnd};
use crate::media::messages::{CloseReason, MediaEvent};

impl Worker {
    /// From now on `far` can be reached. An earlier link with the same worker ends: it was with one that is lost.
    pub fn link(&mut self, now: Instant, far: Far, end: LinkEnd) -> LinkId {
        if let Far::Worker(other) = far {
            self.unlink(now, other);
        }
        let id = self.links.add(far, end);
        match far {
            Far::Worker(other) => {
                let waiting = self.rooms.iter().filter(|(_, room)| room.asks(other));
                let changed = waiting.map(|(id, _)| *id).collect();
                if let Some(link) = self.links.get_mut(id) {
                    link.changed = changed;
                }
                self.announce(now, id);
            }
            Far::Player { peer, .. } => self.events.push_back(MediaEvent::Connected { peer }),
            Far::Recorder => {}
        }
        id
    }

    /// Worker `other` is lost. Tracks that are published there end here; tracks of ours are not passed on to it any more.
    /// Connections stay. Another link may follow, with the worker in its place.
    pub fn unlink(&mut self, now: Instant, other: usize) {
        if let Some(id) = self.links.with_worker(other) {
            self.end_link(now, id);
        }
    }

    /// The hub ends what a player feeds a room with.
    pub(in crate::media::worker) fn unlink_player(&mut self, now: Instant, player: PeerId) {
        let is_its = |far: Far| matches!(far, Far::Player { peer, .. } if peer == player);
        let found = self.links.iter().find(|(_, link)| is_its(link.far));
        if let Some((id, _)) = found {
            self.end_link(now, id);
        }
    }

    /// The other end of a link has been dropped.
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
