//! How many packets are kept for subscribers that miss them. The caches of one publisher share a budget, and so do all caches
//! of a worker. Ordinary publishers stay below both. When memory gets scarce, the publishers that hold most give it back: their
//! oldest packets go first.

use ahash::AHashMap;
use smallvec::SmallVec;

use super::Worker;
use crate::ids::{ParticipantId, RoomId};
use crate::media::keys::TrackKey;
use crate::media::retransmit::{CHUNK_BYTES, ceiling};
use crate::media::track::Track;

/// Bytes that one publisher's packets may take: a second of twenty video encodings of 2.5 Mb/s each, which is six cameras with
/// three encodings and sound. If there are more encodings, the packets of each are kept for a shorter time.
const PUBLISHER_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that the packets of all publishers of one worker may take: a second of some four hundred cameras with three encodings.
/// A worker that has more publishers keeps fewer packets of each.
pub const WORKER_CACHE_BYTES: usize = 256 * 1024 * 1024;

/// Encodings that one connection may send, each with memory and reports of its own. Nobody has so many cameras. For this
/// number, the budget has four chunks for each encoding: some forty packets at any time.
pub(super) const MAX_ENCODINGS: usize = PUBLISHER_BYTES / CHUNK_BYTES / 4;

impl Worker {
    /// Divides a publisher's budget among its encodings. Call when an encoding has begun or ended.
    pub(in crate::media) fn share_cache(&mut self, room: RoomId, publisher: ParticipantId) {
        let tracks = self.tracks_of(room, publisher);
        let encodings: usize = tracks.iter().map(|&key| self.tracks[key].layers.len()).sum();
        let share = PUBLISHER_BYTES / encodings.max(1);
        for key in tracks {
            for layer in &mut self.tracks[key].layers {
                layer.cache.limit(share, &mut self.cache_pool);
            }
        }
    }

    fn tracks_of(&self, room: RoomId, publisher: ParticipantId) -> SmallVec<[TrackKey; 8]> {
        let room = self.rooms.get(&room);
        room.map_or_else(SmallVec::new, |room| room.tracks_of(publisher).collect())
    }

    /// Gives back the memory that a track's packets take.
    pub(in crate::media) fn empty_caches(&mut self, track: &mut Track) {
        for layer in &mut track.layers {
            layer.cache.release(&mut self.cache_pool);
        }
    }

    /// Whether [`Worker::look_after_caches`] has something to do.
    pub(super) fn caches_want_a_look(&self) -> bool {
        self.cache_pool.is_scarce() || (self.caches_cut && self.cache_pool.is_ample())
    }

    /// Makes room when memory gets scarce, and lets caches grow again when there is enough. Call at each tick.
    pub(super) fn look_after_caches(&mut self) {
        if self.cache_pool.is_scarce() {
            self.caches_cut = true;
            self.cut_caches();
        } else if self.caches_cut && self.cache_pool.is_ample() {
            self.caches_cut = false;
            for (room, publisher) in self.held_by_publisher().into_keys() {
                self.share_cache(room, publisher);
            }
        }
    }

    fn held_by_publisher(&self) -> AHashMap<(RoomId, ParticipantId), usize> {
        let mut held = AHashMap::new();
        for track in self.tracks.values() {
            let bytes: usize = track.layers.iter().map(|layer| layer.cache.held()).sum();
            *held.entry((track.room, track.name.participant)).or_default() += bytes;
        }
        held
    }

    fn cut_caches(&mut self) {
        let held = self.held_by_publisher();
        let mut sizes: Vec<usize> = held.values().copied().collect();
        let most = ceiling(&mut sizes, self.cache_pool.relieved());
        for ((room, publisher), _) in held.into_iter().filter(|(_, held)| *held > most) {
            let tracks = self.tracks_of(room, publisher);
            sizes.clear();
            for &key in &tracks {
                sizes.extend(self.tracks[key].layers.iter().map(|layer| layer.cache.held()));
            }
            let most = ceiling(&mut sizes, most);
            for key in tracks {
                for layer in &mut self.tracks[key].layers {
                    // A layer that holds less than the others does not grow in their place.
                    let keeps = layer.cache.held().max(CHUNK_BYTES).min(most);
                    layer.cache.limit(keeps, &mut self.cache_pool);
                }
            }
        }
    }
}
