//! H.264 (RFC 6184): profiles as in SDP, and where a decoder can start.

use std::fmt;

use super::start::Start;

/// A profile: the features of the format that a stream may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    PredictiveHigh444,
}

impl Profile {
    /// The profile of the first two bytes of `profile-level-id` (RFC 6184 §8.1). `None` for one that we do not know.
    pub fn from_profile_level_id(profile_idc: u8, profile_iop: u8) -> Option<Profile> {
        // The bits of profile_iop, from the highest: constraint_set0_flag to constraint_set5_flag, then two zeros.
        const SET0: u8 = 0b1000_0000;
        const SET1: u8 = 0b0100_0000;
        const SET2: u8 = 0b0010_0000;
        const SET4_AND_SET5: u8 = 0b0000_1100;
        let set0 = profile_iop & SET0 != 0;
        let set1 = profile_iop & SET1 != 0;
        let set2 = profile_iop & SET2 != 0;
        // In RFC 6184, table 5, the lower half is zero for all profiles that we know.
        if profile_iop & 0x0F != 0 {
            // This one is not in the table: ITU-T H.264 §A.2.4.2, High without interlacing and without B slices.
            return (profile_idc == 0x64 && profile_iop == SET4_AND_SET5).then_some(Profile::ConstrainedHigh);
        }
        match profile_idc {
            0x42 if set1 => Some(Profile::ConstrainedBaseline),
            0x42 => Some(Profile::Baseline),
            0x4D if set0 => Some(Profile::ConstrainedBaseline),
            0x4D if !set2 => Some(Profile::Main),
            0x58 if set0 && set1 => Some(Profile::ConstrainedBaseline),
            0x58 if set0 => Some(Profile::Baseline),
            0x64 if profile_iop == 0 => Some(Profile::High),
            0xF4 if profile_iop == 0 => Some(Profile::PredictiveHigh444),
            _ => None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Profile::ConstrainedBaseline => "Constrained Baseline",
            Profile::Baseline => "Baseline",
            Profile::Main => "Main",
            Profile::ConstrainedHigh => "Constrained High",
            Profile::High => "High",
            Profile::PredictiveHigh444 => "High 4:4:4 Predictive",
        })
    }
}

/// NAL unit types (ITU-T H.264 table 7-1) and packet types (RFC 6184 table 1).
const IDR_SLICE: u8 = 5;
const SEQUENCE_PARAMETER_SET: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// The start in `payload`. A picture parameter set alone starts nothing, because the sequence parameter set comes
/// before it.
pub fn start(payload: &[u8]) -> Start {
    match payload {
        [header, units @ ..] if nal_type(*header) == STAP_A => aggregate_start(units),
        // RFC 6184 §5.8: the FU header is S, E, R, and the type of the fragmented unit.
        [header, fu_header, _, ..] if nal_type(*header) == FU_A => {
            const START_BIT: u8 = 0x80;
            if fu_header & START_BIT != 0 {
                unit_start(*fu_header)
            } else {
                Start::None
            }
        }
        // A NAL unit is more than its header.
        [header, _, ..] => unit_start(*header),
        _ => Start::None,
    }
}

fn nal_type(header: u8) -> u8 {
    header & 0x1F
}

fn unit_start(header: u8) -> Start {
    match nal_type(header) {
        SEQUENCE_PARAMETER_SET => Start::ParameterSets,
        IDR_SLICE => Start::Slice,
        _ => Start::None,
    }
}

