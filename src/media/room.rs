//! One room, as one worker knows it.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::codec::Kind;
use super::keys::{SubscriptionKey, TrackKey};
use super::names::{TrackName, TrackRef};
use crate::ids::{Feed, ParticipantId};

/// The tracks and subscriptions of one room.
#[derive(Default)]
pub struct Room {
    pub peers: usize,
    /// The tracks, by name. Of several under one name the newest is the last: a publisher that has come back counts, not the
    /// connection that it has left behind.
    tracks: BTreeMap<TrackRef, SmallVec<[TrackKey; 1]>>,
    /// The subscriptions that are for a track, whether it is there or not. There is no entry without a subscription.
    wanted: BTreeMap<TrackRef, Vec<SubscriptionKey>>,
    /// The link to the worker on which the room's publishers live, where that is another one: this one mirrors it.
    pub home: Option<usize>,
    /// Links to the workers that mirror this room.
    pub mirrors: SmallVec<[usize; 1]>,
}

impl Room {
    pub fn add_track(&mut self, name: TrackRef, key: TrackKey) {
        self.tracks.entry(name).or_default().push(key);
    }

    pub fn remove_track(&mut self, name: TrackRef, key: TrackKey) {
        if let Some(keys) = self.tracks.get_mut(&name) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.tracks.remove(&name);
            }
        }
    }

    /// The track that subscriptions to this name get.
    pub fn track(&self, name: TrackRef) -> Option<TrackKey> {
        self.tracks.get(&name)?.last().copied()
    }

    /// All tracks, also those that newer ones hide.
    pub fn tracks(&self) -> impl Iterator<Item = TrackKey> {
        self.tracks.values().flatten().copied()
    }

    pub fn tracks_of(&self, participant: ParticipantId) -> impl Iterator<Item = TrackKey> {
        let first = TrackRef {
            participant,
            name: TrackName {
                feed: Feed::Camera,
                kind: Kind::Audio,
                number: 0,
            },
        };
        let its = self.tracks.range(first..);
        its.take_while(move |(name, _)| name.participant == participant)
            .flat_map(|(_, keys)| keys)
            .copied()
    }

    pub fn want(&mut self, name: TrackRef, key: SubscriptionKey) {
        self.wanted.entry(name).or_default().push(key);
    }

    pub fn want_no_more(&mut self, name: TrackRef, key: SubscriptionKey) {
        if let Some(keys) = self.wanted.get_mut(&name) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.wanted.remove(&name);
            }
        }
    }

    /// The subscriptions that are for this track.
    pub fn wanting(&self, name: TrackRef) -> &[SubscriptionKey] {
        self.wanted.get(&name).map_or(&[], Vec::as_slice)
    }

    /// How many subscriptions are for some track.
    pub fn wanted_count(&self) -> usize {
        self.wanted.values().map(Vec::len).sum()
    }
}
