//! What the packet path must know of each codec: where a decoder can start, and which fields must stay continuous.

pub mod av1;
pub mod h264;
pub mod h265;
pub mod red;
pub mod vp8;
pub mod vp9;

use super::session::Kind;

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

    /// Whether an end that offered `self` can decode what is published as `published`: `None` if not, otherwise
    /// how well it fits, 0 best.
    pub fn decodes(self, published: Codec) -> Option<u8> {
        match (self, published) {
            (
                Codec::H264 {
                    profile: ours,
                    packetization_mode: mode,
                },
                Codec::H264 {
                    profile: theirs,
                    packetization_mode: sent,
                },
            ) => {
                // RFC 6184 §6.2: mode 1 receivers also take mode 0 packets, not the other way round.
                let mode_rank = if mode == sent {
                    0
                } else if mode > sent {
                    1
                } else {
                    return None;
                };
                ours.decodes(theirs).map(|rank| rank * 2 + mode_rank)
            }
            // ITU-T H.265 §A.3.3: Main 10 (2) decoders also decode Main (1); §A.4.1: the high tier (1) contains the main.
            (
                Codec::H265 { profile, tier },
                Codec::H265 {
                    profile: sent_profile,
                    tier: sent_tier,
                },
            ) => match (profile == sent_profile, tier == sent_tier) {
                (true, true) => Some(0),
                (same, _) if (same || (profile, sent_profile) == (2, 1)) && tier >= sent_tier => Some(1),
                _ => None,
            },
            // AV1 specification §A.2: High (1) contains Main (0), Professional (2) contains both.
            (Codec::Av1 { profile }, Codec::Av1 { profile: sent }) => profile.checked_sub(sent),
            (a, b) => (a == b).then_some(0),
        }
    }

    /// What begins in `payload`; nothing in anything malformed. Every audio packet is a beginning.
    pub fn start(self, payload: &[u8]) -> Start {
        let begins = match self {
            Codec::Vp8 => vp8::starts_key_frame(payload),
            Codec::Vp9 { .. } => vp9::starts_key_frame(payload),
            Codec::Av1 { .. } => av1::starts_key_frame(payload),
            Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => true,
            Codec::H264 { .. } => return h264::start(payload),
            Codec::H265 { .. } => return h265::start(payload),
        };
        if begins { Start::Picture } else { Start::None }
    }
}

/// What begins in a packet, for a decoder that knows nothing of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// Nothing: it goes on with something, or stands on pictures before it.
    None,
    /// A slice of a key picture; the parameter sets that it needs were sent before it.
    Slice,
    /// Parameter sets, which the key picture after them needs.
    ParameterSets,
    /// A key picture, with all that it needs.
    Picture,
}

#[cfg(test)]
mod tests;
