//! A recording of sound in an Ogg file: Opus (RFC 7845) in pages of RFC 3533. It is taken apart into packets, each with the
//! time that it lasts. Any bytes are either a recording or an error; nothing is decoded.

use std::fmt;
use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ogg::PacketReader;

/// The greatest length of a file: an hour at 36 kb/s. The file stays in memory while it is played.
pub(crate) const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The greatest length of a packet: Opus at 450 kb/s. A packet of this length passes every network in one piece. (RFC 6716
/// §3.2.1 allows 1,275 bytes for each frame of 20 ms.)
pub const PACKET_BYTES_MAX: usize = 1_150;

/// The greatest time that one packet lasts (RFC 6716 §3.2.5).
const PACKET_MAX: Duration = Duration::from_millis(120);

/// A recording. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    bytes: Arc<[u8]>,
    /// The packets; at least one.
    packets: Arc<[Packet]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    place: Range<usize>,
    lasts: Duration,
}

/// The reason why a file is not a recording that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    #[error("the file is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    #[error("the file is not an Ogg file, or it is damaged at its beginning")]
    NotOgg,
    #[error("the first stream of the Ogg file is not Opus with one or two channels")]
    NotOpus,
    #[error("an Opus packet of the file is longer than {PACKET_BYTES_MAX} bytes")]
    LongPacket,
    #[error("no sound is in the file")]
    Empty,
}

impl Recording {
    /// Reads a file. If it is damaged or cut off somewhere, the recording is the part before that.
    pub fn read(file: &[u8]) -> Result<Recording, RecordingError> {
        if file.len() > FILE_BYTES_MAX {
            return Err(RecordingError::TooLong);
        }
        let mut reader = PacketReader::new(Cursor::new(file));
        let first = reader.read_packet().ok().flatten().ok_or(RecordingError::NotOgg)?;
        check_head(&first.data)?;
        let (mut bytes, mut packets) = (Vec::with_capacity(file.len()), Vec::new());
        while let Ok(Some(packet)) = reader.read_packet() {
            // Skip other streams of the file, and the comments of this one (RFC 7845 §5.2).
            if packet.stream_serial() != first.stream_serial() || packet.data.starts_with(b"OpusTags") {
                continue;
            }
            // A packet that cannot be played lasts no time (RFC 6716 §3.4).
            let Some(lasts) = duration(&packet.data) else { continue };
            if packet.data.len() > PACKET_BYTES_MAX {
                return Err(RecordingError::LongPacket);
            }
            let start = bytes.len();
            bytes.extend_from_slice(&packet.data);
            let place = start..bytes.len();
            packets.push(Packet { place, lasts });
        }
        if packets.is_empty() {
            return Err(RecordingError::Empty);
        }
        Ok(Recording {
            bytes: bytes.into(),
            packets: packets.into(),
        })
    }

    /// The Opus packet of this number, and how long it lasts. `None` after the last packet.
    pub fn packet(&self, number: usize) -> Option<(&[u8], Duration)> {
        let packet = self.packets.get(number)?;
        Some((self.bytes.get(packet.place.clone())?, packet.lasts))
    }

    pub(crate) fn duration(&self) -> Duration {
        self.packets.iter().map(|packet| packet.lasts).sum()
    }
}

/// A text without the packets, of which there are thousands.
impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording of {:?}", self.duration())
    }
}

/// Checks the identification header (RFC 7845 §5.1). Every Opus decoder plays mapping family 0.
fn check_head(head: &[u8]) -> Result<(), RecordingError> {
    let fields = head.strip_prefix(b"OpusHead").unwrap_or_default();
    match fields {
        // The fields are: a version of the same meaning, the channels, pre-skip, rate and gain, the mapping family.
        [0..16, 1 | 2, _, _, _, _, _, _, _, _, 0, ..] => Ok(()),
        _ => Err(RecordingError::NotOpus),
    }
}

/// The time that an Opus packet lasts, from its first bytes (RFC 6716 §3.1). `None` for a packet that no decoder plays.
fn duration(packet: &[u8]) -> Option<Duration> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = Duration::from_micros(match (config, config & 3) {
        // SILK, and SILK with CELT above it.
        (0..12, 0) | (12 | 14, _) => 10_000,
        (0..12, 1) | (13 | 15, _) => 20_000,
        (0..12, 2) => 40_000,
        (0..12, _) => 60_000,
        // CELT alone.
        (_, 0) => 2_500,
        (_, 1) => 5_000,
        (_, 2) => 10_000,
        _ => 20_000,
    });
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3f),
    };
    let lasts = frame * frames;
    (!lasts.is_zero() && lasts <= PACKET_MAX).then_some(lasts)
}

