//! RED, redundant audio (RFC 2198): for subscribers that did not negotiate it, the primary encoding alone.

/// The block with the newest audio: its payload type and where it stands in `payload`. `None` if malformed.
pub fn primary(_payload: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    todo!()
}
