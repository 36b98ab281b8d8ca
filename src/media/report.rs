//! The report of a worker about a published track, for operators.

use super::codec::Codec;
use super::names::TrackRef;
use super::speaker::SoundLevel;
use crate::ids::PeerId;

/// A track as its home sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackReport {
    pub name: TrackRef,
    /// Connection that publishes the track.
    pub publisher: PeerId,
    /// Codec of a layer that is sent now. `None` while nothing is sent.
    pub codec: Option<Codec>,
    /// Number of layers that are sent now.
    pub layers: usize,
    /// Number of packets that came so far, and their bytes, with headers.
    pub packets: u64,
    pub bytes: u64,
    /// Bit rate of all layers together, over the last second.
    pub bitrate_bps: u64,
    /// Loudness over the last second, if the client sends audio levels.
    pub level: Option<SoundLevel>,
}
