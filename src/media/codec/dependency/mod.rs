//! The dependency descriptor: a header extension in which a sender says of each packet to which frame it belongs, on which frames
//! that one depends, and which parts of the stream (*decode targets*) need it. Format: "RTP Payload Format For AV1", Appendix A,
//! <https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension>. It serves all codecs, and streams
//! that are encrypted from end to end. Everything here is pure, and allocates only for a stream's first structure.
//!
//! 1. A layer of a track has one [`Stream`] for each SSRC that it receives. [`Stream::read`] makes a [`Frame`] of each packet's descriptor.
//!    Without the structure, which comes with key frames, nothing can be read: [`Unreadable::UnknownStructure`]. Such a packet is to
//!    be treated as one that has not come yet, because the packet with the structure may be resent. Nobody gets it now, no selection
//!    is asked about it, and its number stays open. If it stays so, a key frame helps. A late packet of a structure that is over
//!    ([`Unreadable::OldStructure`]) is to be left out.
//! 2. A subscription has one [`Selection`]. [`Selection::select`] says what to do with the packet: a [`Decision`]. For a packet that
//!    is resent, [read](Stream::read_again) its descriptor again and ask again: the answer is the same as at first, except that frames
//!    which cannot be decoded any more, because one that they need was lost, are not forwarded again. A selection must know of all
//!    that its subscriber does not get: after a pause, and with another stream, it [begins anew](Selection::begin_anew). It takes 3
//!    KiB, so it is for subscriptions of streams that have descriptors, and no others.
//! 3. [`write`] writes the descriptor of the subscriber's copy. Numbers of frames have a constant offset from one beginning to the
//!    next: descriptors have distances only, and nothing else is left to be rewritten.

mod bits;
mod history;
mod reader;
mod selection;
mod structure;
mod writer;

pub use self::reader::{DESCRIPTOR_BYTES, Frame, Stream, Unreadable};
pub use self::selection::{Arrival, Decision, Selection};
pub use self::structure::{Indications, Structure};
pub use self::writer::{GROWTH, write};

#[cfg(test)]
mod tests;
