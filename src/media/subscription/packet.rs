//! A packet that is about to be written: its parts, and how its payload and padding are written.

use smallvec::SmallVec;

use crate::media::codec::red::{self, Earlier};
use crate::media::codec::vp8;
use crate::media::redundancy::DISTANCE_MAX;
use crate::media::rtp::Header;

/// Room for the blocks of one packet.
pub(super) type Blocks<'a> = [Earlier<'a>; DISTANCE_MAX];

/// The payload types under which a copy can have earlier sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RedTypes {
    pub(super) red: u8,
    pub(super) opus: u8,
}

/// Earlier sound in a packet, oldest first, and its payload type.
#[derive(Clone, Copy)]
pub(super) struct Repeats<'a> {
    pub(super) blocks: &'a [Earlier<'a>],
    pub(super) payload_type: u8,
}

impl OutgoingPacket<'_> {
    pub(super) fn payload_len(&self) -> usize {
        match &self.repeats {
            Some(repeats) => red::len(repeats.blocks, self.payload),
            None => self.payload.len(),
        }
    }

    /// Writes the payload into `room`, which is as long as it.
    pub(super) fn write_payload(&self, room: &mut [u8]) -> Option<()> {
        match &self.repeats {
            Some(repeats) => red::write(room, repeats.payload_type, repeats.blocks, self.payload),
            None => {
                room.copy_from_slice(self.payload);
                Some(())
            }
        }
    }
}

/// Room for the dependency descriptor of one packet.
pub(super) type DescriptorRoom = SmallVec<[u8; 256]>;

/// The place of a packet in the stream of retransmissions.
#[derive(Clone, Copy)]
pub(super) struct Rtx {
    pub(super) payload_type: u8,
    pub(super) index: u64,
    /// Whether it repeats a packet: then that packet's number comes before the payload (RFC 4588 §4). A packet of padding alone
    /// repeats none.
    pub(super) repeats: bool,
}

/// What a copy does with a packet because of its frame's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Takes,
    /// It takes it, as the last of its picture, which is not the last one that the publisher sends.
    TakesAsLast,
    LeavesOut,
}

#[derive(Clone, Copy)]
pub(super) struct OutgoingPacket<'a> {
    pub(super) header: &'a Header,
    pub(super) packet: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) payload_type: u8,
    pub(super) padding: u8,
    pub(super) vp8: Option<&'a vp8::Descriptor>,
    /// The copy's dependency descriptor, and its id.
    pub(super) descriptor: Option<(u8, &'a [u8])>,
    /// Whether it is the last of what its subscriber gets of its picture, and the publisher's marker may come later.
    pub(super) is_last: bool,
    /// Earlier sound that goes with the payload.
    pub(super) repeats: Option<Repeats<'a>>,
    /// Whether sound was left out before it.
    pub(super) after_pause: bool,
}

/// Pads a packet (RFC 3550 §5.1): sets the P bit, and writes the number of padding bytes into the last of them.
pub(super) fn pad(packet: &mut [u8], end: usize, padding: u8) {
    packet[0] |= 0x20;
    let room = &mut packet[end..end + usize::from(padding)];
    room.fill(0);
    room[usize::from(padding) - 1] = padding;
}
