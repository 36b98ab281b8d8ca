//! The packets that clients send, and the receiver's notes about them. Each packet names its publisher, its stream, its
//! number and when it was sent, so that its receiver knows what it got.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use patchbay::media::peer::srtp::Outbound;
use patchbay::media::rtcp;
use patchbay::media::rtp::Header;

use crate::worker::media_client::{VIDEO_PT, rtp, vp8};

/// The time between frames. There are few, of one packet each: their effects do not depend on how many there are.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);
const TIMESTAMPS_PER_FRAME: u32 = 9_000;
/// The place of the stamp, behind the descriptor and the frame's header.
const STAMP_AT: usize = 16;
const STAMP_LEN: usize = 17;
const PAYLOAD_LEN: usize = 160;
/// Sent packets that are kept for repetitions.
const KEPT: usize = 32;
/// The longest gap that repetitions can close.
const GAP_MAX: u16 = 16;

/// The contents of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub publisher: u8,
    /// The number of the stream: each connection that publishes has one of its own.
    pub stream: u32,
    pub count: u32,
    pub sent_ms: u64,
}

impl Stamp {
    fn write(self, payload: &mut [u8]) {
        let filler = self.filler();
        payload[STAMP_AT..].fill(filler);
        let stamp = &mut payload[STAMP_AT..STAMP_AT + STAMP_LEN];
        stamp[0] = self.publisher;
        stamp[1..5].copy_from_slice(&self.stream.to_be_bytes());
        stamp[5..9].copy_from_slice(&self.count.to_be_bytes());
        stamp[9..].copy_from_slice(&self.sent_ms.to_be_bytes());
    }

    /// Reads a stamp. `None` if not every byte is as it was sent.
    pub fn read(payload: &[u8]) -> Option<Stamp> {
        let stamp = payload.get(STAMP_AT..STAMP_AT + STAMP_LEN)?;
        let stamp = Stamp {
            publisher: stamp[0],
            stream: u32::from_be_bytes(stamp[1..5].try_into().ok()?),
            count: u32::from_be_bytes(stamp[5..9].try_into().ok()?),
            sent_ms: u64::from_be_bytes(stamp[9..].try_into().ok()?),
        };
        let rest = &payload[STAMP_AT + STAMP_LEN..];
        let is_whole = payload.len() == PAYLOAD_LEN && rest.iter().all(|byte| *byte == stamp.filler());
        is_whole.then_some(stamp)
    }

    fn filler(self) -> u8 {
        self.publisher.wrapping_mul(31) ^ (self.count as u8)
    }
}

/// A camera.
pub struct Source {
    pub ssrc: u32,
    pub publisher: u8,
    pub stream: u32,
    pub next_frame: Instant,
    count: u32,
    /// The number of the next packet. It begins shortly before it wraps.
    sequence: u64,
    key_frame_wanted: bool,
    kept: VecDeque<(u16, Vec<u8>)>,
}

impl Source {
    pub fn new(now: Instant, publisher: u8, stream: u32) -> Source {
        Source {
            ssrc: 0x1_0000 + stream,
            publisher,
            stream,
            next_frame: now,
            count: 0,
            sequence: 65_500,
            key_frame_wanted: true,
            kept: VecDeque::new(),
        }
    }

    /// Under new keys: numbers go on, roll-overs are counted anew (RFC 3711 §3.3.1).
    pub fn begin(&mut self, now: Instant) {
        self.sequence &= 0xffff;
        self.next_frame = now;
        self.key_frame_wanted = true;
        self.kept.clear();
    }

    pub fn frame(&mut self, now: Instant, now_ms: u64, outbound: &Outbound) -> Vec<u8> {
        self.next_frame = now + FRAME_INTERVAL;
        let key = std::mem::take(&mut self.key_frame_wanted);
        let mut payload = vp8(key, self.count as u16 & 0x7fff, PAYLOAD_LEN);
        let stamp = Stamp {
            publisher: self.publisher,
            stream: self.stream,
            count: self.count,
            sent_ms: now_ms,
        };
        stamp.write(&mut payload);
        let sequence = self.sequence as u16;
        let timestamp = self.count.wrapping_mul(TIMESTAMPS_PER_FRAME);
        let packet = rtp(VIDEO_PT, true, sequence, timestamp, self.ssrc, &payload);
        let header = Header::parse(&packet).expect("a packet");
        let mut sealed = packet;
        sealed.resize(sealed.len() + outbound.profile().tag_len(), 0);
        outbound.seal_rtp(&mut sealed, header.len, self.ssrc, self.sequence);
        self.sequence += 1;
        self.count += 1;
        self.kept.push_back((sequence, sealed.clone()));
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        sealed
    }

    /// Takes the server's requests. Returns the packets to be sent again.
    pub fn take_feedback(&mut self, compound: &[u8]) -> Vec<Vec<u8>> {
        let mut again = Vec::new();
        for packet in rtcp::packets(compound) {
            match packet {
                rtcp::Packet::Pli { .. } | rtcp::Packet::Fir { .. } => self.key_frame_wanted = true,
                rtcp::Packet::Nack { pairs, .. } => rtcp::each_nacked(pairs, |sequence| {
                    let kept = self.kept.iter().find(|(kept, _)| *kept == sequence);
                    again.extend(kept.map(|(_, sealed)| sealed.clone()));
                }),
                _ => {}
            }
        }
        again
    }
}

/// The media that somebody gets of another.
pub struct Sink {
    /// The person who publishes them.
    pub publisher: u8,
    highest: Option<u16>,
    /// The newest packet of the stream that came last.
    pub last: Option<Stamp>,
}

impl Sink {
    pub fn of(publisher: u8) -> Sink {
        Sink {
            publisher,
            highest: None,
            last: None,
        }
    }

    /// Sequence numbers that have been left out before this one.
    pub fn missing_before(&mut self, sequence: u16) -> Vec<u16> {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return Vec::new();
        };
        let ahead = sequence.wrapping_sub(highest);
        if ahead == 0 || ahead > u16::MAX / 2 {
            return Vec::new();
        }
        self.highest = Some(sequence);
        let missing = (1..ahead).map(|step| highest.wrapping_add(step));
        missing.take(usize::from(GAP_MAX)).collect()
    }
}
