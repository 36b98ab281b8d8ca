//! VP9 payload descriptor (RFC 9628 §4.2): where a decoder can start, the layers, and how large the pictures are.

use super::mark::{FrameMark, SPATIAL_LAYERS};

/// First byte: I, P, L, F, B, E, V, Z.
const HAS_PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const START_OF_FRAME: u8 = 0x08;
const END_OF_FRAME: u8 = 0x04;
const HAS_SCALABILITY_STRUCTURE: u8 = 0x02;

/// Whether a key frame starts here: it starts a frame (B) that is not predicted from another picture (P clear), in
/// the lowest spatial layer, from which the layers above are predicted.
pub(crate) fn starts_key_frame(payload: &[u8]) -> bool {
    let Some(first) = payload.first() else {
        return false;
    };
    first & (INTER_PREDICTED | START_OF_FRAME) == START_OF_FRAME
        && parse(payload).is_some_and(|descriptor| descriptor.spatial_layer == 0 && descriptor.len < payload.len())
}

/// The layers of the frame, if the payload has layer indices: TID (three bits), U, SID (three bits), D. At a picture with U (switching
/// up point) the temporal layers above its own can be begun. D says that the frame depends on that of the next lower spatial layer.
pub(crate) fn mark(payload: &[u8]) -> Option<FrameMark> {
    const SWITCHING_UP_POINT: u8 = 0x10;
    const INTER_LAYER_DEPENDENCY: u8 = 0x01;
    let (first, rest) = payload.split_first()?;
    if first & HAS_LAYERS == 0 {
        return None;
    }
    let indices = *skip_picture_id(*first, rest)?.first()?;
    let layer = indices >> 5;
    let above = u8::MAX.checked_shl(u32::from(layer) + 1).unwrap_or(0);
    Some(FrameMark {
        temporal: layer,
        opens: if indices & SWITCHING_UP_POINT != 0 { above } else { 0 },
        spatial: (indices >> 1) & 0x07,
        is_predicted: first & INTER_PREDICTED != 0,
        uses_lower: indices & INTER_LAYER_DEPENDENCY != 0,
        ends: first & END_OF_FRAME != 0,
    })
}

/// The heights of the pictures, one for each spatial layer, if the payload begins a key frame and has a scalability structure that
/// tells them (RFC 9628 §4.2.1).
pub(crate) fn heights(payload: &[u8]) -> Option<[Option<u16>; SPATIAL_LAYERS]> {
    const HAS_SIZES: u8 = 0x10;
    let first = *payload.first()?;
    if first & HAS_SCALABILITY_STRUCTURE == 0 || first & INTER_PREDICTED != 0 {
        return None;
    }
    let (_, structure) = skip_layer_indices(first, payload.get(1..)?)?;
    let (head, sizes) = structure.split_first()?;
    let count = usize::from(head >> 5) + 1;
    let sizes = sizes.get(..count * 4).filter(|_| head & HAS_SIZES != 0)?;
    // Width and height of each, with 16 bits.
    let mut heights = sizes.chunks_exact(4).map(|size| u16::from_be_bytes([size[2], size[3]]));
    Some(std::array::from_fn(|_| heights.next().filter(|&height| height > 0)))
}

/// The bytes after the picture id, where there is one.
fn skip_picture_id(first: u8, rest: &[u8]) -> Option<&[u8]> {
    const LONG_PICTURE_ID: u8 = 0x80;
    match first & HAS_PICTURE_ID != 0 {
        true => rest.get(if rest.first()? & LONG_PICTURE_ID != 0 { 2 } else { 1 }..),
        false => Some(rest),
    }
}

struct Descriptor {
    /// The spatial layer; 0 also where there are no layer indices.
    spatial_layer: u8,
    len: usize,
}

/// Reads the descriptor. `None` if the payload ends within it. Only for frames with P clear: the others may have
/// reference indices (P_DIFF), which are not skipped here.
fn parse(payload: &[u8]) -> Option<Descriptor> {
    let (first, rest) = payload.split_first()?;
    let (spatial_layer, mut rest) = skip_layer_indices(*first, rest)?;
    if first & HAS_SCALABILITY_STRUCTURE != 0 {
        rest = skip_scalability_structure(rest)?;
    }
    Some(Descriptor {
        spatial_layer,
        len: payload.len() - rest.len(),
    })
}

/// The spatial layer, and the bytes after picture id and layer indices. Without layer indices it is 0.
fn skip_layer_indices(first: u8, rest: &[u8]) -> Option<(u8, &[u8])> {
    let rest = skip_picture_id(first, rest)?;
    if first & HAS_LAYERS == 0 {
        return Some((0, rest));
    }
    // TL0PICIDX follows, which the flexible mode does not have.
    let spatial_layer = (rest.first()? >> 1) & 0x07;
    Some((spatial_layer, rest.get(if first & FLEXIBLE != 0 { 1 } else { 2 }..)?))
}

