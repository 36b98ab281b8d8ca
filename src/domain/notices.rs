//! Notices that sessions are sent about media and files.

use super::MediaKind;
use crate::ids::{Feed, UserId};

/// A stored file that somebody announces to their room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNotice {
    pub name: String,
    pub url: String,
    /// Media type, or whatever the client calls it.
    pub kind: Option<String>,
}

/// Notice that somebody cannot decode what somebody else publishes, or can again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodingNotice {
    pub publisher: UserId,
    pub watcher: UserId,
    pub media: MediaKind,
    /// Format that is sent and that the watcher cannot decode. `None` when the watcher can decode again.
    pub undecodable: Option<String>,
}

/// The encodings of its own video that a client is asked to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayersWanted {
    pub feed: Feed,
    /// Names of encodings (rids), each with whether it is wanted; an encoding without a name has the empty one.
    pub layers: Vec<(String, bool)>,
    /// Most bits per second of the highest of them. `None` if nothing bounds it.
    pub max_bits_per_second: Option<u64>,
}
