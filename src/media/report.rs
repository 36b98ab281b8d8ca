//! The reports of a worker about a published track, and about the path to a client, for operators.

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

/// What is known of the path to a client now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathReport {
    /// Rate that may be sent, in bits per second. `None` where the client tells nothing from which it could be known.
    pub target_bps: Option<u64>,
    /// What the client reports of single packets. `None` where it has reported none lately.
    pub arrivals: Option<ArrivalReport>,
}

/// What a client reports of the packets that it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalReport {
    /// Rate at which they arrive, in bits per second.
    pub acked_bps: u64,
    /// Time that they wait in queues.
    pub queue_delay_micros: u64,
    /// Share of them that was lost in the last second, in 1/256.
    pub lost_256: u8,
}
