//! RTP (RFC 3550 §5.1) and its header extensions (RFC 8285), read in place and written into a ready buffer.
//!
//! Everything here runs for each packet, [`write_header`] for each packet and subscriber: nothing allocates.

use std::ops::Range;

/// Header extensions that the server knows by name. Others are not negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 9143)
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id` (RFC 8852)
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id` (RFC 8852)
    RepairedRid,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464)
    AudioLevel,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`
    AbsSendTime,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`
    TransportSequence,
    /// `urn:3gpp:video-orientation`
    VideoOrientation,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`
    PlayoutDelay,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/video-content-type`
    VideoContentType,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/video-timing`
    VideoTiming,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/color-space`
    ColorSpace,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time`
    AbsCaptureTime,
    /// `urn:ietf:params:rtp-hdrext:toffset` (RFC 5450)
    TransmissionOffset,
    /// `https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension`; see
    /// [`dependency`](super::codec::dependency)
    DependencyDescriptor,
}

impl Extension {
    pub const ALL: [Extension; 14] = [
        Extension::Mid,
        Extension::Rid,
        Extension::RepairedRid,
        Extension::AudioLevel,
        Extension::AbsSendTime,
        Extension::TransportSequence,
        Extension::VideoOrientation,
        Extension::PlayoutDelay,
        Extension::VideoContentType,
        Extension::VideoTiming,
        Extension::ColorSpace,
        Extension::AbsCaptureTime,
        Extension::TransmissionOffset,
        Extension::DependencyDescriptor,
    ];

    pub(crate) fn from_uri(uri: &str) -> Option<Extension> {
        Self::ALL.into_iter().find(|extension| extension.uri() == uri)
    }

    pub fn uri(self) -> &'static str {
        match self {
            Extension::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Extension::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Extension::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Extension::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Extension::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Extension::TransportSequence => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Extension::VideoOrientation => "urn:3gpp:video-orientation",
            Extension::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Extension::VideoContentType => "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
            Extension::VideoTiming => "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
            Extension::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Extension::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Extension::TransmissionOffset => "urn:ietf:params:rtp-hdrext:toffset",
            Extension::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }

    /// Whether what a publisher says concerns subscribers, too. The other extensions describe the publisher's own
    /// connection (its mid and rid, its send times) and end at the server.
    pub(crate) fn is_end_to_end(self) -> bool {
        match self {
            Extension::AudioLevel
            | Extension::VideoOrientation
            | Extension::PlayoutDelay
            | Extension::VideoContentType
            | Extension::VideoTiming
            | Extension::ColorSpace
            | Extension::AbsCaptureTime
            | Extension::DependencyDescriptor => true,
            Extension::Mid
            | Extension::Rid
            | Extension::RepairedRid
            | Extension::AbsSendTime
            | Extension::TransportSequence
            | Extension::TransmissionOffset => false,
        }
    }

    /// Whether a subscriber gets the publisher's value as it is. A dependency descriptor is written anew for each copy.
    pub(crate) fn is_copied(self) -> bool {
        self.is_end_to_end() && self != Extension::DependencyDescriptor
    }

    /// Whether values may be longer than the one-byte form can have (RFC 8285 §4.2).
    pub(crate) fn is_long(self) -> bool {
        self == Extension::DependencyDescriptor
    }
}

/// The largest extension id that is negotiated; tables by id have this size plus one.
pub const MAX_EXTENSION_ID: u8 = 31;

/// Bytes of a header without CSRCs and extensions.
pub(crate) const FIXED_HEADER_LEN: usize = 12;

const VERSION_2: u8 = 0x80;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const MARKER_BIT: u8 = 0x80;

/// The profile word of the one-byte form (RFC 8285 §4.2).
const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// The profile word of the two-byte form (RFC 8285 §4.3): twelve fixed bits, then four "appbits" that we neither use
/// nor forward.
const TWO_BYTE_PROFILE: u16 = 0x1000;
const APPBITS: u16 = 0x000F;

/// A parsed fixed header. Offsets are from the packet's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub padding: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub(crate) csrc_count: u8,
    /// Profile word (0xBEDE or 0x100X; blocks with others are ignored), then start and length of the block's bytes
    /// without its four-byte head.
    pub extensions: Option<(u16, u16, u16)>,
    /// The offset of the payload: after fixed header, CSRCs, and the extension block.
    pub len: usize,
}

impl Header {
    /// Reads the header. `None` if it is not RTP version 2, or if CSRCs or extensions overrun the packet. Works on
    /// protected packets, because SRTP leaves the header in the clear.
    pub fn parse(packet: &[u8]) -> Option<Header> {
        let fixed = packet.first_chunk::<FIXED_HEADER_LEN>()?;
        if fixed[0] >> 6 != 2 || packet.len() > usize::from(u16::MAX) {
            return None;
        }
        let csrc_count = fixed[0] & 0x0F;
        let mut len = FIXED_HEADER_LEN + usize::from(csrc_count) * 4;
        let mut extensions = None;
        if fixed[0] & EXTENSION_BIT != 0 {
            let head = packet.get(len..)?.first_chunk::<4>()?;
            let profile = u16::from_be_bytes([head[0], head[1]]);
            let block_len = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            let start = len + 4;
            len = start + block_len;
            if profile == ONE_BYTE_PROFILE || profile & !APPBITS == TWO_BYTE_PROFILE {
                // Both fit into 16 bits: they are within the packet (checked below), and a packet is shorter than 64
                // KiB.
                extensions = Some((profile, start as u16, block_len as u16));
            }
        }
        if len > packet.len() {
            return None;
        }
        Some(Header {
            marker: fixed[1] & MARKER_BIT != 0,
            padding: fixed[0] & PADDING_BIT != 0,
            payload_type: fixed[1] & !MARKER_BIT,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            csrc_count,
            extensions,
            len,
        })
    }

    /// The elements of the extension block, id and bytes, in one-byte or two-byte form. Ends at the first malformed
    /// one.
    pub fn elements<'a>(&self, packet: &'a [u8]) -> Elements<'a> {
        let Some((profile, start, len)) = self.extensions else {
            return Elements {
                rest: &[],
                two_byte: false,
            };
        };
        let start = usize::from(start);
        Elements {
            rest: packet.get(start..start + usize::from(len)).unwrap_or_default(),
            two_byte: profile != ONE_BYTE_PROFILE,
        }
    }

    /// The payload without padding, of an unprotected packet. `None` if the padding length is zero or longer than the
    /// payload. Empty if the packet is nothing but padding, such as a bandwidth probe.
    pub fn payload(&self, packet: &[u8]) -> Option<Range<usize>> {
        let bytes = packet.get(self.len..)?;
        if !self.padding {
            return Some(self.len..packet.len());
        }
        // RFC 3550 §5.1: the last octet counts the padding, itself included.
        let padding = usize::from(*bytes.last()?);
        if padding == 0 || padding > bytes.len() {
            return None;
        }
        Some(self.len..packet.len() - padding)
    }
}

/// The elements that are left in a header extension (RFC 8285).
pub struct Elements<'a> {
    pub rest: &'a [u8],
    pub two_byte: bool,
}

impl<'a> Elements<'a> {
    fn end<T>(&mut self) -> Option<T> {
        self.rest = &[];
        None
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        // A zero byte where an id is expected is padding, in both forms.
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let (id, len, body) = match self.rest {
            [id, len, body @ ..] if self.two_byte => (*id, usize::from(*len), body),
            [head, body @ ..] if !self.two_byte => (head >> 4, usize::from(head & 0x0F) + 1, body),
            _ => return self.end(),
        };
        // RFC 8285 §4.2: processing ends at id 15, and at id 0 with a length.
        if !self.two_byte && (id == 15 || id == 0) {
            return self.end();
        }
        let Some((value, rest)) = body.split_at_checked(len) else {
            return self.end();
        };
        self.rest = rest;
        Some((id, value))
    }
}

/// The header of a subscriber's copy of a packet.
#[derive(Clone, Copy, Debug)]
pub struct NewHeader<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Subscriber's extension ids, by the publisher's; 0 drops the element.
    pub extension_ids: &'a [u8; MAX_EXTENSION_ID as usize + 1],
    /// The subscriber's own mid element: id and value.
    pub mid: Option<(u8, &'a [u8])>,
    /// The packet's transport-wide number, and the id of its element.
    pub number: Option<(u8, u16)>,
    /// The time for which pictures are to be held back, and the id of its element.
    pub playout: Option<(u8, [u8; 3])>,
    /// The copy's dependency descriptor: id and value.
    pub descriptor: Option<(u8, &'a [u8])>,
}

/// Writes a header into `out` and returns its length. CSRCs are dropped, extension elements of `source` are copied
/// under their new ids (in one-byte form unless an id or a length needs the two-byte form), and P is clear. `None` if
/// `out` is too small.
pub fn write_header(out: &mut [u8], new: &NewHeader<'_>, source: &Header, source_packet: &[u8]) -> Option<usize> {
    let fixed = out.first_chunk_mut::<FIXED_HEADER_LEN>()?;
    fixed[0] = VERSION_2;
    fixed[1] = u8::from(new.marker) << 7 | (new.payload_type & !MARKER_BIT);
    fixed[2..4].copy_from_slice(&new.sequence.to_be_bytes());
    fixed[4..8].copy_from_slice(&new.timestamp.to_be_bytes());
    fixed[8..12].copy_from_slice(&new.ssrc.to_be_bytes());
    // A copy has a descriptor only if its source has one.
    if source.extensions.is_none() && new.mid.is_none() && new.number.is_none() && new.playout.is_none() {
        return Some(FIXED_HEADER_LEN);
    }
    let block = &mut out[FIXED_HEADER_LEN..];
    // Nearly every packet fits the one-byte form, so that is tried first, and the other form where it fails.
    let block_len = match write_block::<OneByte>(block, new, source, source_packet) {
        Err(Unwritable::NeedsTwoByte) => write_block::<TwoByte>(block, new, source, source_packet).ok()?,
        written => written.ok()?,
    };
    if block_len > 0 {
        out[0] |= EXTENSION_BIT;
    }
    Some(FIXED_HEADER_LEN + block_len)
}

enum Unwritable {
    NeedsTwoByte,
    NoRoom,
}

/// One of the two forms of RFC 8285.
trait Form {
    const PROFILE: u16;

    /// Writes one element and returns its length.
    fn write(out: &mut [u8], id: u8, value: &[u8]) -> Result<usize, Unwritable>;
}

struct OneByte;
struct TwoByte;

impl Form for OneByte {
    const PROFILE: u16 = ONE_BYTE_PROFILE;

    fn write(out: &mut [u8], id: u8, value: &[u8]) -> Result<usize, Unwritable> {
        if id > 14 || value.is_empty() || value.len() > 16 {
            return Err(Unwritable::NeedsTwoByte);
        }
        let out = out.get_mut(..1 + value.len()).ok_or(Unwritable::NoRoom)?;
        out[0] = id << 4 | (value.len() - 1) as u8;
        out[1..].copy_from_slice(value);
        Ok(out.len())
    }
}

impl Form for TwoByte {
    const PROFILE: u16 = TWO_BYTE_PROFILE;

    fn write(out: &mut [u8], id: u8, value: &[u8]) -> Result<usize, Unwritable> {
        let len = u8::try_from(value.len()).map_err(|_| Unwritable::NoRoom)?;
        let out = out.get_mut(..2 + value.len()).ok_or(Unwritable::NoRoom)?;
        out[0] = id;
        out[1] = len;
        out[2..].copy_from_slice(value);
        Ok(out.len())
    }
}

/// Writes the whole extension block, its head included, and returns its length: 0 if there are no elements.
fn write_block<F: Form>(
    block: &mut [u8],
    new: &NewHeader<'_>,
    source: &Header,
    source_packet: &[u8],
) -> Result<usize, Unwritable> {
    const HEAD: usize = 4;
    let mut end = HEAD;
    for (id, value) in source.elements(source_packet) {
        let new_id = new.extension_ids.get(usize::from(id)).copied().unwrap_or(0);
        if new_id != 0 {
            end += F::write(block.get_mut(end..).unwrap_or_default(), new_id, value)?;
        }
    }
    if let Some((id, value)) = new.mid {
        end += F::write(block.get_mut(end..).unwrap_or_default(), id, value)?;
    }
    if let Some((id, value)) = new.descriptor {
        end += F::write(block.get_mut(end..).unwrap_or_default(), id, value)?;
    }
    if let Some((id, value)) = new.playout {
        end += F::write(block.get_mut(end..).unwrap_or_default(), id, &value)?;
    }
    if let Some((id, number)) = new.number {
        end += F::write(block.get_mut(end..).unwrap_or_default(), id, &number.to_be_bytes())?;
    }
    if end == HEAD {
        return Ok(0);
    }
    let padded = end.next_multiple_of(4);
    block.get_mut(end..padded).ok_or(Unwritable::NoRoom)?.fill(0);
    let words = ((padded - HEAD) / 4) as u16;
    block[..2].copy_from_slice(&F::PROFILE.to_be_bytes());
    block[2..HEAD].copy_from_slice(&words.to_be_bytes());
    Ok(padded)
}

/// Signed distance from `b` to `a` in sequence space (RFC 1982): positive when `a` is newer.
pub fn sequence_distance(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b) as i16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_IDS: [u8; 32] = [0; 32];

    fn identity() -> [u8; 32] {
        std::array::from_fn(|id| id as u8)
    }

    fn ids(pairs: &[(u8, u8)]) -> [u8; 32] {
        let mut table = NO_IDS;
        for (from, to) in pairs {
            table[usize::from(*from)] = *to;
        }
        table
    }

    fn new_header<'a>(extension_ids: &'a [u8; 32], mid: Option<(u8, &'a [u8])>) -> NewHeader<'a> {
        NewHeader {
            marker: true,
            payload_type: 96,
            sequence: 0x1234,
            timestamp: 0xdead_beef,
            ssrc: 0x0102_0304,
            extension_ids,
            mid,
            number: None,
            playout: None,
            descriptor: None,
        }
    }

    /// Version 2, marker set, payload type 111, sequence 7, timestamp 9, SSRC 11; no CSRC, no extension.
    fn plain(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 0xef, 0, 7, 0, 0, 0, 9, 0, 0, 0, 11];
        packet.extend_from_slice(payload);
        packet
    }

    fn with_extensions(profile: u16, block: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut packet = plain(&[]);
        packet[0] |= 0x10;
        packet.extend_from_slice(&profile.to_be_bytes());
        packet.extend_from_slice(&((block.len() / 4) as u16).to_be_bytes());
        packet.extend_from_slice(block);
        packet.extend_from_slice(payload);
        packet
    }

    fn elements(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let header = Header::parse(packet).unwrap();
        header
            .elements(packet)
            .map(|(id, value)| (id, value.to_vec()))
            .collect()
    }

    /// The header that [`write_header`] makes of `source`, in a buffer that has room for it.
    fn written(new: &NewHeader<'_>, source: &[u8]) -> Vec<u8> {
        let mut out = [0xaa; 512];
        let len = write_header(&mut out, new, &Header::parse(source).unwrap(), source).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn the_fixed_header_is_read() {
        let packet = plain(&[1, 2, 3]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(
            header,
            Header {
                marker: true,
                padding: false,
                payload_type: 111,
                sequence: 7,
                timestamp: 9,
                ssrc: 11,
                csrc_count: 0,
                extensions: None,
                len: 12,
            }
        );
        assert_eq!(header.payload(&packet), Some(12..15));
        let unmarked = Header::parse(&[&[0x80, 111][..], &packet[2..]].concat()).unwrap();
        assert_eq!(
            unmarked,
            Header {
                marker: false,
                ..header
            }
        );
        assert_eq!(header.elements(&packet).count(), 0);
    }

    #[test]
    fn csrcs_and_extensions_stand_before_the_payload() {
        let mut packet = plain(&[]);
        packet[0] |= 0x10 | 2;
        packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
        packet.extend_from_slice(&[42]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.csrc_count, 2);
        assert_eq!(header.extensions, Some((0xbede, 24, 4)));
        assert_eq!(header.len, 28);
        assert_eq!(header.payload(&packet), Some(28..29));
        assert_eq!(elements(&packet), [(1, vec![0xff])]);
    }

    #[test]
    fn other_versions_are_refused() {
        for first in [0x00, 0x40, 0xc0] {
            let mut packet = plain(&[1]);
            packet[0] = first;
            assert_eq!(Header::parse(&packet), None);
        }
    }

    #[test]
    fn a_packet_cut_within_its_header_is_refused() {
        let mut packet = with_extensions(0xbede, &[0x10, 1, 0x20, 2, 0x30, 3, 0, 0], &[]);
        for len in 0..packet.len() {
            assert_eq!(Header::parse(&packet[..len]), None, "{len} bytes");
        }
        assert!(Header::parse(&packet).is_some());
        packet[0] |= 0x0f;
        assert_eq!(Header::parse(&packet), None, "fifteen CSRCs that are not there");
        let longest_block = with_extensions(0xbede, &[0; 8], &[]);
        let mut overrun = longest_block.clone();
        overrun[14..16].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Header::parse(&overrun), None);
    }

    #[test]
    fn an_unknown_extension_profile_is_skipped() {
        let packet = with_extensions(0xabac, &[1, 2, 3, 4], &[9]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.extensions, None);
        assert_eq!(header.payload(&packet), Some(16 + 4..21));
    }

    #[test]
    fn padding_is_not_payload() {
        let mut packet = plain(&[1, 2, 0, 0, 3]);
        packet[0] |= 0x20;
        assert_eq!(Header::parse(&packet).unwrap().payload(&packet), Some(12..14));
        let mut probe = plain(&[0, 0, 0, 4]);
        probe[0] |= 0x20;
        assert_eq!(Header::parse(&probe).unwrap().payload(&probe), Some(12..12));
    }

    #[test]
    fn padding_of_no_or_too_many_bytes_is_refused() {
        for payload in [&[1, 2, 0][..], &[1, 2, 4], &[255], &[]] {
            let mut packet = plain(payload);
            packet[0] |= 0x20;
            assert_eq!(Header::parse(&packet).unwrap().payload(&packet), None, "{payload:?}");
        }
    }

    #[test]
    fn one_byte_elements_are_read_as_rfc_8285_says() {
        // Padding between elements and after them.
        let block = [0x10, 0xaa, 0, 0, 0x22, 1, 2, 3, 0, 0, 0, 0];
        assert_eq!(
            elements(&with_extensions(0xbede, &block, &[])),
            [(1, vec![0xaa]), (2, vec![1, 2, 3])]
        );
        // Id 15 ends the block, and so does id 0 with a length.
        assert_eq!(
            elements(&with_extensions(0xbede, &[0x10, 1, 0xf0, 1, 0x20, 2, 0, 0], &[])),
            [(1, vec![1])]
        );
        assert_eq!(
            elements(&with_extensions(0xbede, &[0x10, 1, 0x01, 1, 0x20, 2, 0, 0], &[])),
            [(1, vec![1])]
        );
        // An element longer than the block.
        assert_eq!(
            elements(&with_extensions(0xbede, &[0x10, 1, 0x2f, 1], &[1, 2, 3])),
            [(1, vec![1])]
        );
    }

    #[test]
    fn two_byte_elements_are_read_as_rfc_8285_says() {
        let block = [1, 0, 0, 20, 2, 7, 8, 0];
        for profile in [0x1000, 0x100f] {
            assert_eq!(
                elements(&with_extensions(profile, &block, &[])),
                [(1, vec![]), (20, vec![7, 8])]
            );
        }
        // Here 15 is an ordinary id; a length beyond the block, or a missing one, ends it.
        assert_eq!(elements(&with_extensions(0x1000, &[15, 1, 9, 0], &[])), [(15, vec![9])]);
        assert_eq!(elements(&with_extensions(0x1000, &[1, 1, 9, 2], &[])), [(1, vec![9])]);
        assert_eq!(
            elements(&with_extensions(0x1000, &[1, 0, 2, 9], &[1; 9])),
            [(1, vec![])]
        );
        assert_eq!(
            Header::parse(&with_extensions(0x1010, &block, &[])).unwrap().extensions,
            None
        );
    }

    #[test]
    fn a_header_without_extensions_is_twelve_bytes() {
        let mut source = plain(&[1, 2, 3]);
        source[0] |= 0x20 | 1;
        source.extend_from_slice(&[0, 0, 0, 1]);
        let expected = [0x80, 0xe0, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];
        assert_eq!(written(&new_header(&identity(), None), &source), expected);
        let unmarked = NewHeader {
            marker: false,
            ..new_header(&NO_IDS, None)
        };
        assert_eq!(written(&unmarked, &source)[..2], [0x80, 0x60]);
    }

    #[test]
    fn elements_are_carried_over_under_the_new_ids() {
        let source = with_extensions(0xbede, &[0x10, 0x85, 0x22, 1, 2, 3, 0x31, 4, 5, 0, 0, 0], &[]);
        let new = written(&new_header(&ids(&[(1, 4), (3, 9)]), None), &source);
        assert_eq!(new[0], 0x90);
        assert_eq!(new[12..], [0xbe, 0xde, 0, 2, 0x40, 0x85, 0x91, 4, 5, 0, 0, 0]);
    }

    #[test]
    fn the_subscribers_mid_is_added() {
        let new = written(&new_header(&NO_IDS, Some((3, b"0"))), &plain(&[]));
        assert_eq!(new[12..], [0xbe, 0xde, 0, 1, 0x30, b'0', 0, 0]);
        let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
        let new = written(&new_header(&ids(&[(1, 1)]), Some((3, b"0"))), &source);
        assert_eq!(new[12..], [0xbe, 0xde, 0, 1, 0x10, 0x85, 0x30, b'0']);
    }

    #[test]
    fn the_transport_wide_number_is_added_last() {
        let numbered = NewHeader {
            number: Some((5, 0xfffe)),
            ..new_header(&NO_IDS, None)
        };
        assert_eq!(
            written(&numbered, &plain(&[]))[12..],
            [0xbe, 0xde, 0, 1, 0x51, 0xff, 0xfe, 0]
        );
        let with_mid = NewHeader {
            mid: Some((3, b"0")),
            ..numbered
        };
        assert_eq!(
            written(&with_mid, &plain(&[]))[12..],
            [0xbe, 0xde, 0, 2, 0x30, b'0', 0x51, 0xff, 0xfe, 0, 0, 0]
        );
    }

    #[test]
    fn no_block_is_written_when_every_element_is_dropped() {
        let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
        let new = written(&new_header(&NO_IDS, None), &source);
        assert_eq!((new.len(), new[0]), (12, 0x80));
        // An id beyond the table is dropped, too.
        let source = with_extensions(0x1000, &[200, 1, 7, 0], &[]);
        assert_eq!(written(&new_header(&identity(), None), &source).len(), 12);
    }

    #[test]
    fn a_large_id_an_empty_or_a_long_value_takes_the_two_byte_form() {
        let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
        let new = written(&new_header(&ids(&[(1, 15)]), None), &source);
        assert_eq!(new[12..], [0x10, 0x00, 0, 1, 15, 1, 0x85, 0]);

        let empty = with_extensions(0x1000, &[2, 0, 1, 1, 0x85, 0, 0, 0], &[]);
        let new = written(&new_header(&identity(), None), &empty);
        assert_eq!(new[12..], [0x10, 0x00, 0, 2, 2, 0, 1, 1, 0x85, 0, 0, 0]);

        let long_mid = [b'm'; 17];
        let new = written(&new_header(&ids(&[(1, 1)]), Some((3, &long_mid))), &source);
        assert_eq!(new[12..16], [0x10, 0x00, 0, 6]);
        assert_eq!(elements(&new), [(1, vec![0x85]), (3, long_mid.to_vec())]);

        // An element that came in the two-byte form and does not need it is written in the short one.
        let short = with_extensions(0x1000, &[1, 1, 0x85, 0], &[]);
        assert_eq!(
            written(&new_header(&identity(), None), &short)[12..],
            [0xbe, 0xde, 0, 1, 0x10, 0x85, 0, 0]
        );
    }

    #[test]
    fn a_buffer_that_is_too_small_is_refused() {
        let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
        let header = Header::parse(&source).unwrap();
        for extension_ids in [ids(&[(1, 4)]), ids(&[(1, 20)])] {
            let new = new_header(&extension_ids, Some((3, b"1")));
            let needed = written(&new, &source).len();
            for room in 0..needed {
                assert_eq!(
                    write_header(&mut vec![0; room], &new, &header, &source),
                    None,
                    "{room} bytes"
                );
            }
            assert_eq!(write_header(&mut vec![0; needed], &new, &header, &source), Some(needed));
        }
    }

    #[test]
    fn every_extension_is_found_by_its_uri() {
        for extension in Extension::ALL {
            assert_eq!(Extension::from_uri(extension.uri()), Some(extension));
        }
        assert_eq!(Extension::from_uri("urn:ietf:params:rtp-hdrext:unheard-of"), None);
    }

    #[test]
    fn what_describes_the_publishers_connection_ends_at_the_server() {
        let hop: Vec<_> = Extension::ALL.into_iter().filter(|e| !e.is_end_to_end()).collect();
        use Extension::*;
        assert_eq!(
            hop,
            [
                Mid,
                Rid,
                RepairedRid,
                AbsSendTime,
                TransportSequence,
                TransmissionOffset
            ]
        );
    }

    #[test]
    fn sequence_distance_wraps() {
        assert_eq!(sequence_distance(1, 65535), 2);
        assert_eq!(sequence_distance(65535, 1), -2);
        assert_eq!(sequence_distance(5, 5), 0);
    }

    fn any_element() -> impl Strategy<Value = (u8, Vec<u8>)> {
        (1u8..=31, prop::collection::vec(any::<u8>(), 0..40))
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            mut packet in prop::collection::vec(any::<u8>(), 0..200),
            first in prop::sample::select(vec![0x80u8, 0x90, 0xb0, 0x91, 0xbf]),
            profile in prop::sample::select(vec![[0xbeu8, 0xde], [0x10, 0x00], [0x10, 0x05]]),
            words in 0u8..60,
        ) {
            if packet.len() >= 16 {
                packet[0] = first;
                packet[12..14].copy_from_slice(&profile);
                packet[14..16].copy_from_slice(&[0, words]);
            }
            if let Some(header) = Header::parse(&packet) {
                prop_assert!(header.len <= packet.len());
                prop_assert!(header.elements(&packet).count() <= packet.len());
                if let Some(payload) = header.payload(&packet) {
                    prop_assert!(payload.start == header.len && payload.end <= packet.len());
                }
                let mut out = [0u8; 64];
                let _ = write_header(&mut out, &new_header(&identity(), Some((5, b"audio"))), &header, &packet);
                // Offsets of another packet do no harm.
                header.elements(&packet[..packet.len() / 2]).for_each(drop);
                let _ = header.payload(&packet[..packet.len() / 2]);
            }
        }

        #[test]
        fn what_is_carried_is_what_was_there(
            source in prop::collection::vec(any_element(), 0..8),
            new_ids in prop::collection::vec(0u8..=31, 32),
            mid in prop::option::of((1u8..=31, prop::collection::vec(any::<u8>(), 0..40))),
        ) {
            let mut block = Vec::new();
            for (id, value) in &source {
                block.extend_from_slice(&[*id, value.len() as u8]);
                block.extend_from_slice(value);
            }
            block.resize(block.len().next_multiple_of(4), 0);
            let packet = with_extensions(0x1000, &block, &[1, 2, 3]);
            let table: [u8; 32] = new_ids.try_into().unwrap();
            let mut expected: Vec<_> = source
                .into_iter()
                .map(|(id, value)| (table[usize::from(id)], value))
                .filter(|(id, _)| *id != 0)
                .collect();
            expected.extend(mid.clone());
            let new = new_header(&table, mid.as_ref().map(|(id, value)| (*id, &value[..])));
            let mut out = vec![0u8; 2048];
            let len = write_header(&mut out, &new, &Header::parse(&packet).unwrap(), &packet).unwrap();
            let header = Header::parse(&out[..len]).unwrap();
            prop_assert_eq!(header.len, len);
            prop_assert_eq!(header.extensions.is_some(), !expected.is_empty());
            prop_assert_eq!(elements(&out[..len]), expected);
        }
    }
}
