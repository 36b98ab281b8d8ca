//! The codecs, as far as the packet path must know them: where a decoder can start, and which fields must stay continuous.

pub(crate) mod av1;
pub(crate) mod decoding;
pub mod dependency;
pub mod h264;
pub(crate) mod h265;
mod mark;
pub mod red;
pub(crate) mod start;
pub mod vp8;
pub(crate) mod vp9;

use std::fmt;

pub(crate) use self::mark::SPATIAL_LAYERS;
pub use self::mark::{FrameMark, Layers};
use self::start::Start;

/// Sound or pictures: the kind of a track, and of a section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    Audio,
    Video,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Audio, Kind::Video];

    /// The position in [`Kind::ALL`].
    pub fn index(self) -> usize {
        usize::from(self == Kind::Video)
    }
}

/// A codec with those format parameters that decide whether two ends understand one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    /// RFC 2198 redundancy around Opus.
    Red,
    Pcmu,
    Pcma,
    Vp8,
    Vp9 {
        profile: u8,
    },
    H264 {
        profile: h264::Profile,
        packetization_mode: u8,
    },
    H265 {
        profile: u8,
        tier: u8,
    },
    Av1 {
        profile: u8,
        tier: u8,
    },
}

impl Codec {
    pub fn kind(self) -> Kind {
        match self {
            Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => Kind::Audio,
            Codec::Vp8 | Codec::Vp9 { .. } | Codec::H264 { .. } | Codec::H265 { .. } | Codec::Av1 { .. } => Kind::Video,
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Opus | Codec::Red => 48_000,
            Codec::Pcmu | Codec::Pcma => 8_000,
            _ => 90_000,
        }
    }

    /// The layers of the frame of which `payload` is a part, if it tells. `vp8` is its descriptor where it is VP8.
    pub fn mark(self, payload: &[u8], vp8: Option<&vp8::Descriptor>) -> Option<FrameMark> {
        match self {
            Codec::Vp9 { .. } => vp9::mark(payload),
            _ => vp8?.mark,
        }
    }

    /// The start in `payload`, and the descriptor of a VP8 one. A malformed payload has neither. Every audio packet is a start.
    pub fn read(self, payload: &[u8]) -> (Start, Option<vp8::Descriptor>) {
        let descriptor = if self == Codec::Vp8 { vp8::parse(payload) } else { None };
        let begins = match self {
            Codec::Vp8 => descriptor.is_some_and(|descriptor| descriptor.starts_key_frame(payload)),
            Codec::Vp9 { .. } => vp9::starts_key_frame(payload),
            Codec::Av1 { .. } => av1::starts_key_frame(payload),
            Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => true,
            Codec::H264 { .. } => return (h264::start(payload), None),
            Codec::H265 { .. } => return (h265::start(payload), None),
        };
        (if begins { Start::Picture } else { Start::None }, descriptor)
    }
}

/// The name that people use: in logs, and for clients to show.
impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Codec::Opus => f.write_str("Opus"),
            Codec::Red => f.write_str("RED"),
            Codec::Pcmu => f.write_str("PCMU"),
            Codec::Pcma => f.write_str("PCMA"),
            Codec::Vp8 => f.write_str("VP8"),
            Codec::Vp9 { profile } => write!(f, "VP9 profile {profile}"),
            Codec::H264 {
                profile,
                packetization_mode,
            } => write!(f, "H264 {profile}, packetization mode {packetization_mode}"),
            Codec::H265 { profile, tier } => write!(f, "H265 profile {profile}, tier {tier}"),
            Codec::Av1 { profile, tier } => write!(f, "AV1 profile {profile}, tier {tier}"),
        }
    }
}

#[cfg(test)]
mod tests;
