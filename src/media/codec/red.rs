//! RED, redundant audio (RFC 2198): a packet repeats the audio of packets before it. For subscribers that did not negotiate it,
//! the primary encoding is taken out; for subscribers that lose packets, earlier audio is put in.

/// Bytes of the longest block of earlier audio: its length has ten bits (§3).
pub const BLOCK_BYTES_MAX: usize = 0x03FF;
/// The greatest age of a block, in RTP time before its packet: the offset has fourteen bits (§3).
pub const AGE_MAX: u32 = 0x3FFF;

/// §3: this bit says that another block header follows.
const FOLLOWED: u8 = 0x80;

/// Audio of an earlier packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// RTP time from it to the packet that repeats it, at most [`AGE_MAX`].
    pub age: u32,
    /// At most [`BLOCK_BYTES_MAX`].
    pub audio: &'a [u8],
}

/// Bytes of a payload that has `primary` and these blocks.
pub fn len(earlier: &[Earlier<'_>], primary: &[u8]) -> usize {
    let blocks: usize = earlier.iter().map(|block| 4 + block.audio.len()).sum();
    blocks + 1 + primary.len()
}

/// Fills `out`, which has [`len`] bytes, with a payload: the earlier audio, oldest first, and `primary`, all of them of this
/// payload type. `None` if a block or the room does not fit.
pub fn write(out: &mut [u8], payload_type: u8, earlier: &[Earlier<'_>], primary: &[u8]) -> Option<()> {
    let mut rest = out;
    for block in earlier {
        if block.age > AGE_MAX || block.audio.len() > BLOCK_BYTES_MAX {
            return None;
        }
        let (header, after) = rest.split_first_chunk_mut::<4>()?;
        let fields = block.age << 10 | block.audio.len() as u32;
        *header = (u32::from(FOLLOWED | payload_type) << 24 | fields).to_be_bytes();
        rest = after;
    }
    let (last, mut rest) = rest.split_first_mut()?;
    *last = payload_type & !FOLLOWED;
    for audio in earlier.iter().map(|block| block.audio).chain([primary]) {
        let (place, after) = rest.split_at_mut_checked(audio.len())?;
        place.copy_from_slice(audio);
        rest = after;
    }
    rest.is_empty().then_some(())
}

/// The payload type of the block with the newest audio, and its place in `payload`. `None` if malformed.
pub fn primary(payload: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
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
    fn what_is_written_is_as_in_the_rfc_and_its_primary_is_found() {
        let earlier = [
            Earlier {
                age: 1_920,
                audio: &[1, 1, 1],
            },
            Earlier { age: 960, audio: &[2] },
        ];
        let mut out = vec![0; len(&earlier, &[3, 3])];
        write(&mut out, 111, &earlier, &[3, 3]).unwrap();
        assert_eq!(
            out,
            [0xef, 0x1e, 0x00, 0x03, 0xef, 0x0f, 0x00, 0x01, 0x6f, 1, 1, 1, 2, 3, 3]
        );
        assert_eq!(out, TWO_REDUNDANT);
        let mut alone = [0; 3];
        write(&mut alone, 111, &[], &[7, 8]).unwrap();
        assert_eq!(alone, [0x6f, 7, 8]);
    }

    #[test]
    fn blocks_that_no_header_can_describe_are_not_written() {
        let long = [5; BLOCK_BYTES_MAX + 1];
        let fits = |age, audio: &[u8]| {
            let earlier = [Earlier { age, audio }];
            let mut out = vec![0; len(&earlier, &[1])];
            write(&mut out, 111, &earlier, &[1]).map(|()| primary(&out))
        };
        assert!(fits(AGE_MAX, &long[..BLOCK_BYTES_MAX]).is_some_and(|found| found.is_some()));
        assert_eq!(fits(AGE_MAX + 1, &[1]), None);
        assert_eq!(fits(1, &long), None);
        assert_eq!(write(&mut [0; 3], 111, &[], &[1, 2, 3]), None, "no room");
        assert_eq!(write(&mut [0; 9], 111, &[], &[1, 2, 3]), None, "too much room");
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
