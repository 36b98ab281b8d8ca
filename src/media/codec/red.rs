//! RED, redundant audio (RFC 2198): a packet repeats the audio of packets before it. What publishers send is taken apart; for
//! subscribers that lose packets, earlier audio is put in.

use std::ops::Range;

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

/// Blocks of earlier audio that are read: as many as browsers send at most.
const BLOCKS_MAX: usize = 3;

/// A block of earlier audio, as its packet describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub payload_type: u8,
    /// RTP time from it to the packet that repeats it.
    pub age: u32,
    /// Its audio's place in the payload.
    pub audio: Range<usize>,
}

/// The newest blocks of earlier audio in a payload whose [`primary`] is known, the newest first.
pub fn earlier(payload: &[u8], primary: &Range<usize>) -> impl Iterator<Item = Block> {
    let mut blocks: [Block; BLOCKS_MAX] = Default::default();
    let mut count = 0;
    let heads = payload.chunks_exact(4).take_while(|head| head[0] & FOLLOWED != 0);
    for head in heads.filter_map(|head| head.first_chunk::<4>()) {
        let fields = u32::from_be_bytes(*head);
        blocks.rotate_right(1);
        blocks[0] = Block {
            payload_type: head[0] & !FOLLOWED,
            age: fields >> 10 & AGE_MAX,
            audio: 0..fields as usize & BLOCK_BYTES_MAX,
        };
        count += 1;
    }
    let mut end = primary.start;
    blocks.into_iter().take(count).map(move |block| {
        let start = end - block.audio.len();
        let audio = start..std::mem::replace(&mut end, start);
        Block { audio, ..block }
    })
}

/// The payload type of the block with the newest audio, and its place in `payload`. `None` if malformed.
pub fn primary(payload: &[u8]) -> Option<(u8, Range<usize>)> {
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
    fn earlier_blocks_are_found_the_newest_first() {
        let block = |age, audio| Block {
            payload_type: 111,
            age,
            audio,
        };
        let found = |payload: &[u8]| -> Vec<Block> {
            let (_, primary) = primary(payload).unwrap();
            earlier(payload, &primary).collect()
        };
        assert_eq!(found(&TWO_REDUNDANT), [block(960, 12..13), block(1_920, 9..12)]);
        assert_eq!(found(&[0x6f, 9, 9]), []);
        assert_eq!(
            found(&[0xef, 0, 0, 0, 0x6f, 9]),
            [block(0, 5..5)],
            "an empty redundant block"
        );
        let many: Vec<u8> = (0..9)
            .flat_map(|age| [0xef, age, 0, 1])
            .chain([0x6f])
            .chain(0..10)
            .collect();
        assert_eq!(
            found(&many),
            [block(512, 45..46), block(448, 44..45), block(384, 43..44)],
            "the newest of many"
        );
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