#[cfg(test)]
mod tests {
    use ogg::{PacketWriteEndInfo, PacketWriter};
    use proptest::prelude::*;

    use super::*;

    const HEAD: &[u8] = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
    const TAGS: &[u8] = b"OpusTags\x04\0\0\0test\0\0\0\0";

    /// A packet of 20 ms, CELT. Every decoder plays it as silence.
    fn sound(number: u8) -> Vec<u8> {
        vec![0xf8, 0xff, number]
    }

    fn file(packets: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = PacketWriter::new(&mut bytes);
        for (at, packet) in packets.iter().enumerate() {
            let ends = match at {
                _ if at + 1 == packets.len() => PacketWriteEndInfo::EndStream,
                0 | 1 => PacketWriteEndInfo::EndPage,
                _ => PacketWriteEndInfo::NormalPacket,
            };
            let granule = 960 * (at as u64).saturating_sub(1);
            writer.write_packet(packet.to_vec(), 7, ends, granule).unwrap();
        }
        drop(writer);
        bytes
    }

    fn tone() -> Vec<u8> {
        let sounds: Vec<Vec<u8>> = (0..50).map(sound).collect();
        let mut packets = vec![HEAD, TAGS];
        packets.extend(sounds.iter().map(Vec::as_slice));
        file(&packets)
    }

    #[test]
    fn a_file_is_taken_apart_into_its_packets() {
        let recording = Recording::read(&tone()).unwrap();
        assert_eq!(recording.duration(), Duration::from_secs(1));
        assert_eq!(recording.packet(0), Some((&sound(0)[..], Duration::from_millis(20))));
        assert_eq!(recording.packet(49), Some((&sound(49)[..], Duration::from_millis(20))));
        assert_eq!(recording.packet(50), None);
        assert_eq!(format!("{recording:?}"), "Recording of 1s");
    }

    #[test]
    fn packets_last_as_long_as_their_first_bytes_say() {
        let lasts = |packet: &[u8]| duration(packet).map(|lasts| lasts.as_micros());
        assert_eq!(lasts(&[0x00]), Some(10_000), "SILK");
        assert_eq!(lasts(&[11 << 3]), Some(60_000));
        assert_eq!(lasts(&[13 << 3]), Some(20_000), "hybrid");
        assert_eq!(lasts(&[16 << 3]), Some(2_500), "CELT");
        assert_eq!(lasts(&[31 << 3 | 1]), Some(40_000), "two frames");
        assert_eq!(lasts(&[31 << 3 | 3, 6]), Some(120_000), "six");
        for unplayable in [&[][..], &[31 << 3 | 3], &[31 << 3 | 3, 0], &[31 << 3 | 3, 7]] {
            assert_eq!(lasts(unplayable), None, "{unplayable:?}");
        }
    }

    #[test]
    fn what_is_no_recording_is_an_error_that_says_what_it_is() {
        let five_channels = [&HEAD[..9], &[5], &HEAD[10..]].concat();
        let cases: [(&[&[u8]], RecordingError); 6] = [
            (&[b"\x01vorbis"], RecordingError::NotOpus),
            (&[&HEAD[..18]], RecordingError::NotOpus),
            (&[&five_channels, TAGS], RecordingError::NotOpus),
            (&[HEAD, TAGS], RecordingError::Empty),
            (&[HEAD, TAGS, &[]], RecordingError::Empty),
            (&[HEAD, TAGS, &[0xf8; PACKET_BYTES_MAX + 1]], RecordingError::LongPacket),
        ];
        for (packets, error) in cases {
            assert_eq!(Recording::read(&file(packets)), Err(error));
        }
        assert_eq!(Recording::read(b"RIFF"), Err(RecordingError::NotOgg));
        assert_eq!(Recording::read(&[]), Err(RecordingError::NotOgg));
        assert_eq!(
            Recording::read(&vec![0; FILE_BYTES_MAX + 1]),
            Err(RecordingError::TooLong)
        );
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_what_is_before_that_or_an_error() {
        let file = tone();
        let whole = Recording::read(&file).unwrap();
        for len in 0..file.len() {
            if let Ok(part) = Recording::read(&file[..len]) {
                assert!(part.duration() <= whole.duration());
                assert_eq!(part.packet(0), whole.packet(0));
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_is_never_more_than_an_error(
            garbage in proptest::collection::vec(any::<u8>(), 0..600),
            at in 0..400_usize,
        ) {
            let _ = Recording::read(&garbage);
            let mut damaged = tone();
            let at = at.min(damaged.len());
            let end = damaged.len().min(at + garbage.len());
            damaged[at..end].copy_from_slice(&garbage[..end - at]);
            if let Ok(recording) = Recording::read(&damaged) {
                prop_assert!(recording.packet(0).is_some());
            }
        }
    }
}
