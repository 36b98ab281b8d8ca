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
}

impl Extension {
    pub const ALL: [Extension; 13] = [
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
    ];

    pub fn from_uri(uri: &str) -> Option<Extension> {
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
        }
    }

    /// Whether what a publisher put into it still holds at a subscriber. The others describe the publisher's own
    /// connection (its mid and rid, its send times) and end at the server.
    pub fn is_end_to_end(self) -> bool {
        match self {
            Extension::AudioLevel
            | Extension::VideoOrientation
            | Extension::PlayoutDelay
            | Extension::VideoContentType
            | Extension::VideoTiming
            | Extension::ColorSpace
            | Extension::AbsCaptureTime => true,
            Extension::Mid
            | Extension::Rid
            | Extension::RepairedRid
            | Extension::AbsSendTime
            | Extension::TransportSequence
            | Extension::TransmissionOffset => false,
        }
    }
}

/// The largest extension id that is negotiated; tables by id have this size plus one.
pub const MAX_EXTENSION_ID: u8 = 31;

/// Bytes of a header without CSRCs and extensions.
pub const FIXED_HEADER_LEN: usize = 12;

const VERSION_2: u8 = 0x80;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const MARKER_BIT: u8 = 0x80;

/// RFC 8285 §4.2.
const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// RFC 8285 §4.3: twelve fixed bits, then four "appbits" that we neither use nor carry.
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
    pub csrc_count: u8,
    /// Profile word (0xBEDE or 0x100X, others are carried as no extension), then start and length of the block's
    /// bytes without its four-byte head.
    pub extensions: Option<(u16, u16, u16)>,
    /// Where the payload begins: fixed header, CSRCs, and the extension block.
    pub len: usize,
}

impl Header {
    /// `None` if it is not RTP version 2, or if CSRCs or extensions overrun the packet.
    /// Works on protected packets: the header of SRTP is in the clear.
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
                // Both fit: they are within the packet (checked below), and a packet is shorter than 64 KiB.
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

    /// The elements of the extension block, id and bytes, one-byte and two-byte form. Ends at the first malformed one.
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
    /// payload. Empty where a packet is nothing but padding, as a bandwidth probe is.
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

/// What a subscriber's copy of a packet carries in its header.
#[derive(Clone, Copy, Debug)]
pub struct NewHeader<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Publisher's extension id → subscriber's; 0 drops the element.
    pub extension_ids: &'a [u8; MAX_EXTENSION_ID as usize + 1],
    /// The subscriber's own mid element: id and value.
    pub mid: Option<(u8, &'a [u8])>,
}

/// Writes a header into `out` and returns its length: CSRCs are dropped, extension elements of `source` are carried
/// over under their new ids (one-byte form unless an id or a length needs the two-byte form), P is clear.
/// `None` if `out` is too small.
pub fn write_header(out: &mut [u8], new: &NewHeader<'_>, source: &Header, source_packet: &[u8]) -> Option<usize> {
    let fixed = out.first_chunk_mut::<FIXED_HEADER_LEN>()?;
    fixed[0] = VERSION_2;
    fixed[1] = u8::from(new.marker) << 7 | (new.payload_type & !MARKER_BIT);
    fixed[2..4].copy_from_slice(&new.sequence.to_be_bytes());
    fixed[4..8].copy_from_slice(&new.timestamp.to_be_bytes());
    fixed[8..12].copy_from_slice(&new.ssrc.to_be_bytes());
    if source.extensions.is_none() && new.mid.is_none() {
        return Some(FIXED_HEADER_LEN);
    }
    let block = &mut out[FIXED_HEADER_LEN..];
    // Nearly every packet fits the one-byte form: try it, and write again in the other form where it does not.
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

/// Writes the whole extension block, its head included, and returns its length: 0 when nothing is carried.
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
mod tests;
