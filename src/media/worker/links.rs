//! A worker's side of its links with others: what is still to be said over each.

use std::collections::VecDeque;

use ahash::{AHashMap, AHashSet};

use crate::ids::{RoomId, TrackId};
use crate::media::keys::TrackKey;
use crate::media::link::{LinkEnd, Message};

/// This worker's side of a link with another.
pub struct Link {
    pub end: LinkEnd,
    /// Something was put in since the other was last woken.
    pub rung: bool,
    /// Tracks that the other mirrors; all of them live here.
    pub told: AHashMap<TrackId, TrackKey>,
    /// Tracks that are not told as they are now, in the order in which they were published. Each stands here once.
    pub untold: VecDeque<TrackKey>,
    /// Told tracks that ended.
    pub gone: Vec<TrackId>,
    /// Tracks that live there and are mirrored here.
    pub mirrored: AHashMap<TrackId, TrackKey>,
    /// Rooms that live there and were asked for.
    pub asked: AHashSet<RoomId>,
    /// Rooms that are to be asked for or released. Each is asked for already, or exists here: so they are bounded.
    pub changed: VecDeque<RoomId>,
}

impl Link {
    pub fn send(&mut self, message: Message) -> bool {
        let sent = self.end.send(message);
        self.rung |= sent;
        sent
    }

    pub fn has_unsaid(&self) -> bool {
        !(self.untold.is_empty() && self.gone.is_empty() && self.changed.is_empty())
    }
}
