//! Checks that the state of links agrees with the rest of the worker, and with the worker at the other end. Only tests ask: a
//! release build has none of this.

use std::collections::BTreeSet;
use std::time::Instant;

use super::super::Worker;
use crate::ids::{RoomId, TrackId};
use crate::media::keys::{LinkId, TrackKey};
use crate::media::link::Far;
use crate::media::room::WorkerRoom;
use crate::media::track::{Origin, Track};
use crate::media::worker::links::Link;

/// State that a worker believes that it shares with another.
#[derive(Debug)]
pub struct Shared {
    /// Whether nothing is on its way to this worker, and nothing more is to be sent from it.
    pub is_settled: bool,
    /// Rooms with connections here.
    pub served_rooms: BTreeSet<RoomId>,
    /// Rooms that the other worker has asked for, and the tracks that are announced to it.
    pub rooms: BTreeSet<RoomId>,
    pub tracks: BTreeSet<TrackId>,
    /// Rooms that this worker has asked for, and the tracks that the other worker publishes there.
    pub mirrored_rooms: BTreeSet<RoomId>,
    pub mirrored_tracks: BTreeSet<TrackId>,
    /// Tracks published here whose publisher is not heard, each with the time since when.
    pub unheard: Vec<(TrackId, Instant)>,
    /// Mirrored tracks of which packets are kept, each with the time of the newest packet.
    pub kept: Vec<(TrackId, Instant)>,
}

impl Worker {
    /// The state shared with worker `other`. `None` without a link.
    pub fn shared_with(&self, other: usize) -> Option<Shared> {
        let id = self.links.with_worker(other)?;
        let link = self.links.get(id)?;
        let served_rooms = self.rooms.iter().filter(|(_, room)| room.transports > 0);
        let rooms = self.rooms.iter().filter(|(_, room)| room.mirrors.contains(&id));
        let unheard = link.announced.iter().filter_map(|(id, key)| {
            let publisher = self.transports.get(self.tracks.get(*key)?.origin.transport()?)?;
            Some((*id, publisher.suspended?))
        });
        let kept = link.mirrored.iter().filter_map(|(id, key)| {
            let layers = self.tracks.get(*key)?.layers.iter();
            let newest = layers
                .filter(|layer| layer.cache.held() > 0)
                .filter_map(|layer| layer.last_packet);
            Some((*id, newest.max()?))
        });
        Some(Shared {
            is_settled: !link.end.has_mail() && !link.has_unsent(),
            served_rooms: served_rooms.map(|(id, _)| *id).collect(),
            rooms: rooms.map(|(id, _)| *id).collect(),
            tracks: link.announced.keys().copied().collect(),
            mirrored_rooms: link.requested.iter().copied().collect(),
            mirrored_tracks: link.mirrored.keys().copied().collect(),
            unheard: unheard.collect(),
            kept: kept.collect(),
        })
    }

    /// Whether this track comes over this link, and may do so.
    pub(in crate::media::worker) fn mirrors(&self, link: LinkId, track: &Track, key: TrackKey) -> bool {
        let Some(link) = self.links.get(link) else { return false };
        let room = self.rooms.get(&track.room);
        let may_be = match link.far {
            Far::Worker(other) => room.is_some_and(|room| room.requests(other)),
            Far::Player { room, .. } => room == track.room,
            Far::Recorder => false,
        };
        may_be && link.mirrored.get(&track.id) == Some(&key)
    }

    pub(in crate::media::worker) fn audit_links(&self, found: &mut Vec<String>) {
        for (id, room) in &self.rooms {
            if !room.mirrors.iter().all(|&link| self.links.get(link).is_some()) {
                found.push(format!("room {id} is mirrored where no link leads"));
            }
        }
        for track in self.tracks.values() {
            let mirrors = self
                .rooms
                .get(&track.room)
                .map_or(&[][..], |room| room.mirrors.as_slice());
            let mirrors: BTreeSet<LinkId> = mirrors.iter().copied().filter(|_| self.is_own(track)).collect();
            let passed_on: BTreeSet<LinkId> = track.mirrors.iter().map(|mirror| mirror.link).collect();
            if passed_on != mirrors {
                let id = track.id;
                found.push(format!(
                    "track {id} is passed on to {passed_on:?}, and mirrored by {mirrors:?}"
                ));
            }
        }
        for (id, link) in self.links.iter() {
            self.audit_link(id, link, found);
        }
    }

    fn audit_link(&self, link_id: LinkId, link: &Link, found: &mut Vec<String>) {
        let far = link.far;
        if link.has_unsent() && !self.links.is_behind(link_id) {
            found.push(format!("something is to be sent to {far:?}, and that is not noted"));
        }
        for (id, &key) in &link.announced {
            let track = self.tracks.get(key).filter(|track| track.id == *id);
            if !track.is_some_and(|track| track.mirrors.iter().any(|mirror| mirror.link == link_id)) {
                found.push(format!("track {id} is announced to {far:?}, and not passed on to it"));
            }
        }
        for (id, &key) in &link.mirrored {
            let track = self.tracks.get(key).filter(|track| track.id == *id);
            if track.is_none_or(|track| track.origin != Origin::Link(link_id)) {
                found.push(format!("track {id} of {far:?} is mirrored, and is not there"));
            }
        }
        if !link.unannounced.iter().all(|&key| self.tracks.contains_key(key)) {
            found.push(format!("tracks that have ended are to be announced to {far:?}"));
        }
        let is_known = |room: &RoomId| link.requested.contains(room) || self.rooms.contains_key(room);
        if !link.changed.iter().all(is_known) {
            found.push(format!("{far:?} is to be asked for rooms that are not here any more"));
        }
        for id in &link.requested {
            let requests = |one: &WorkerRoom| match far {
                Far::Worker(other) => one.requests(other),
                Far::Player { room, .. } => room == *id,
                Far::Recorder => false,
            };
            if !self.rooms.get(id).is_some_and(requests) && !link.changed.contains(id) {
                found.push(format!("{far:?} was asked for room {id}, and it is not released"));
            }
        }
    }
}
