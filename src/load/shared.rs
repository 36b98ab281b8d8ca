//! What all connections of the tester share, and what each does with a packet.

use std::time::Instant;

use super::figures::Totals;
use super::pattern::Mark;
use super::reception::Counts;
use super::source::{Source, marked_from};
use crate::media::codec::Kind;
use crate::media::peer::srtp::{Inbound, Rejected};
use crate::media::rtp::Header;

/// The SSRC in reports of a client that sends nothing.
pub(super) const REPORTER: u32 = 1;
/// Streams of one connection: more than a meeting's, and a bound on what a server can make us keep.
pub(super) const STREAMS_MAX: usize = 512;

/// What all connections share: the sources of what they send, and the sums of what they receive.
pub(crate) struct Shared {
    pub(crate) sources: Vec<Source>,
    pub(crate) totals: Totals,
    pub(crate) verify_every: u64,
}

/// The time of a datagram's arrival: on the tester's clock, and in microseconds on the clock of send times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) wall_us: u64,
}

/// Opens a packet in place, and returns its length. Counts one that cannot be opened.
pub(super) fn open(inbound: &mut Inbound, datagram: &mut [u8], header: &Header, counts: &mut Counts) -> Option<usize> {
    match inbound.open_rtp(datagram, header) {
        Ok(len) => return Some(len),
        Err(Rejected::Replayed) => counts.duplicates += 1,
        Err(_) => counts.corrupt += 1,
    }
    None
}

/// Whether a packet was sent since the counting began. Sources that began later count from their first packet.
pub(super) fn counts(since: &[u64], source: u32, number: u64) -> bool {
    since.get(source as usize).is_none_or(|since| number >= *since)
}

/// The kind and the mark of an opened packet's payload, and whether all of it is as it was sent. `None` for packets that are
/// not the tester's media.
pub(super) fn media(payload: &[u8]) -> Option<(Kind, Mark, bool)> {
    // Audio begins with the Opus byte of the tester's packets; anything else is video.
    let kinds = [Kind::Audio, Kind::Video];
    kinds.into_iter().find_map(|kind| {
        let (mark, intact) = Mark::read(payload.get(marked_from(kind, payload)?..)?)?;
        Some((kind, mark, intact))
    })
}
