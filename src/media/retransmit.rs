//! Loss repair, both ways: what is missing from a publisher's stream ([`LossTracker`]) and the packets kept to answer
//! subscribers' NACKs ([`PacketCache`]). Each publisher packet is stored once, however many subscribers there are.

use std::time::{Duration, Instant};

/// Follows one incoming RTP stream (one SSRC): extended sequence numbers, loss, jitter (RFC 3550 appendix A), and
/// which packets to ask for again (RFC 4585 §6.2.1).
#[derive(Debug)]
pub struct LossTracker {
    _private: (),
}

/// What [`LossTracker::received`] made of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The newest so far; `missing` packets were skipped before it.
    Newest { missing: u16 },
    /// An older one that was missing: late, or sent again.
    Filled,
    /// Seen already, or too old to tell.
    Duplicate,
    /// A jump too far to be loss (RFC 3550 A.1 MAX_DROPOUT): the sender restarted; everything before is forgotten.
    Restarted,
}

/// One block of a receiver report (RFC 3550 §6.4.1), without the SSRC and the LSR/DLSR pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    pub fraction_lost: u8,
    /// 24-bit signed, clamped.
    pub cumulative_lost: i32,
    pub extended_highest_sequence: u32,
    /// In RTP timestamp units.
    pub jitter: u32,
}

impl LossTracker {
    pub fn new(_clock_rate: u32) -> LossTracker {
        todo!()
    }

    /// `repaired` packets (from RTX) count neither for jitter nor, where they fill a gap, as loss.
    pub fn received(&mut self, _now: Instant, _sequence: u16, _timestamp: u32, _repaired: bool) -> Arrival {
        todo!()
    }

    /// Sequence numbers to ask for now, each at most every `interval` (about a round trip) and a bounded number of
    /// times; `ask` is called in ascending order. True if one was given up on: a key frame is then needed.
    pub fn due_nacks(&mut self, _now: Instant, _interval: Duration, _ask: impl FnMut(u16)) -> bool {
        todo!()
    }

    /// Whether any packet is missing that will be asked for.
    pub fn has_gaps(&self) -> bool {
        todo!()
    }

    /// Closes one reporting interval (fraction lost is since the last call).
    pub fn report(&mut self) -> Reception {
        todo!()
    }
}

/// The last packets of one incoming stream, unprotected, by sequence number.
/// Storage is one allocation, made at the first packet; pages are touched only as they fill.
pub struct PacketCache {
    _private: (),
}

impl PacketCache {
    /// `slots` is rounded up to a power of two; each holds a packet of at most [`PacketCache::SLOT_BYTES`].
    pub fn new(_slots: usize) -> PacketCache {
        todo!()
    }

    /// An Ethernet frame's worth: what a publisher can send without IP fragments.
    pub const SLOT_BYTES: usize = 1_500;

    /// Larger packets are not kept.
    pub fn store(&mut self, _sequence: u16, _packet: &[u8]) {
        todo!()
    }

    pub fn packet(&self, _sequence: u16) -> Option<&[u8]> {
        todo!()
    }

    /// Newest first: how a joiner's picture can start from what is at hand.
    pub fn clear(&mut self) {
        todo!()
    }
}
