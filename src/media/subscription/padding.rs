//! Packets that only load the path to a subscriber, so that it is learned what the path carries.

use std::time::Instant;

use super::Subscription;
use super::packet::{OutgoingPacket, Rtx};
use super::sending::How;
use crate::media::codec::Kind;
use crate::media::codec::vp8::Continuous;
use crate::media::peer::sender::Sink;
use crate::media::rewrite::Rewritten;
use crate::media::rtp::{FIXED_HEADER_LEN, Header};
use crate::media::track::Track;

/// The least packet that serves as padding. Shorter ones would make a probe of many packets, each of which costs a seal.
const PADDING_BYTES: usize = 700;
/// Packets that are passed over in search of one that is long enough: those of a few frames.
const PASSED_OVER: usize = 32;
/// The newest packets of a copy that serve as padding: about half a second. Older ones repair nothing.
const PADDING_WINDOW: u16 = 128;

impl Subscription {
    /// Whether its packets may have transport-wide numbers.
    pub(crate) fn is_numbered(&self) -> bool {
        self.number_id != 0
    }

    /// Whether its client says what has come of probes: by the numbers of packets, or by its own estimate.
    fn tells_of_probes(&self) -> bool {
        self.is_numbered() || self.is_estimated()
    }

    /// Whether its path can be probed by packets of this copy, also while nothing else is sent. A client that sends its own estimate
    /// may do so only when that changes.
    pub(crate) fn is_probed(&self) -> bool {
        self.kind == Kind::Video
            && self.is_numbered()
            && self.codecs.iter().any(|codec| codec.rtx_payload_type.is_some())
    }

    /// Whether its client sends an estimate of its own.
    pub(crate) fn is_estimated(&self) -> bool {
        self.codecs.iter().any(|codec| codec.feedback.remb)
    }

    /// Loads the path with one of the newest packets of the copy, sent once more: one that is long enough, behind `back` others.
    /// Sends nothing if there is none, or if the client could not tell of it.
    pub(crate) fn send_padding(&mut self, now: Instant, back: &mut u16, track: &Track, sink: &mut Sink<'_>) {
        if self.kind != Kind::Video || !self.tells_of_probes() || !self.may_pad {
            return;
        }
        for _ in 0..PASSED_OVER {
            let sequence = (self.newest_sent() as u16).wrapping_sub(*back);
            *back = (*back + 1) % PADDING_WINDOW;
            let how = How::Again { least: PADDING_BYTES };
            if self.send_kept(now, sequence, track, sink, how).is_some() {
                return;
            }
        }
    }

    /// Loads the path with a packet of the stream of retransmissions that has nothing but padding, if the client has negotiated
    /// such a stream.
    pub(crate) fn send_empty(&mut self, now: Instant, sink: &mut Sink<'_>) {
        let mut empty = [0; FIXED_HEADER_LEN];
        empty[0] = 0x80;
        let payload_type = self.codecs.iter().find_map(|codec| codec.rtx_payload_type);
        let (Some(payload_type), Some(header)) = (payload_type, Header::parse(&empty)) else {
            return;
        };
        if self.kind != Kind::Video || !self.tells_of_probes() {
            return;
        }
        let source = OutgoingPacket {
            header: &header,
            packet: &empty,
            payload: &[],
            payload_type,
            padding: u8::MAX,
            vp8: None,
            descriptor: None,
            is_last: false,
            repeats: None,
            after_pause: false,
        };
        let nothing = Rewritten {
            sequence: 0,
            timestamp: 0,
            vp8: Continuous::default(),
        };
        let rtx = Rtx {
            payload_type,
            index: self.rtx_sequence,
            repeats: false,
        };
        if self.write(now, &nothing, &source, Some(rtx), sink).is_some() {
            self.rtx_sequence += 1;
        }
    }
}
