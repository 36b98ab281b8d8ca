//! Writes the descriptor of a subscriber's copy of a packet.

use std::num::NonZeroU32;

use super::bits::{BitReader, BitWriter};
use super::reader::{DESCRIPTOR_BYTES, Frame};

/// Bytes that a mask adds at most: flags and 32 targets.
pub const GROWTH: usize = 5;

/// Writes `descriptor`, which was read as `frame`, into `out`, so that it says that the frame has this number, and that the targets in
/// `active` (bits) are active, if there is such a mask; and else the same. Returns its length: at most [`GROWTH`] more than before.
/// `None` if `out` is too small, or if no header extension can be so long.
pub fn write(
    descriptor: &[u8],
    frame: &Frame,
    number: u16,
    active: Option<NonZeroU32>,
    out: &mut [u8],
) -> Option<usize> {
    let len = match active {
        Some(active) => write_mask(descriptor, frame, active.get(), out)?,
        None => {
            out.get_mut(..descriptor.len())?.copy_from_slice(descriptor);
            descriptor.len()
        }
    };
    out.get_mut(1..3)?.copy_from_slice(&number.to_be_bytes());
    Some(len)
}

fn write_mask(descriptor: &[u8], frame: &Frame, active: u32, out: &mut [u8]) -> Option<usize> {
    const HEAD: u16 = 24;
    const HAS_MASK: u32 = 0b01000;
    let layout = frame.layout;
    let mut from = BitReader::new(descriptor);
    let mut to = BitWriter::new(out);
    to.copy(&mut from, HEAD)?;
    let flags = if layout.mask > HEAD { from.number(5)? } else { 0 };
    to.number(flags | HAS_MASK, 5)?;
    to.copy(&mut from, layout.mask)?;
    to.number(active, u32::from(layout.targets))?;
    from.go_to(layout.after_mask);
    to.copy(&mut from, layout.end)?;
    Some(to.len()).filter(|&len| len <= DESCRIPTOR_BYTES)
}
