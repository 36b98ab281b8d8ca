//! The points at which a decoder that knows nothing of a video stream can begin.
//!
//! H264 and H265 need parameter sets before a key picture. A picture consists of the packets of one RTP timestamp (RFC 6184
//! §5.1, RFC 7798 §4.1). Decoding begins at its parameter sets. A decoder that comes later waits for the next ones: the slices
//! alone cannot be decoded, or would be decoded with the sets of another stream.
//!
//! At a key picture without parameter sets only those can begin to whom the stream's last sets were sent. Some publishers send
//! their sets once, at their start, or only in their offer (`sprop-parameter-sets`, which no answer passes on). So at the second
//! such picture in a row everybody may begin: nothing better will come, and a client that has the sets from elsewhere can decode
//! it. A single one may only be a picture whose sets were lost on the way.

use crate::media::codec::start::Start;

/// The subscribers who can begin at a packet. The number distinguishes the parameter sets of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    Nobody,
    /// Those to whom the parameter sets with this number were sent.
    Holders(u32),
    /// Everybody; the parameter sets have this number.
    Anybody(u32),
}

impl EntryPoint {
    pub(crate) fn is_open(self) -> bool {
        matches!(self, EntryPoint::Anybody(_))
    }
}

/// Key pictures in a row without parameter sets after which everybody may begin; see above.
const BARE_PICTURES: u8 = 2;

/// The state of one video stream: its newest key picture.
#[derive(Debug, Default)]
pub struct Pictures {
    newest: Option<Picture>,
    /// Counter of pictures with parameter sets.
    sets: u32,
    /// Number of key pictures without any since then.
    bare: u8,
}

#[derive(Clone, Copy, Debug)]
struct Picture {
    timestamp: u32,
    /// The first packet of it that has been seen.
    first: u64,
    has_sets: bool,
}

impl Pictures {
    /// Records a packet, and returns who can begin at it. `sequence` is counted on over the turns of the sequence numbers.
    pub fn entry(&mut self, start: Start, timestamp: u32, sequence: u64) -> EntryPoint {
        let has_sets = match start {
            Start::None => return EntryPoint::Nobody,
            Start::Picture => return EntryPoint::Anybody(self.sets),
            Start::ParameterSets => true,
            Start::Slice => false,
        };
        match self.newest {
            // Parameter sets that come after the slices were sent again: the slices are stored already and can be asked for.
            Some(newest) if newest.timestamp == timestamp && (newest.has_sets || !has_sets) => {
                return EntryPoint::Nobody;
            }
            // This packet is late, and belongs to an earlier picture.
            Some(newest) if newest.timestamp != timestamp && sequence < newest.first => return EntryPoint::Nobody,
            _ => {}
        }
        self.newest = Some(Picture {
            timestamp,
            first: sequence,
            has_sets,
        });
        if has_sets {
            self.sets = self.sets.wrapping_add(1);
            self.bare = 0;
            return EntryPoint::Anybody(self.sets);
        }
        self.bare = self.bare.saturating_add(1);
        if self.bare < BARE_PICTURES {
            EntryPoint::Holders(self.sets)
        } else {
            EntryPoint::Anybody(self.sets)
        }
    }
}

#[cfg(test)]
mod tests {
    use EntryPoint::*;
    use Start::{ParameterSets, Slice};

    use super::*;

    fn entries(packets: &[(Start, u32, u64)]) -> Vec<EntryPoint> {
        let mut pictures = Pictures::default();
        packets
            .iter()
            .map(|&(start, timestamp, sequence)| pictures.entry(start, timestamp, sequence))
            .collect()
    }

    #[test]
    fn a_picture_begins_at_the_first_of_its_parameter_sets_and_nowhere_else() {
        let got = entries(&[
            (ParameterSets, 10, 1),
            (ParameterSets, 10, 2),
            (Start::None, 10, 3),
            (Slice, 10, 4),
            (Slice, 10, 5),
            (Start::None, 20, 6),
            (ParameterSets, 30, 7),
            (Slice, 30, 8),
        ]);
        let expected = [Anybody(1), Nobody, Nobody, Nobody, Nobody, Nobody, Anybody(2), Nobody];
        assert_eq!(got, expected);
    }

    #[test]
    fn a_bare_key_picture_is_for_those_who_have_its_sets_and_the_second_in_a_row_for_everybody() {
        let got = entries(&[
            (ParameterSets, 10, 1),
            (Slice, 10, 2),
            (Slice, 20, 3),
            (Slice, 20, 4),
            (Slice, 30, 5),
            (Slice, 30, 6),
            (Slice, 40, 7),
            (ParameterSets, 50, 8),
            (Slice, 50, 9),
            (Slice, 60, 10),
        ]);
        let expected = [
            Anybody(1),
            Nobody,
            Holders(1),
            Nobody,
            Anybody(1),
            Nobody,
            Anybody(1),
            Anybody(2),
            Nobody,
            Holders(2),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn a_stream_that_never_has_parameter_sets_begins_at_its_second_key_picture() {
        assert_eq!(entries(&[(Slice, 10, 1), (Slice, 20, 2)]), [Holders(0), Anybody(0)]);
    }

    #[test]
    fn parameter_sets_that_come_after_their_slices_still_begin_the_picture() {
        let got = entries(&[(Slice, 10, 3), (ParameterSets, 10, 1), (Slice, 10, 4), (Slice, 20, 5)]);
        assert_eq!(got, [Holders(0), Anybody(1), Nobody, Holders(1)]);
    }

    #[test]
    fn late_packets_of_earlier_pictures_begin_none() {
        let got = entries(&[
            (ParameterSets, 10, 1),
            (ParameterSets, 20, 11),
            (Slice, 10, 3),
            (ParameterSets, 10, 2),
            (Slice, 20, 12),
        ]);
        assert_eq!(got, [Anybody(1), Anybody(2), Nobody, Nobody, Nobody]);
    }

    #[test]
    fn timestamps_that_turn_over_or_jump_back_stop_nothing() {
        let got = entries(&[
            (ParameterSets, u32::MAX, 1),
            (ParameterSets, 5, 2),
            (ParameterSets, 0x9000_0000, 3),
            (ParameterSets, 7, 4),
        ]);
        assert_eq!(got, [Anybody(1), Anybody(2), Anybody(3), Anybody(4)]);
    }

    #[test]
    fn codecs_without_parameter_sets_begin_at_every_key_picture() {
        assert_eq!(
            entries(&[(Start::Picture, 1, 1), (Start::Picture, 1, 2)]),
            [Anybody(0), Anybody(0)]
        );
    }
}
