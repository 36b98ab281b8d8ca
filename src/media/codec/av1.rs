//! AV1 (RTP Payload Format For AV1, Alliance for Open Media): where a decoder can start.

/// Aggregation header (§4.4): Z, Y, W (two bits), N, reserved.
const CONTINUES_ELEMENT: u8 = 0x80;
const NEW_SEQUENCE: u8 = 0x08;

/// Whether a key frame starts here: in the first packet of a coded video sequence (N), or in one with a sequence
/// header. An encoder repeats that header with each key frame, and some senders leave N clear.
pub(crate) fn starts_key_frame(payload: &[u8]) -> bool {
    let Some((header, elements)) = payload.split_first() else {
        return false;
    };
    if header & CONTINUES_ELEMENT != 0 || elements.is_empty() {
        return false;
    }
    let count = usize::from((header >> 4) & 0x03);
    match has_sequence_header(elements, count) {
        Some(found) => found || header & NEW_SEQUENCE != 0,
        None => false,
    }
}

/// Whether an OBU element is a sequence header. There are `count` elements, the last without a length; or, if
/// `count` is 0, as many as fit, each with a length. `None` if one overruns the packet.
fn has_sequence_header(mut elements: &[u8], count: usize) -> Option<bool> {
    let mut found = false;
    // There can be more than 255 elements, if they are empty and the packet is long.
    let mut read = 0_usize;
    loop {
        read += 1;
        let element;
        if count != 0 && read == count {
            (element, elements) = (elements, &[]);
        } else {
            let (len, rest) = leb128(elements)?;
            (element, elements) = rest.split_at_checked(len)?;
        }
        found |= element
            .first()
            .is_some_and(|obu_header| is_sequence_header(*obu_header));
        if (count == 0 && elements.is_empty()) || (count != 0 && read == count) {
            return Some(found);
        }
    }
}

/// AV1 bitstream specification §5.3.2: a forbidden bit, then the type (four bits).
fn is_sequence_header(obu_header: u8) -> bool {
    const OBU_SEQUENCE_HEADER: u8 = 1;
    (obu_header >> 3) & 0x0F == OBU_SEQUENCE_HEADER
}

/// The number (AV1 bitstream specification §4.10.5), and the bytes after it. `None` if it does not end, or exceeds
/// any packet.
fn leb128(data: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    // Three bytes reach 2 MiB; the specification's eight would only be needed for zero padding.
    for (index, byte) in data.iter().take(3).enumerate() {
        value |= usize::from(byte & 0x7F) << (index * 7);
        if byte & 0x80 == 0 {
            return Some((value, &data[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequence header OBU and the first byte of a frame OBU, as an encoder writes them without size fields.
    const SEQUENCE_HEADER: [u8; 4] = [0x08, 0x00, 0x00, 0x00];
    const FRAME: [u8; 3] = [0x30, 0x10, 0x00];

    fn packet(aggregation_header: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut packet = vec![aggregation_header];
        parts.iter().for_each(|part| packet.extend_from_slice(part));
        packet
    }

    #[test]
    fn a_new_coded_video_sequence_is_a_start() {
        assert!(starts_key_frame(&packet(0x18, &[&FRAME])), "N, one element");
        assert!(
            !starts_key_frame(&packet(0x98, &[&FRAME])),
            "N, but continues an element"
        );
        assert!(!starts_key_frame(&packet(0x10, &[&FRAME])), "a delta frame");
    }

    #[test]
    fn a_sequence_header_is_a_start_without_n() {
        assert!(
            starts_key_frame(&packet(0x20, &[&[4], &SEQUENCE_HEADER, &FRAME])),
            "W = 2"
        );
        assert!(
            starts_key_frame(&packet(0x00, &[&[4], &SEQUENCE_HEADER, &[3], &FRAME])),
            "W = 0"
        );
        assert!(
            starts_key_frame(&packet(0x00, &[&[3], &FRAME, &[4], &SEQUENCE_HEADER])),
            "as a later element"
        );
        assert!(starts_key_frame(&packet(0x10, &[&SEQUENCE_HEADER])), "alone");
        assert!(
            starts_key_frame(&packet(0x20, &[&[0x84, 0x00], &SEQUENCE_HEADER, &FRAME])),
            "a length of two bytes"
        );
        assert!(
            !starts_key_frame(&packet(0x80, &[&[4], &SEQUENCE_HEADER])),
            "bytes that look like one"
        );
    }

    #[test]
    fn any_number_of_elements_is_read() {
        let empty = [0; 1_000];
        assert!(!starts_key_frame(&packet(0x00, &[&empty])));
        assert!(starts_key_frame(&packet(0x00, &[&empty, &[4], &SEQUENCE_HEADER])));
    }

    #[test]
    fn elements_that_overrun_the_packet_start_none() {
        let whole = packet(0x08, &[&[4], &SEQUENCE_HEADER, &[3], &FRAME]);
        for len in 0..whole.len() {
            // A cut between two elements leaves a packet that looks whole to any receiver.
            assert_eq!(starts_key_frame(&whole[..len]), len == 6, "{len} bytes");
        }
        assert!(!starts_key_frame(&packet(0x28, &[&[9], &SEQUENCE_HEADER])));
        assert!(!starts_key_frame(&packet(0x08, &[&[0xff; 9]])), "a length without end");
    }
}
