//! RTP (RFC 3550 §5.1) and its header extensions (RFC 8285), read in place and written into a ready buffer.

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
    pub fn from_uri(_uri: &str) -> Option<Extension> {
        todo!()
    }

    pub fn uri(self) -> &'static str {
        todo!()
    }

    /// Whether what a publisher put into it still holds at a subscriber. The others describe the publisher's own
    /// connection (its mid and rid, its send times) and end at the server.
    pub fn is_end_to_end(self) -> bool {
        todo!()
    }
}

/// The largest extension id that is negotiated; tables by id have this size plus one.
pub const MAX_EXTENSION_ID: u8 = 31;

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
    /// Profile word (0xBEDE or 0x100X, others are carried as no extension) and the block's bytes without its four-byte head.
    pub extensions: Option<(u16, u16, u16)>,
    /// Where the payload begins: fixed header, CSRCs, and the extension block.
    pub len: usize,
}

impl Header {
    /// `None` if it is not RTP version 2, or if CSRCs or extensions overrun the packet.
    /// Works on protected packets: the header of SRTP is in the clear.
    pub fn parse(_packet: &[u8]) -> Option<Header> {
        todo!()
    }

    /// The elements of the extension block, id and bytes, one-byte and two-byte form. Ends at the first malformed one.
    pub fn elements<'a>(&self, _packet: &'a [u8]) -> Elements<'a> {
        todo!()
    }

    /// The payload without padding, of an unprotected packet. `None` if the padding length is zero or longer than the payload.
    pub fn payload(&self, _packet: &[u8]) -> Option<Range<usize>> {
        todo!()
    }
}

pub struct Elements<'a> {
    pub rest: &'a [u8],
    pub two_byte: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        todo!()
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
pub fn write_header(_out: &mut [u8], _new: &NewHeader<'_>, _source: &Header, _source_packet: &[u8]) -> Option<usize> {
    todo!()
}

/// Signed distance from `b` to `a` in sequence space (RFC 1982): positive when `a` is newer.
pub fn sequence_distance(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b) as i16
}
