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
    channels: u8,
    left_out: LeftOut,
}

/// What is in a file and not in its recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Whether the file is damaged or cut off: what follows is not played.
    pub is_cut_off: bool,
    /// Whether the file has further streams: only the first one is played.
    pub has_more_streams: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    place: Range<usize>,
    lasts: Duration,
}

/// The reason why a file is not a recording that can be played: a part of a sentence about the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    #[error("it has more than {} MiB", FILE_BYTES_MAX >> 20)]
    TooLong,
    #[error("it is no Ogg file, or it is damaged at its beginning")]
    NotOgg,
    #[error("it is a {0} file and no Ogg file")]
    OtherFile(&'static str),
    #[error("its first stream is no Opus")]
    NotOpus,
    #[error("its first stream is {0} and no Opus")]
    OtherStream(&'static str),
    #[error("it has {0} channels, and only one or two can be played")]
    Channels(u8),
    #[error("its Opus is of a kind that not every client plays")]
    UnusualOpus,
    #[error("one of its packets is longer than {PACKET_BYTES_MAX} bytes, because its bit rate is too high")]
    LongPacket,
    #[error("there is no sound in it")]
    Empty,
}

/// The beginnings of other files, with the places where they stand.
const OTHER_FILES: [(usize, &[u8], &str); 9] = [
    (8, b"WAVE", "WAV"),
    (0, b"ID3", "MP3"),
    (0, b"\xff\xfb", "MP3"),
    (0, b"\xff\xf3", "MP3"),
    (0, b"fLaC", "FLAC"),
    (0, b"FORM", "AIFF"),
    (4, b"ftyp", "MP4"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"#!AMR", "AMR"),
];

/// The beginnings of other streams in Ogg files.
const OTHER_STREAMS: [(&[u8], &str); 5] = [
    (b"\x01vorbis", "Vorbis"),
    (b"\x7fFLAC", "FLAC"),
    (b"Speex   ", "Speex"),
    (b"\x80theora", "Theora"),
    (b"fishead", "a skeleton"),
];

impl Recording {
    /// Reads a file. If it is damaged or cut off somewhere, the recording is the part before that.
    pub fn read(file: &[u8]) -> Result<Recording, RecordingError> {
        if file.len() > FILE_BYTES_MAX {
            return Err(RecordingError::TooLong);
        }
        let mut reader = PacketReader::new(Cursor::new(file));
        let first = reader.read_packet().ok().flatten().ok_or_else(|| no_ogg(file))?;
        let channels = channels(&first.data)?;
        let (mut bytes, mut packets) = (Vec::with_capacity(file.len()), Vec::new());
        // A stream that is whole ends with a packet that says so (RFC 3533 §6).
        let mut left_out = LeftOut {
            is_cut_off: true,
            has_more_streams: false,
        };
        while let Ok(Some(packet)) = reader.read_packet() {
            if packet.stream_serial() != first.stream_serial() {
                left_out.has_more_streams = true;
                continue;
            }
            left_out.is_cut_off &= !packet.last_in_stream();
            // Skip the comments (RFC 7845 §5.2).
            if packet.data.starts_with(b"OpusTags") {
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
            channels,
            left_out,
        })
    }

    /// The Opus packet of this number, and how long it lasts. `None` after the last packet.
    pub fn packet(&self, number: usize) -> Option<(&[u8], Duration)> {
        let packet = self.packets.get(number)?;
        Some((self.bytes.get(packet.place.clone())?, packet.lasts))
    }

    pub fn duration(&self) -> Duration {
        self.packets.iter().map(|packet| packet.lasts).sum()
    }

    /// Number of the packets.
    pub fn packet_count(&self) -> usize {
        self.packets.len()
    }

    /// Number of channels: one or two.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// Mean bit rate of the packets, in bits per second.
    pub fn bitrate_bps(&self) -> u64 {
        let micros = self.duration().as_micros().max(1);
        u64::try_from(self.bytes.len() as u128 * 8 * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }
}

/// A text without the packets, of which there are thousands.
impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording of {:?}", self.duration())
    }
}

/// The error for a file without an Ogg page at its beginning.
fn no_ogg(file: &[u8]) -> RecordingError {
    let begins = |(at, with, _): &&(usize, &[u8], &str)| file.get(*at..).is_some_and(|rest| rest.starts_with(with));
    let known = OTHER_FILES.iter().find(begins);
    known.map_or(RecordingError::NotOgg, |(.., name)| RecordingError::OtherFile(name))
}

/// The number of channels, from the identification header (RFC 7845 §5.1). Every Opus decoder plays mapping family 0.
fn channels(head: &[u8]) -> Result<u8, RecordingError> {
    let Some(fields) = head.strip_prefix(b"OpusHead") else {
        let known = OTHER_STREAMS.iter().find(|(begin, _)| head.starts_with(begin));
        return Err(known.map_or(RecordingError::NotOpus, |(_, name)| RecordingError::OtherStream(name)));
    };
    match fields {
        // The fields are: a version of the same meaning, the channels, pre-skip, rate and gain, the mapping family.
        [0..16, channels @ (1 | 2), _, _, _, _, _, _, _, _, 0, ..] => Ok(*channels),
        [0..16, channels @ 3..=255, _, _, _, _, _, _, _, _, _, ..] => Err(RecordingError::Channels(*channels)),
        [_, _, _, _, _, _, _, _, _, _, _, ..] => Err(RecordingError::UnusualOpus),
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
        assert_eq!((recording.packet_count(), recording.channels()), (50, 1));
        assert_eq!(recording.bitrate_bps(), 1_200, "three bytes fifty times a second");
        assert_eq!(recording.left_out(), LeftOut::default());
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
        let surround = [&HEAD[..18], &[1]].concat();
        let cases: [(&[&[u8]], RecordingError); 8] = [
            (&[b"\x01vorbis"], RecordingError::OtherStream("Vorbis")),
            (&[b"something"], RecordingError::NotOpus),
            (&[&HEAD[..18]], RecordingError::NotOpus),
            (&[&five_channels, TAGS], RecordingError::Channels(5)),
            (&[&surround, TAGS], RecordingError::UnusualOpus),
            (&[HEAD, TAGS], RecordingError::Empty),
            (&[HEAD, TAGS, &[]], RecordingError::Empty),
            (&[HEAD, TAGS, &[0xf8; PACKET_BYTES_MAX + 1]], RecordingError::LongPacket),
        ];
        for (packets, error) in cases {
            assert_eq!(Recording::read(&file(packets)), Err(error));
        }
        assert_eq!(Recording::read(b"RIFF"), Err(RecordingError::NotOgg));
        let wave = Recording::read(b"RIFF\x24\0\0\0WAVEfmt ");
        assert_eq!(wave, Err(RecordingError::OtherFile("WAV")));
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
                assert!(part.left_out().is_cut_off, "{len}");
                assert_eq!(part.packet(0), whole.packet(0));
            }
        }
    }

    #[test]
    fn a_second_stream_is_not_played_and_that_is_known() {
        let mut chained = tone();
        let mut second = Vec::new();
        let mut writer = PacketWriter::new(&mut second);
        writer.write_packet(HEAD, 8, PacketWriteEndInfo::EndStream, 0).unwrap();
        drop(writer);
        chained.extend(second);
        let recording = Recording::read(&chained).unwrap();
        assert_eq!(recording.duration(), Duration::from_secs(1));
        let LeftOut {
            is_cut_off,
            has_more_streams,
        } = recording.left_out();
        assert_eq!((is_cut_off, has_more_streams), (false, true));
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
