//! Writes a descriptor anew, with a mask of active targets.

use super::bits::{BitReader, BitWriter};
use super::reader::{DESCRIPTOR_BYTES, Frame};

/// Bytes that a mask adds at most: flags and 32 targets.
pub const GROWTH: usize = 5;

/// Bytes of the longest value that an extension of one-byte form can have (RFC 8285 §4.2). A longer descriptor needs the two-byte
/// form.
pub const ONE_BYTE_FORM: usize = 16;

/// Writes `descriptor`, which was read as `frame`, into `out`, so that it says that the targets in `active` (bits) are active, and
/// else the same. Returns its length: at most [`GROWTH`] more than before. `None` if `out` is too small, or if no header extension can be
/// so long.
pub fn with_active(descriptor: &[u8], frame: &Frame, active: u32, out: &mut [u8]) -> Option<usize> {
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
