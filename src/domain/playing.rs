//! Recordings that participants publish: commands and effects.

use crate::ids::{Feed, FeedRef, PeerId, RoomId};
use crate::sound::Recording;

/// A session's wish to publish a recording as this feed, until its end. It replaces what the participant publishes as this
/// feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    pub feed: Feed,
    pub recording: Recording,
    /// Whether the recording begins only when its sound goes to somebody, who then hears it from the beginning.
    pub waits: bool,
    /// Whether the recording begins again at its end.
    pub repeats: bool,
}

/// A recording that is to be played. In the room it is a connection like any other, except that nobody negotiates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playback {
    pub room: RoomId,
    pub peer: PeerId,
    pub feed: FeedRef,
    pub recording: Recording,
    pub waits: bool,
    pub repeats: bool,
}
