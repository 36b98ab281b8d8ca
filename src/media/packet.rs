//! A packet of media between its arrival and its copies.

use super::codec::dependency::Frame;
use super::codec::{Codec, FrameMark, vp8};
use super::pictures::EntryPoint;
use super::rewrite::SourceId;
use super::rtp::Header;

/// A packet of this batch, and what its dependency descriptor says to this worker.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    pub packet: BatchPacket,
    pub dependency: Dependency,
}

/// A packet of this batch that is to be forwarded. Offsets are into the batch's buffer.
#[derive(Clone, Copy, Debug)]
pub struct BatchPacket {
    pub layer: u8,
    pub source: SourceId,
    pub start: usize,
    /// Offset at which the packet ends, without padding.
    pub end: usize,
    pub header: Header,
    /// Sequence number of the header, counted on over its turns.
    pub extended: u64,
    pub codec: Codec,
    /// Subscribers that can begin to decode here.
    pub entry: EntryPoint,
    pub vp8: Option<vp8::Descriptor>,
    /// The layers of its frame, if the packet has no such descriptor, and its payload tells.
    pub mark: Option<FrameMark>,
    /// Whether the packet was missing: newer packets of its stream have come before it.
    pub late: bool,
    /// RTP time of its layer at the beginning of the publisher's wall clock, if reports have told it.
    pub origin: Option<u32>,
    /// Bytes of RTP padding (RFC 3550 §5.1) that make it as long as its neighbours; see [`padding`](super::padding).
    pub padding: u8,
}

/// What a packet's dependency descriptor says.
#[derive(Clone, Copy, Debug)]
pub enum Dependency {
    /// It has none that can be made use of.
    None,
    /// Nobody can say yet: the packet that it goes with is missing.
    Unreadable,
    /// Nobody can say any more: it came late, and goes with a structure that is over.
    Over,
    Frame(Frame),
}

impl BatchPacket {
    /// Whether it has no payload but padding, as a probe for bandwidth.
    pub fn is_empty(&self) -> bool {
        self.start + self.header.len == self.end
    }
}