/// The start in an aggregation packet. RFC 6184 §5.7.1: units, each after its size of two bytes.
fn aggregate_start(mut units: &[u8]) -> Start {
    let mut found = Start::None;
    while let [high, low, rest @ ..] = units {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((unit, rest)) = rest.split_at_checked(size) else {
            return Start::None;
        };
        let [header, ..] = unit else {
            return Start::None;
        };
        found = found.max(unit_start(*header));
        units = rest;
    }
    if units.is_empty() { found } else { Start::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(profile_level_id: &str) -> Option<Profile> {
        let bytes = hex::decode(profile_level_id).unwrap();
        Profile::from_profile_level_id(bytes[0], bytes[1])
    }

    #[test]
    fn profiles_are_read_as_rfc_6184_table_5_says() {
        let cases = [
            ("42e01f", Some(Profile::ConstrainedBaseline)),
            ("42c01e", Some(Profile::ConstrainedBaseline)),
            ("42f01f", Some(Profile::ConstrainedBaseline)),
            ("42401f", Some(Profile::ConstrainedBaseline)),
            ("4d801f", Some(Profile::ConstrainedBaseline)),
            ("4df01f", Some(Profile::ConstrainedBaseline)),
            ("58c01f", Some(Profile::ConstrainedBaseline)),
            ("42001f", Some(Profile::Baseline)),
            ("42a01f", Some(Profile::Baseline)),
            ("58801f", Some(Profile::Baseline)),
            ("4d001f", Some(Profile::Main)),
            ("4d401f", Some(Profile::Main)),
            ("4d501f", Some(Profile::Main)),
            ("640c1f", Some(Profile::ConstrainedHigh)),
            ("64001f", Some(Profile::High)),
            ("f4001f", Some(Profile::PredictiveHigh444)),
        ];
        for (id, expected) in cases {
            assert_eq!(profile(id), expected, "{id}");
        }
    }

    #[test]
    fn profiles_outside_of_the_table_are_unknown() {
        // Extended, Main limited to Extended, High 10, High 4:4:4 Intra, reserved bits set, and something that is not
        // H.264.
        for id in [
            "58001f", "4d201f", "6e001f", "f4101f", "42011f", "42e11f", "64081f", "640d1f", "00001f", "ff001f",
        ] {
            assert_eq!(profile(id), None, "{id}");
        }
    }

    #[test]
    fn parameter_sets_and_idr_slices_begin_something() {
        assert_eq!(start(&[0x67, 0x42, 0xe0, 0x1f]), Start::ParameterSets, "SPS");
        assert_eq!(start(&[0x65, 0x88, 0x84]), Start::Slice, "IDR slice");
        assert_eq!(
            start(&[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce]),
            Start::ParameterSets,
            "STAP-A of an SPS and a PPS"
        );
        assert_eq!(
            start(&[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88]),
            Start::ParameterSets,
            "STAP-A of SPS, PPS and IDR slice"
        );
        assert_eq!(
            start(&[0x78, 0, 2, 0x06, 0x05, 0, 3, 0x65, 0x88, 0x84]),
            Start::Slice,
            "STAP-A of SEI and IDR slice"
        );
        assert_eq!(
            start(&[0x7c, 0x85, 0x88]),
            Start::Slice,
            "FU-A, first fragment of an IDR slice"
        );
        assert_eq!(
            start(&[0x7c, 0x87, 0x42]),
            Start::ParameterSets,
            "FU-A, first fragment of an SPS"
        );
    }

    #[test]
    fn other_units_begin_nothing() {
        let cases: [(&[u8], &str); 7] = [
            (&[0x61, 0x9a, 0x00], "slice of a delta frame"),
            (&[0x68, 0xce, 0x38], "PPS alone"),
            (&[0x7c, 0x05, 0x88], "FU-A, middle of an IDR slice"),
            (&[0x7c, 0x45, 0x88], "FU-A, end of an IDR slice"),
            (&[0x7c, 0x81, 0x88], "FU-A, first fragment of a delta slice"),
            (&[0x78, 0, 2, 0x61, 0x9a], "STAP-A of a delta slice"),
            (&[0x79, 0, 0, 0, 2, 0x67, 0x42], "STAP-B is of the interleaved mode"),
        ];
        for (payload, what) in cases {
            assert_eq!(start(payload), Start::None, "{what}");
        }
    }

    #[test]
    fn truncated_packets_begin_nothing() {
        for payload in [&[][..], &[0x67], &[0x7c], &[0x7c, 0x85]] {
            assert_eq!(start(payload), Start::None, "{payload:?}");
        }
        let aggregate = [0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce];
        for len in 0..aggregate.len() {
            // A cut between two units leaves a packet that looks whole to any receiver.
            let expected = if len == 5 { Start::ParameterSets } else { Start::None };
            assert_eq!(start(&aggregate[..len]), expected, "{len} bytes");
        }
        assert_eq!(start(&[0x78, 0, 0, 0, 2, 0x67, 0x42]), Start::None, "an empty unit");
    }
}
