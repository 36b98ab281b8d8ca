//! H.265 (RFC 7798): where a decoder can start.

/// NAL unit types (ITU-T H.265 table 7-1) and packet types (RFC 7798 §4.4).
const FIRST_IRAP: u8 = 16;
const LAST_IRAP: u8 = 21;
const VIDEO_PARAMETER_SET: u8 = 32;
const SEQUENCE_PARAMETER_SET: u8 = 33;
const AGGREGATION_PACKET: u8 = 48;
const FRAGMENTATION_UNIT: u8 = 49;

/// A video or sequence parameter set, or a slice of an intra random access point (BLA, IDR, CRA) where the parameter
/// sets were sent before it. Decoding order numbers (DONL) are not negotiated and not looked for.
pub fn starts_key_frame(payload: &[u8]) -> bool {
    // RFC 7798 §1.1.4: F, type (six bits), layer id (six bits), TID (three bits).
    let [header, _, body @ ..] = payload else {
        return false;
    };
    match (*header >> 1) & 0x3F {
        AGGREGATION_PACKET => aggregate_starts_here(body),
        FRAGMENTATION_UNIT => match body {
            // RFC 7798 §4.4.3: S, E, and the type of the fragmented unit.
            [fu_header, _, ..] => fu_header & 0x80 != 0 && starts_here(fu_header & 0x3F),
            _ => false,
        },
        nal_type => starts_here(nal_type) && !body.is_empty(),
    }
}

fn starts_here(nal_type: u8) -> bool {
    matches!(
        nal_type,
        FIRST_IRAP..=LAST_IRAP | VIDEO_PARAMETER_SET | SEQUENCE_PARAMETER_SET
    )
}

/// RFC 7798 §4.4.2: units, each after its size of two bytes.
fn aggregate_starts_here(mut units: &[u8]) -> bool {
    let mut found = false;
    while let [high, low, rest @ ..] = units {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((unit, rest)) = rest.split_at_checked(size) else {
            return false;
        };
        let [header, _, ..] = unit else {
            return false;
        };
        found |= starts_here((header >> 1) & 0x3F);
        units = rest;
    }
    found && units.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(nal_type: u8) -> [u8; 4] {
        [nal_type << 1, 0x01, 0xaa, 0xbb]
    }

    #[test]
    fn parameter_sets_and_random_access_points_start_a_key_frame() {
        for nal_type in 0..48 {
            let expected = (16..=21).contains(&nal_type) || nal_type == 32 || nal_type == 33;
            assert_eq!(starts_key_frame(&unit(nal_type)), expected, "type {nal_type}");
        }
    }

    #[test]
    fn an_aggregate_starts_one_if_a_unit_of_it_does() {
        assert!(
            starts_key_frame(&[0x60, 1, 0, 3, 0x40, 1, 0x0c, 0, 3, 0x42, 1, 1]),
            "VPS and SPS"
        );
        assert!(
            starts_key_frame(&[0x60, 1, 0, 3, 0x4e, 1, 5, 0, 3, 0x26, 1, 0xaf]),
            "SEI and IDR"
        );
        assert!(
            !starts_key_frame(&[0x60, 1, 0, 3, 0x4e, 1, 5, 0, 3, 0x02, 1, 0xd0]),
            "SEI and delta slice"
        );
    }

    #[test]
    fn only_the_first_fragment_starts_one() {
        assert!(starts_key_frame(&[0x62, 1, 0x80 | 19, 0xaf]));
        assert!(!starts_key_frame(&[0x62, 1, 19, 0xaf]), "middle");
        assert!(!starts_key_frame(&[0x62, 1, 0x40 | 19, 0xaf]), "end");
        assert!(
            !starts_key_frame(&[0x62, 1, 0x80 | 1, 0xaf]),
            "first fragment of a delta slice"
        );
    }

    #[test]
    fn truncated_packets_start_none() {
        for packet in [&[0x26, 1, 0xaf][..], &[0x62, 1, 0x80 | 19, 0xaf]] {
            for len in 0..packet.len() {
                assert!(!starts_key_frame(&packet[..len]), "{:?}", &packet[..len]);
            }
        }
        let aggregate = [0x60, 1, 0, 3, 0x40, 1, 0x0c, 0, 3, 0x42, 1, 1];
        for len in 0..aggregate.len() {
            // A cut between two units leaves a whole packet, for all that a receiver can tell.
            assert_eq!(starts_key_frame(&aggregate[..len]), len == 7, "{len} bytes");
        }
        assert!(
            !starts_key_frame(&[0x60, 1, 0, 1, 0x40, 0, 3, 0x42, 1, 1]),
            "a unit shorter than its header"
        );
    }
}
