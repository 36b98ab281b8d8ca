//! One room, as one worker knows it.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::codec::Kind;
use super::keys::{LinkId, SubscriptionKey, TrackKey};
use super::loudest::{FORWARD_ALL_UP_TO, Loudest};
use super::names::{TrackName, TrackRef};
use super::speaking_order::SpeakingOrder;
use crate::ids::{Feed, ParticipantId, PeerId};

/// The tracks and subscriptions of one room.
#[derive(Default)]
pub(crate) struct WorkerRoom {
    /// Number of transports that connections in the room have on this worker.
    pub transports: usize,
    /// Tracks by name, each with the connection that publishes it. If several have one name, that of the newest connection is
    /// the last. So a publisher that has come back counts, not the connection that it has left behind; and all workers agree on
    /// that, in whatever order the tracks are announced to them.
    tracks: BTreeMap<TrackRef, SmallVec<[(PeerId, TrackKey); 1]>>,
    /// Subscriptions by the track that they are for, whether it is there or not. There is no entry without a subscription.
    wanted: BTreeMap<TrackRef, Vec<SubscriptionKey>>,
    /// Places of the other workers that serve the room. They are asked for it while there are connections here.
    pub others: SmallVec<[usize; 1]>,
    /// Links over which the room was asked for.
    pub mirrors: SmallVec<[LinkId; 1]>,
    /// Number of participants who publish sound with their camera.
    microphones: usize,
    /// Whose sound is forwarded, if the room is large.
    pub loudest: Loudest<TrackKey>,
    /// Who spoke last, of those who publish on any worker.
    pub speaking: SpeakingOrder,
}

impl WorkerRoom {
    /// Whether this other worker is to be asked for the room.
    pub fn requests(&self, other: usize) -> bool {
        self.transports > 0 && self.others.contains(&other)
    }

    /// Whether the room has no connections and no tracks here, and nobody asks for it.
    pub(crate) fn is_unused(&self) -> bool {
        self.transports == 0 && self.tracks.is_empty() && self.mirrors.is_empty()
    }

    pub fn add_track(&mut self, name: TrackRef, publisher: PeerId, key: TrackKey) {
        let keys = self.tracks.entry(name).or_default();
        self.microphones += usize::from(keys.is_empty() && is_microphone(name));
        let at = keys.partition_point(|(other, _)| *other <= publisher);
        keys.insert(at, (publisher, key));
    }

    pub(crate) fn remove_track(&mut self, name: TrackRef, key: TrackKey) {
        if let Some(keys) = self.tracks.get_mut(&name) {
            keys.retain(|(_, other)| *other != key);
            if keys.is_empty() {
                self.tracks.remove(&name);
                self.microphones -= usize::from(is_microphone(name));
            }
        }
        self.loudest.forget(key);
    }

    /// Whether so many have a microphone that only the loudest are forwarded.
    pub(crate) fn is_large(&self) -> bool {
        self.microphones > FORWARD_ALL_UP_TO
    }

    /// The track that subscriptions to this name get.
    pub fn track(&self, name: TrackRef) -> Option<TrackKey> {
        self.tracks.get(&name)?.last().map(|(_, key)| *key)
    }

    /// All tracks, also those that newer ones hide.
    pub fn tracks(&self) -> impl Iterator<Item = TrackKey> {
        self.tracks.values().flatten().map(|(_, key)| *key)
    }

    pub(crate) fn tracks_of(&self, participant: ParticipantId) -> impl Iterator<Item = TrackKey> {
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
            .map(|(_, key)| *key)
    }

    pub(crate) fn want(&mut self, name: TrackRef, key: SubscriptionKey) {
        self.wanted.entry(name).or_default().push(key);
    }

    pub(crate) fn want_no_more(&mut self, name: TrackRef, key: SubscriptionKey) {
        if let Some(keys) = self.wanted.get_mut(&name) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.wanted.remove(&name);
            }
        }
    }

    /// The subscriptions that are for this track.
    pub(crate) fn wanting(&self, name: TrackRef) -> &[SubscriptionKey] {
        self.wanted.get(&name).map_or(&[], Vec::as_slice)
    }

    /// Number of subscriptions that are for some track. For the audit.
    #[cfg(debug_assertions)]
    pub(crate) fn wanted_count(&self) -> usize {
        self.wanted.values().map(Vec::len).sum()
    }
}

/// Whether this is the first sound that somebody publishes with their camera.
fn is_microphone(name: TrackRef) -> bool {
    let TrackName { feed, kind, number } = name.name;
    (feed, kind, number) == (Feed::Camera, Kind::Audio, 0)
}