/// The bytes after the scalability structure. RFC 9628 §4.2.1: N_S (three bits), Y, G; sizes of N_S + 1 layers if
/// Y; a picture group if G.
fn skip_scalability_structure(data: &[u8]) -> Option<&[u8]> {
    let (head, mut rest) = data.split_first()?;
    let layers = usize::from(head >> 5) + 1;
    if head & 0x10 != 0 {
        rest = rest.get(layers * 4..)?;
    }
    if head & 0x08 != 0 {
        let (pictures, mut group) = rest.split_first()?;
        for _ in 0..*pictures {
            // TID (three bits), U, R (two bits): R bytes of P_DIFF follow.
            let references = usize::from((group.first()? >> 2) & 0x03);
            group = group.get(1 + references..)?;
        }
        rest = group;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I with 15 bits, L, B, V; layer indices all 0 and TL0PICIDX; a structure of two layers with sizes and a group
    /// of two pictures; then the frame.
    const SCALABLE_KEY_FRAME: [u8; 21] = [
        0xaa, 0x81, 0x02, 0x00, 0x07, // descriptor
        0x38, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68, // N_S = 1, Y, G; 320 x 180, 640 x 360
        0x02, 0x04, 0x01, 0x48, 0x01, 0x02, // two pictures, one and two references
        0x82, // frame
    ];

    #[test]
    fn an_unpredicted_frame_of_the_lowest_layer_starts_a_key_frame() {
        assert!(starts_key_frame(&SCALABLE_KEY_FRAME));
        assert!(starts_key_frame(&[0x8c, 0x11, 0x82]), "7-bit picture id, no layers");
        assert!(starts_key_frame(&[0x08, 0x82]), "nothing optional");
        assert!(starts_key_frame(&[0x38, 0x00, 0x82]), "flexible mode has no TL0PICIDX");
    }

    #[test]
    fn other_packets_start_none() {
        assert!(!starts_key_frame(&[0xcc, 0x11, 0x82]), "predicted");
        assert!(!starts_key_frame(&[0x84, 0x11, 0x82]), "not the start of a frame");
        assert!(
            !starts_key_frame(&[0x28, 0x03, 0x07, 0x82]),
            "spatial layer 1 of a key picture"
        );
        assert!(
            !starts_key_frame(&[0x28, 0x08, 0x07, 0x82]),
            "a layer that nobody sends"
        );
        assert!(
            starts_key_frame(&[0x28, 0x30, 0x07, 0x82]),
            "a temporal layer is none of space"
        );
    }

    #[test]
    fn the_temporal_layer_is_read_and_a_switching_up_point_opens_those_above() {
        let temporal = |payload: &[u8]| mark(payload).map(|mark| (mark.temporal, mark.opens));
        assert_eq!(temporal(&SCALABLE_KEY_FRAME), Some((0, 0)));
        assert_eq!(temporal(&[0xac, 0x11, 0x50, 0x07]), Some((2, 0xf8)), "U");
        assert_eq!(temporal(&[0x28, 0x13, 0x07]), Some((0, 0xfe)), "of any spatial layer");
        assert_eq!(temporal(&[0x28, 0xf0, 0x07]), Some((7, 0)), "there is none above");
        assert_eq!(temporal(&[0x38, 0x20]), Some((1, 0)), "flexible mode");
        assert_eq!(temporal(&[0x8c, 0x11, 0x50]), None, "no layer indices");
        for len in 0..=3 {
            assert_eq!(temporal(&SCALABLE_KEY_FRAME[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_frame_tells_its_spatial_layer_and_what_it_depends_on() {
        let spatial = |payload: &[u8]| {
            let mark = mark(payload).unwrap();
            (mark.spatial, mark.is_predicted, mark.uses_lower, mark.ends)
        };
        assert_eq!(spatial(&SCALABLE_KEY_FRAME), (0, false, false, false));
        assert_eq!(
            spatial(&[0x2c, 0x03, 0x07, 0x82]),
            (1, false, true, true),
            "of a key picture"
        );
        assert_eq!(
            spatial(&[0x68, 0x04, 0x07, 0x82]),
            (2, true, false, false),
            "later, as K-SVC has it"
        );
        assert_eq!(spatial(&[0x74, 0x0f, 0x82]), (7, true, true, true), "flexible mode");
    }

    #[test]
    fn heights_are_those_of_the_structure_of_a_key_frame() {
        assert_eq!(heights(&SCALABLE_KEY_FRAME), Some([Some(180), Some(360), None, None]));
        for len in 0..14 {
            assert_eq!(heights(&SCALABLE_KEY_FRAME[..len]), None, "{len} bytes");
        }
        let changed = |at: usize, value: u8| {
            let mut payload = SCALABLE_KEY_FRAME;
            payload[at] = value;
            heights(&payload)
        };
        assert_eq!(changed(0, 0xea), None, "no key frame");
        assert_eq!(changed(5, 0x28), None, "no sizes");
        assert_eq!(changed(5, 0xf8), None, "eight sizes, which are not there");
        assert_eq!(changed(9, 0), Some([None, Some(360), None, None]), "no size");
    }

    #[test]
    fn a_payload_cut_within_its_descriptor_starts_none() {
        for len in 0..SCALABLE_KEY_FRAME.len() {
            assert!(!starts_key_frame(&SCALABLE_KEY_FRAME[..len]), "{len} bytes");
        }
    }
}
