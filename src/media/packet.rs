//! A packet of media between its arrival and its copies.

use super::codec::{Codec, vp8};
use super::pictures::Entry;
use super::rewrite::SourceId;
use super::rtp::Header;

/// A packet of this batch that is to be forwarded. Offsets are into the batch's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub layer: u8,
    pub source: SourceId,
    pub start: usize,
    /// Where the packet ends, padding removed.
    pub end: usize,
    pub header: Header,
    /// The header's sequence number, counted on over its turns.
    pub extended: u64,
    pub codec: Codec,
    /// Who can begin to decode here.
    pub entry: Entry,
    pub vp8: Option<vp8::Descriptor>,
    /// It was missing: newer packets of its stream have come before it.
    pub late: bool,
    /// RTP padding (RFC 3550 §5.1) that makes it as long as its neighbours; see [`padding`](super::padding).
    pub padding: u8,
}

impl Arrival {
    /// Whether nothing was in it but padding, as in a probe for bandwidth.
    pub fn is_empty(&self) -> bool {
        self.start + self.header.len == self.end
    }
}
