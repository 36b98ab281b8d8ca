//! One room, as one worker knows it.

use smallvec::SmallVec;

use super::keys::{SubscriptionKey, TrackKey};

/// The tracks and subscriptions of one room.
#[derive(Default)]
pub struct Room {
    pub peers: usize,
    pub tracks: Vec<TrackKey>,
    pub subscriptions: Vec<SubscriptionKey>,
    /// The link to the worker on which the room's publishers live, where that is another one: this one mirrors it.
    pub home: Option<usize>,
    /// Links to the workers that mirror this room.
    pub mirrors: SmallVec<[usize; 1]>,
}
