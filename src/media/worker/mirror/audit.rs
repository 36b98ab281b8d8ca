//! Whether what is kept of links agrees with the rest, and with what the worker at the other end keeps. Only tests ask:
//! a release build has none of this.

use std::collections::BTreeSet;
use std::time::Instant;

use super::super::Worker;
use crate::ids::{RoomId, TrackId};
use crate::media::keys::TrackKey;
use crate::media::track::Origin;
use crate::media::worker::links::Link;

/// What a worker believes that it shares with another.
#[derive(Debug)]
pub struct Shared {
    /// Nothing is on its way to this worker, and there is nothing more to be said from here.
    pub is_settled: bool,
    /// Rooms that live here and are mirrored there, with their tracks.
    pub rooms: BTreeSet<RoomId>,
    pub tracks: BTreeSet<TrackId>,
    /// Rooms that live there and are mirrored here.
    pub mirrored_rooms: BTreeSet<RoomId>,
    pub mirrored_tracks: BTreeSet<TrackId>,
    /// Of the tracks that live here: those whose publisher is not heard, and since when.
    pub unheard: Vec<(TrackId, Instant)>,
    /// Of the mirrored tracks: those of which packets are kept, and when the newest came.
    pub kept: Vec<(TrackId, Instant)>,
}

impl Worker {
    /// `None` without a link.
    pub fn shared_with(&self, other: usize) -> Option<Shared> {
        let link = self.links.get(other)?.as_ref()?;
        let rooms = self.rooms.iter().filter(|(_, room)| room.mirrors.contains(&other));
        let unheard = link.told.iter().filter_map(|(id, key)| {
            let publisher = self.peers.get(self.tracks.get(*key)?.origin.peer()?)?;
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
            is_settled: !link.end.has_mail() && !link.has_unsaid(),
            rooms: rooms.map(|(id, _)| *id).collect(),
            tracks: link.told.keys().copied().collect(),
            mirrored_rooms: link.asked.iter().copied().collect(),
            mirrored_tracks: link.mirrored.keys().copied().collect(),
            unheard: unheard.collect(),
            kept: kept.collect(),
        })
    }

    /// Whether that is a track of the worker behind that link.
    pub(in crate::media::worker) fn mirrors(&self, index: usize, id: TrackId, key: TrackKey) -> bool {
        let link = self.links.get(index).and_then(Option::as_ref);
        link.is_some_and(|link| link.mirrored.get(&id) == Some(&key))
    }

    pub(in crate::media::worker) fn audit_links(&self, found: &mut Vec<String>) {
        for (id, room) in &self.rooms {
            let mut indices = room.mirrors.iter();
            if !indices.all(|&index| self.links.get(index).is_some_and(Option::is_some)) {
                found.push(format!("room {id} is mirrored where no link leads"));
            }
        }
        for track in self.tracks.values() {
            let mirrors = self
                .rooms
                .get(&track.room)
                .map_or(&[][..], |room| room.mirrors.as_slice());
            let passed_on: BTreeSet<usize> = track.mirrors.iter().map(|mirror| mirror.link).collect();
            if passed_on != mirrors.iter().copied().collect() {
                let id = track.id;
                found.push(format!(
                    "track {id} is passed on to {passed_on:?}, and mirrored by {mirrors:?}"
                ));
            }
        }
        for (index, link) in self.links.iter().enumerate() {
            if let Some(link) = link {
                self.audit_link(index, link, found);
            }
        }
    }

    fn audit_link(&self, index: usize, link: &Link, found: &mut Vec<String>) {
        for (id, &key) in &link.told {
            let track = self.tracks.get(key).filter(|track| track.id == *id);
            if !track.is_some_and(|track| track.mirrors.iter().any(|mirror| mirror.link == index)) {
                found.push(format!(
                    "worker {index} was told of track {id}, which is not passed on to it"
                ));
            }
        }
        for (id, &key) in &link.mirrored {
            let track = self.tracks.get(key).filter(|track| track.id == *id);
            if track.is_none_or(|track| track.origin != Origin::Link(index)) {
                found.push(format!("track {id} of worker {index} is mirrored, and is not there"));
            }
        }
        for id in &link.asked {
            let lives = self.rooms.get(id).is_some_and(|room| room.home == Some(index));
            if !lives && !link.changed.contains(id) {
                found.push(format!(
                    "room {id} of worker {index} was asked for, and is not released"
                ));
            }
        }
    }
}
