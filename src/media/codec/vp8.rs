//! VP8 payload descriptor (RFC 7741 §4.2): where a decoder can start, the temporal layer, and the fields that must stay continuous
//! when a subscriber changes to another layer.

use super::mark::FrameMark;

/// The places in the payload of the fields that must stay continuous across layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Descriptor {
    pub picture_id: Option<PictureId>,
    /// The offset of TL0PICIDX and its value.
    pub(crate) tl0_pic_idx: Option<(usize, u8)>,
    /// The offset of KEYIDX and its value (five bits).
    pub(crate) key_index: Option<(usize, u8)>,
    pub mark: Option<FrameMark>,
    /// Bytes of the descriptor. The VP8 payload header follows it.
    pub len: usize,
    pub(crate) starts_partition_zero: bool,
}

/// The PictureID: its offset, its value, and whether it has 15 bits (otherwise 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    pub offset: usize,
    pub long: bool,
    pub value: u16,
}

/// First byte: X, R, N, S, R, PID (three bits).
const EXTENDED: u8 = 0x80;
const START_OF_PARTITION: u8 = 0x10;
const PARTITION_INDEX: u8 = 0x07;

/// Extension byte: I, L, T, K, reserved.
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0_PIC_IDX: u8 = 0x40;
const HAS_TEMPORAL_LAYER: u8 = 0x20;
const HAS_KEY_INDEX: u8 = 0x10;

/// The M bit: a second byte of the PictureID follows.
const LONG_PICTURE_ID: u8 = 0x80;

/// The byte of temporal layer and key index: TID (two bits), Y, KEYIDX (five bits).
const LAYER_SYNC: u8 = 0x20;
const KEY_INDEX: u8 = 0x1f;

/// Values of the fields that must stay continuous, as a copy has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Continuous {
    pub picture_id: u16,
    pub tl0_pic_idx: u8,
    pub key_index: u8,
}

/// Reads the descriptor. `None` if the payload ends within it.
pub fn parse(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut descriptor = Descriptor {
        len: 1,
        starts_partition_zero: first & (START_OF_PARTITION | PARTITION_INDEX) == START_OF_PARTITION,
        ..Descriptor::default()
    };
    if first & EXTENDED == 0 {
        return Some(descriptor);
    }
    let present = *payload.get(1)?;
    let mut offset = 2;
    if present & HAS_PICTURE_ID != 0 {
        let high = *payload.get(offset)?;
        let long = high & LONG_PICTURE_ID != 0;
        let value = if long {
            u16::from_be_bytes([high & !LONG_PICTURE_ID, *payload.get(offset + 1)?])
        } else {
            u16::from(high)
        };
        descriptor.picture_id = Some(PictureId { offset, long, value });
        offset += if long { 2 } else { 1 };
    }
    if present & HAS_TL0_PIC_IDX != 0 {
        descriptor.tl0_pic_idx = Some((offset, *payload.get(offset)?));
        offset += 1;
    }
    // TID and KEYIDX share a byte, which is there if either is.
    if present & (HAS_TEMPORAL_LAYER | HAS_KEY_INDEX) != 0 {
        let byte = *payload.get(offset)?;
        descriptor.key_index = (present & HAS_KEY_INDEX != 0).then_some((offset, byte & KEY_INDEX));
        descriptor.mark = (present & HAS_TEMPORAL_LAYER != 0).then(|| mark(byte));
        offset += 1;
    }
    descriptor.len = offset;
    Some(descriptor)
}

/// The temporal layer in the byte of TID and Y. A picture with Y depends on the newest picture of the lowest layer alone.
fn mark(byte: u8) -> FrameMark {
    let layer = byte >> 6;
    FrameMark {
        temporal: layer,
        opens: if byte & LAYER_SYNC != 0 { 1 << layer } else { 0 },
        ..FrameMark::default()
    }
}

impl Descriptor {
    /// The fields that must stay continuous, 0 for those that it does not have.
    pub(crate) fn continuous(&self) -> Continuous {
        Continuous {
            picture_id: self.picture_id.map_or(0, |id| id.value),
            tl0_pic_idx: self.tl0_pic_idx.map_or(0, |(_, value)| value),
            key_index: self.key_index.map_or(0, |(_, value)| value),
        }
    }

    /// Whether `payload` is the first packet of a key frame: S is set, the partition is 0, and the payload header (RFC 7741
    /// §4.3) has P, the inverse key frame flag, clear.
    pub(crate) fn starts_key_frame(&self, payload: &[u8]) -> bool {
        const INVERSE_KEY_FRAME: u8 = 0x01;
        let payload_header = payload.get(self.len).filter(|_| self.starts_partition_zero);
        payload_header.is_some_and(|payload_header| payload_header & INVERSE_KEY_FRAME == 0)
    }

    /// The height of the pictures, if `payload` is the first packet of a key frame (RFC 6386 §9.1): three bytes of frame tag, the
    /// start code, then width and height with 14 bits each.
    pub(crate) fn height(&self, payload: &[u8]) -> Option<u16> {
        if !self.starts_key_frame(payload) {
            return None;
        }
        match *payload.get(self.len + 3..self.len + 10)? {
            [0x9d, 0x01, 0x2a, _, _, low, high] => Some(u16::from_le_bytes([low, high]) & 0x3fff),
            _ => None,
        }
    }
}

