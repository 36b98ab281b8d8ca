//! Writing, sealing and sending a packet of a copy, for the first time or once more.

use std::time::{Duration, Instant};

use super::Subscription;
use super::packet::{DescriptorRoom, OutgoingPacket, Rtx, pad};
use crate::media::codec::{Codec, Kind, vp8};
use crate::media::peer::sender::Sink;
use crate::media::rewrite::Rewritten;
use crate::media::rtp::{Header, NewHeader, write_header};
use crate::media::tcp::outgoing::Importance;
use crate::media::track::Track;

/// Packets sent again to one subscription within [`RESEND_WINDOW`]: a burst loss of a whole key frame (some 60 packets)
/// twice over. More would let NACKs multiply what a subscriber costs.
const MAX_RESENDS: u16 = 128;
const RESEND_WINDOW: Duration = Duration::from_millis(200);

impl Subscription {
    /// Writes, seals and sends one packet; returns its payload's length. With `rtx`, in the stream of retransmissions.
    pub(super) fn write(
        &self,
        now: Instant,
        numbers: &Rewritten,
        source: &OutgoingPacket<'_>,
        rtx: Option<Rtx>,
        sink: &mut Sink<'_>,
    ) -> Option<usize> {
        let (room, sender) = sink.room()?;
        let (payload_type, ssrc, index) = match rtx {
            Some(rtx) => (rtx.payload_type, self.rtx_ssrc, rtx.index),
            None => (source.payload_type, self.ssrc, numbers.sequence),
        };
        let header = NewHeader {
            // RFC 3551 §4.1: the first packet after a pause has the marker. RFC 9628 §4.1: so has the last of a picture.
            marker: source.header.marker || source.after_pause || source.is_last,
            payload_type,
            sequence: index as u16,
            timestamp: numbers.timestamp,
            ssrc,
            extension_ids: &self.extension_ids,
            mid: (self.mid_id != 0).then_some((self.mid_id, self.mid.as_slice())),
            number: sender
                .next_number()
                .filter(|_| self.number_id != 0 && !self.repeats_packets())
                .map(|number| (self.number_id, number)),
            playout: self.playout.map(|value| (self.playout_id, value)),
            descriptor: source.descriptor,
        };
        let numbered = header.number.is_some();
        let header_len = write_header(room, &header, source.header, source.packet)?;
        let mut at = header_len;
        if rtx.is_some_and(|rtx| rtx.repeats) {
            room.get_mut(at..at + 2)?
                .copy_from_slice(&(numbers.sequence as u16).to_be_bytes());
            at += 2;
        }
        let end = at + source.payload_len();
        let padded = end + usize::from(source.padding);
        let len = padded + sender.outbound.profile().tag_len();
        let packet = room.get_mut(..len)?;
        source.write_payload(&mut packet[at..end])?;
        if source.padding > 0 {
            pad(packet, end, source.padding);
        }
        if let Some(descriptor) = source.vp8 {
            vp8::rewrite(&mut packet[at..end], descriptor, &numbers.vp8);
        }
        sender.outbound.seal_rtp(packet, header_len, ssrc, index);
        let importance = match self.kind {
            Kind::Video => Importance::Video,
            Kind::Audio => Importance::Kept,
        };
        sink.commit(now, len, numbered, importance);
        Some(end - at)
    }

    /// Sends a packet of the copy once more, if it is still kept.
    pub(crate) fn resend(&mut self, now: Instant, sequence: u16, track: &Track, sink: &mut Sink<'_>) -> Option<()> {
        if now.saturating_duration_since(self.resends_since) >= RESEND_WINDOW {
            (self.resends, self.resends_since) = (0, now);
        }
        if self.resends >= MAX_RESENDS {
            return None;
        }
        self.send_kept(now, sequence, track, sink, How::Again { least: 0 })?;
        self.resends += 1;
        Some(())
    }

    /// Sends a kept packet of the copy. Returns the bytes of its payload.
    pub(super) fn send_kept(
        &mut self,
        now: Instant,
        sequence: u16,
        track: &Track,
        sink: &mut Sink<'_>,
        how: How,
    ) -> Option<usize> {
        let origin = self.rewriter.origin(sequence)?;
        if self.history.is_short() && self.rewriter.source() != Some(origin.source) {
            // Of the layer that was left because it did not fit.
            return None;
        }
        let layer = track.layers.iter().find(|layer| layer.source == origin.source)?;
        let packet = layer.kept(origin.sequence).filter(|packet| how.takes(packet))?;
        let header = Header::parse(packet)?;
        let codec = track.codec(header.payload_type)?.codec;
        let mut source = self.outgoing(&header, packet)?;
        if self.rewriter.is_empty(&origin) {
            source.payload = &[];
        }
        let vp8 = if codec == Codec::Vp8 {
            vp8::parse(source.payload)
        } else {
            None
        };
        let numbers = self.rewriter.again(&origin, header.timestamp, vp8.as_ref())?;
        let padding = how.padding().filter(|_| !source.payload.is_empty());
        let source = OutgoingPacket {
            padding: padding.unwrap_or(0),
            vp8: vp8.as_ref(),
            ..source
        };
        let mut room = DescriptorRoom::new();
        let source = match (self.framed_again(now, source, track, layer, &mut room), how) {
            (Some(framed), _) => framed,
            (None, How::First { .. }) => {
                // Its frame is nothing to the subscriber any more, but its number is taken.
                self.rewriter.empty(&origin);
                let (payload, vp8) = (&[][..], None);
                OutgoingPacket {
                    payload,
                    padding: 0,
                    vp8,
                    ..source
                }
            }
            (None, How::Again { .. }) => return None,
        };
        match how {
            How::First { .. } => return self.write(now, &numbers, &source, None, sink),
            How::Again { .. } if self.behind.holds(numbers.sequence) || self.is_given_up(numbers.sequence) => {
                return None;
            }
            How::Again { .. } => {}
        }
        let rtx = self
            .codecs
            .iter()
            .find(|ours| ours.payload_type == source.payload_type)
            .and_then(|ours| ours.rtx_payload_type)
            .map(|payload_type| Rtx {
                payload_type,
                index: self.rtx_sequence,
                repeats: true,
            });
        let from_before = numbers.sequence.wrapping_sub(self.resend_floor).wrapping_sub(1) > u64::MAX / 2;
        let is_numbered = self.number_id != 0 && !self.repeats_packets() && sink.sender.next_number().is_some();
        if rtx.is_none() && (from_before || is_numbered) {
            return None;
        }
        let payload_len = self.write(now, &numbers, &source, rtx, sink)?;
        match rtx {
            // A stream of its own, with its own sender report counters, which nobody asks for.
            Some(_) => self.rtx_sequence += 1,
            None => self.count(payload_len),
        }
        Some(payload_len)
    }
}

/// How a packet that is kept is sent.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// For the first time, after it has waited.
    First { padding: u8 },
    /// Once more, if it has so many bytes at least.
    Again { least: usize },
}

impl How {
    fn takes(self, packet: &[u8]) -> bool {
        match self {
            How::First { .. } => true,
            How::Again { least } => packet.len() >= least,
        }
    }

    fn padding(self) -> Option<u8> {
        match self {
            How::First { padding } => Some(padding),
            How::Again { .. } => None,
        }
    }
}
