//! RED, redundant audio (RFC 2198): for subscribers that did not negotiate it, the primary encoding alone.

/// The payload type of the block with the newest audio, and its place in `payload`. `None` if malformed.
pub fn primary(payload: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    /// §3: this bit says that another block header follows.
    const FOLLOWED: u8 = 0x80;
    let mut offset = 0;
    let mut redundant_bytes = 0;
    loop {
        let head = *payload.get(offset)?;
        if head & FOLLOWED == 0 {
            // The primary's header is one byte. Its data is all that is left after the redundant blocks.
            let start = offset + 1 + redundant_bytes;
            return (start < payload.len()).then_some((head, start..payload.len()));
        }
        // F, payload type, timestamp offset (14 bits), length (10 bits).
        let header = payload.get(offset..)?.first_chunk::<4>()?;
        redundant_bytes += usize::from(u16::from_be_bytes([header[2], header[3]]) & 0x03FF);
        offset += 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two redundant blocks of three and one bytes, then the primary, all of payload type 111.
    const TWO_REDUNDANT: [u8; 15] = [0xef, 0x1e, 0x00, 0x03, 0xef, 0x0f, 0x00, 0x01, 0x6f, 1, 1, 1, 2, 3, 3];

    #[test]
    fn the_primary_block_is_the_last_one() {
        assert_eq!(primary(&TWO_REDUNDANT), Some((111, 13..15)));
        assert_eq!(primary(&[0x6f, 9, 9]), Some((111, 1..3)));
        assert_eq!(
            primary(&[0xef, 0, 0, 0, 0x6f, 9]),
            Some((111, 5..6)),
            "an empty redundant block"
        );
    }

    #[test]
    fn the_timestamp_offset_is_not_taken_for_length() {
        // Offset 0x3fff, length 1.
        assert_eq!(primary(&[0xef, 0xff, 0xfc, 0x01, 0x6f, 7, 8]), Some((111, 6..7)));
    }

    #[test]
    fn truncated_packets_are_refused() {
        for len in 0..TWO_REDUNDANT.len() - 1 {
            assert_eq!(primary(&TWO_REDUNDANT[..len]), None, "{len} bytes");
        }
        assert_eq!(primary(&[0xff; 64]), None, "headers without end");
        assert_eq!(primary(&[0x6f]), None, "no audio at all");
    }
}