/// Writes new values over the fields found by `descriptor`. A 7-bit picture id takes the low 7 bits.
pub fn rewrite(payload: &mut [u8], descriptor: &Descriptor, new: &Continuous) {
    if let Some(PictureId { offset, long, .. }) = descriptor.picture_id {
        let [high, low] = new.picture_id.to_be_bytes();
        if !long {
            if let Some(field) = payload.get_mut(offset) {
                *field = low & !LONG_PICTURE_ID;
            }
        } else if let Some(field) = payload.get_mut(offset..offset + 2) {
            field.copy_from_slice(&[high | LONG_PICTURE_ID, low]);
        }
    }
    if let Some((offset, _)) = descriptor.tl0_pic_idx
        && let Some(field) = payload.get_mut(offset)
    {
        *field = new.tl0_pic_idx;
    }
    if let Some((offset, _)) = descriptor.key_index
        && let Some(field) = payload.get_mut(offset)
    {
        *field = *field & !KEY_INDEX | new.key_index & KEY_INDEX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts_key_frame(payload: &[u8]) -> bool {
        parse(payload).is_some_and(|descriptor| descriptor.starts_key_frame(payload))
    }

    /// X, S, partition 0; I with 15 bits, L, T, K; then a key frame's payload header.
    const FULL: [u8; 7] = [0x90, 0xf0, 0x92, 0x34, 0x55, 0x80 | 0x03, 0x00];

    #[test]
    fn a_descriptor_with_every_field_is_read() {
        let descriptor = parse(&FULL).unwrap();
        assert_eq!(
            descriptor,
            Descriptor {
                picture_id: Some(PictureId {
                    offset: 2,
                    long: true,
                    value: 0x1234
                }),
                tl0_pic_idx: Some((4, 0x55)),
                key_index: Some((5, 3)),
                mark: Some(super::mark(2 << 6)),
                len: 6,
                starts_partition_zero: true,
            }
        );
    }

    #[test]
    fn optional_fields_shift_what_follows() {
        let bare = parse(&[0x10, 0x00]).unwrap();
        assert_eq!((bare.len, bare.picture_id, bare.tl0_pic_idx), (1, None, None));
        let none_present = parse(&[0x90, 0x00, 0x00]).unwrap();
        assert_eq!((none_present.len, none_present.tl0_pic_idx), (2, None));
        let short_id = parse(&[0x90, 0x80, 0x11, 0x00]).unwrap();
        assert_eq!(short_id.len, 3);
        assert_eq!(
            short_id.picture_id,
            Some(PictureId {
                offset: 2,
                long: false,
                value: 0x11
            })
        );
        let layer_alone = parse(&[0x90, 0x20, 0x7f, 0x00]).unwrap();
        assert_eq!((layer_alone.len, layer_alone.key_index), (3, None));
        assert_eq!(layer_alone.mark, Some(super::mark(1 << 6 | LAYER_SYNC)), "with Y");
        let index_alone = parse(&[0x90, 0x10, 0xdf, 0x00]).unwrap();
        assert_eq!(
            (index_alone.len, index_alone.key_index, index_alone.mark),
            (3, Some((2, 0x1f)), None)
        );
    }

    #[test]
    fn a_key_frame_starts_at_partition_zero_with_p_clear() {
        assert!(starts_key_frame(&FULL));
        assert!(starts_key_frame(&[0x10, 0x00]));
        assert!(!starts_key_frame(&[0x10, 0x01]), "a delta frame");
        assert!(!starts_key_frame(&[0x00, 0x00]), "not the start of a partition");
        assert!(!starts_key_frame(&[0x11, 0x00]), "the start of partition 1");
    }

    #[test]
    fn a_key_frame_tells_its_height_and_nothing_else_does() {
        let frame = [0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x42];
        let height = |payload: &[u8]| parse(payload).and_then(|descriptor| descriptor.height(payload));
        assert_eq!(height(&frame), Some(720), "the two upper bits are the scale");
        for len in 0..frame.len() {
            assert_eq!(height(&frame[..len]), None, "{len} bytes");
        }
        for at in [0, 1, 4, 5, 6] {
            let mut other = frame;
            other[at] ^= 1;
            assert_eq!(height(&other), None, "byte {at}");
        }
    }

    #[test]
    fn a_payload_cut_within_its_descriptor_is_refused() {
        for len in 0..FULL.len() - 1 {
            assert_eq!(parse(&FULL[..len]), None, "{len} bytes");
            assert!(!starts_key_frame(&FULL[..len]), "{len} bytes");
        }
        assert!(parse(&FULL[..6]).is_some());
        assert!(!starts_key_frame(&FULL[..6]), "no payload header");
    }

    fn new(picture_id: u16, tl0_pic_idx: u8, key_index: u8) -> Continuous {
        Continuous {
            picture_id,
            tl0_pic_idx,
            key_index,
        }
    }

    #[test]
    fn rewriting_changes_those_fields_and_no_others() {
        let mut payload = FULL;
        rewrite(&mut payload, &parse(&FULL).unwrap(), &new(0x7fff, 0xee, 0xf4));
        assert_eq!(payload, [0x90, 0xf0, 0xff, 0xff, 0xee, 0x94, 0x00]);
        rewrite(&mut payload, &parse(&FULL).unwrap(), &new(5, 6, 7));
        assert_eq!(parse(&payload).unwrap().picture_id.unwrap().value, 5);

        let mut short = [0x90, 0x80, 0x11, 0xff];
        let described = parse(&short).unwrap();
        rewrite(&mut short, &described, &new(0x1285, 9, 9));
        assert_eq!(short, [0x90, 0x80, 0x05, 0xff]);

        let mut bare = [0x10, 0x00];
        let described = parse(&bare).unwrap();
        rewrite(&mut bare, &described, &new(1, 2, 3));
        assert_eq!(bare, [0x10, 0x00]);
    }

    #[test]
    fn rewriting_a_payload_that_is_shorter_than_described_does_nothing() {
        let mut short = [0x90, 0xf0, 0x92];
        rewrite(&mut short, &parse(&FULL).unwrap(), &new(1, 2, 3));
        assert_eq!(short, [0x90, 0xf0, 0x92]);
    }
}
