//! H.265 (RFC 7798): where a decoder can start.

use super::start::Start;

/// NAL unit types (ITU-T H.265 table 7-1) and packet types (RFC 7798 §4.4).
const FIRST_IRAP: u8 = 16;
const LAST_IRAP: u8 = 21;
const VIDEO_PARAMETER_SET: u8 = 32;
const SEQUENCE_PARAMETER_SET: u8 = 33;
const AGGREGATION_PACKET: u8 = 48;
const FRAGMENTATION_UNIT: u8 = 49;

/// The start in `payload`. A slice is one of an intra random access point (BLA, IDR, CRA). A picture parameter set alone
/// starts nothing, because other sets come before it. Decoding order numbers (DONL) are not negotiated, so none are
/// expected.
pub fn start(payload: &[u8]) -> Start {
    // RFC 7798 §1.1.4: F, type (six bits), layer id (six bits), TID (three bits).
    let [header, _, body @ ..] = payload else {
        return Start::None;
    };
    match (*header >> 1) & 0x3F {
        AGGREGATION_PACKET => aggregate_start(body),
        FRAGMENTATION_UNIT => match body {
            // RFC 7798 §4.4.3: S, E, and the type of the fragmented unit.
            [fu_header, _, ..] if fu_header & 0x80 != 0 => unit_start(fu_header & 0x3F),
            _ => Start::None,
        },
        nal_type if !body.is_empty() => unit_start(nal_type),
        _ => Start::None,
    }
}

fn unit_start(nal_type: u8) -> Start {
    match nal_type {
        VIDEO_PARAMETER_SET | SEQUENCE_PARAMETER_SET => Start::ParameterSets,
        FIRST_IRAP..=LAST_IRAP => Start::Slice,
        _ => Start::None,
    }
}

/// The start in an aggregation packet. RFC 7798 §4.4.2: units, each after its size of two bytes.
fn aggregate_start(mut units: &[u8]) -> Start {
    let mut found = Start::None;
    while let [high, low, rest @ ..] = units {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((unit, rest)) = rest.split_at_checked(size) else {
            return Start::None;
        };
        let [header, _, ..] = unit else {
            return Start::None;
        };
        found = found.max(unit_start((header >> 1) & 0x3F));
        units = rest;
    }
    if units.is_empty() { found } else { Start::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(nal_type: u8) -> [u8; 4] {
        [nal_type << 1, 0x01, 0xaa, 0xbb]
    }

    #[test]
    fn parameter_sets_and_random_access_points_begin_something() {
        for nal_type in 0..48 {
            let expected = match nal_type {
                16..=21 => Start::Slice,
                32 | 33 => Start::ParameterSets,
                _ => Start::None,
            };
            assert_eq!(start(&unit(nal_type)), expected, "type {nal_type}");
        }
    }

    #[test]
    fn an_aggregate_begins_what_a_unit_of_it_does() {
        assert_eq!(
            start(&[0x60, 1, 0, 3, 0x40, 1, 0x0c, 0, 3, 0x42, 1, 1]),
            Start::ParameterSets,
            "VPS and SPS"
        );
        assert_eq!(
            start(&[0x60, 1, 0, 3, 0x26, 1, 0xaf, 0, 3, 0x42, 1, 1]),
            Start::ParameterSets,
            "SPS beside an IDR slice"
        );
        assert_eq!(
            start(&[0x60, 1, 0, 3, 0x4e, 1, 5, 0, 3, 0x26, 1, 0xaf]),
            Start::Slice,
            "SEI and IDR"
        );
        assert_eq!(
            start(&[0x60, 1, 0, 3, 0x4e, 1, 5, 0, 3, 0x02, 1, 0xd0]),
            Start::None,
            "SEI and delta slice"
        );
    }

    #[test]
    fn only_the_first_fragment_begins_something() {
        assert_eq!(start(&[0x62, 1, 0x80 | 19, 0xaf]), Start::Slice);
        assert_eq!(start(&[0x62, 1, 0x80 | 33, 0xaf]), Start::ParameterSets);
        assert_eq!(start(&[0x62, 1, 19, 0xaf]), Start::None, "middle");
        assert_eq!(start(&[0x62, 1, 0x40 | 19, 0xaf]), Start::None, "end");
        assert_eq!(
            start(&[0x62, 1, 0x80 | 1, 0xaf]),
            Start::None,
            "first fragment of a delta slice"
        );
    }

    #[test]
    fn truncated_packets_begin_nothing() {
        for packet in [&[0x26, 1, 0xaf][..], &[0x62, 1, 0x80 | 19, 0xaf]] {
            for len in 0..packet.len() {
                assert_eq!(start(&packet[..len]), Start::None, "{:?}", &packet[..len]);
            }
        }
        let aggregate = [0x60, 1, 0, 3, 0x40, 1, 0x0c, 0, 3, 0x42, 1, 1];
        for len in 0..aggregate.len() {
            // A cut between two units leaves a packet that looks whole to any receiver.
            let expected = if len == 7 { Start::ParameterSets } else { Start::None };
            assert_eq!(start(&aggregate[..len]), expected, "{len} bytes");
        }
        let short = [0x60, 1, 0, 1, 0x40, 0, 3, 0x42, 1, 1];
        assert_eq!(start(&short), Start::None, "a unit shorter than its header");
    }
}
