//! The media of a simulated publisher, made so that a receiver can tell what it got: every packet says to which frame
//! it belongs, and which part it is.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rtc::rtp;

pub const VIDEO_CLOCK_HZ: u32 = 90_000;
pub const FRAME_INTERVAL: Duration = Duration::from_micros(33_333);
pub const AUDIO_INTERVAL: Duration = Duration::from_millis(20);

const KEY_FRAME_PACKETS: u8 = 10;
const DELTA_FRAME_PACKETS: u8 = 4;
/// The length with which packets are, with headers and authentication tag, about as long as libwebrtc's.
const PACKET_PAYLOAD_BYTES: usize = 1_100;

/// Which part of which frame a packet is: written into VP8 payloads, read back at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub frame: u32,
    pub index: u8,
    pub of: u8,
    pub key: bool,
}

/// A VP8 encoder's RTP: 30 frames a second, a key frame first and whenever one is asked for.
pub struct Camera {
    pub ssrc: u32,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub picture_id: u16,
    pub frame: u32,
    pub key_frame_wanted: bool,
}

impl Camera {
    /// Starts where counters are about to wrap, so that whoever handles a wrap wrongly is seen at once.
    pub fn new(ssrc: u32, payload_type: u8) -> Camera {
        Camera {
            ssrc,
            payload_type,
            sequence: 65_500,
            timestamp: u32::MAX - VIDEO_CLOCK_HZ,
            picture_id: 0x7ff0,
            frame: 0,
            key_frame_wanted: true,
        }
    }

    pub fn next_frame(&mut self) -> Vec<rtp::Packet> {
        let key = std::mem::take(&mut self.key_frame_wanted);
        let of = if key { KEY_FRAME_PACKETS } else { DELTA_FRAME_PACKETS };
        let packets = (0..of)
            .map(|index| {
                self.packet(Part {
                    frame: self.frame,
                    index,
                    of,
                    key,
                })
            })
            .collect();
        self.frame += 1;
        self.timestamp = self.timestamp.wrapping_add(VIDEO_CLOCK_HZ / 30);
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        packets
    }

    fn packet(&mut self, part: Part) -> rtp::Packet {
        let header = rtp::Header {
            version: 2,
            marker: part.index + 1 == part.of,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        rtp::Packet {
            header,
            payload: vp8_payload(self.picture_id, part),
        }
    }
}

/// RFC 7741 §4.2 and §4.3: descriptor with a 15-bit picture id, then the frame's header in its first packet.
fn vp8_payload(picture_id: u16, part: Part) -> Bytes {
    let mut payload = BytesMut::with_capacity(PACKET_PAYLOAD_BYTES);
    let first = part.index == 0;
    payload.put_u8(if first { 0x90 } else { 0x80 });
    payload.put_u8(0x80);
    payload.put_u16(0x8000 | picture_id);
    if first {
        // Inverse key frame flag, version 0, shown; then RFC 6386 §9.1's start code and a size.
        payload.put_u8(if part.key { 0x10 } else { 0x11 });
        payload.put_u16(0);
        if part.key {
            payload.put_slice(&[0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
        }
    }
    payload.resize(PACKET_PAYLOAD_BYTES - 7, 0xa5);
    payload.put_u32(part.frame);
    payload.put_slice(&[part.index, part.of, u8::from(part.key)]);
    payload.freeze()
}

/// The fields of a received VP8 payload: its part, and the picture id of its descriptor.
pub fn read_vp8(payload: &[u8]) -> Option<(Part, u16)> {
    let (rest, tail) = payload.split_at_checked(payload.len().checked_sub(7)?)?;
    let frame = u32::from_be_bytes(tail[..4].try_into().ok()?);
    let part = Part {
        frame,
        index: tail[4],
        of: tail[5],
        key: tail[6] == 1,
    };
    let picture_id = u16::from_be_bytes([*rest.get(2)? & 0x7f, *rest.get(3)?]);
    Some((part, picture_id))
}

/// An Opus encoder's RTP: one packet in 20 ms, whose payload counts.
pub struct Microphone {
    pub ssrc: u32,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub count: u32,
}

impl Microphone {
    pub fn new(ssrc: u32, payload_type: u8) -> Microphone {
        Microphone {
            ssrc,
            payload_type,
            sequence: 65_530,
            timestamp: u32::MAX - 4_800,
            count: 0,
        }
    }

    pub fn next_packet(&mut self) -> rtp::Packet {
        let header = rtp::Header {
            version: 2,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        let mut payload = BytesMut::with_capacity(80);
        payload.put_u8(0xfc);
        payload.put_u32(self.count);
        payload.resize(80, 0x5a);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(960);
        self.count += 1;
        rtp::Packet {
            header,
            payload: payload.freeze(),
        }
    }
}

/// The count of a received audio payload.
pub fn read_audio(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(payload.get(1..5)?.try_into().ok()?))
}
