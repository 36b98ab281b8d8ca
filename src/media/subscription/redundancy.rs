//! Earlier sound that is sent once more beside the newest, to clients that lose packets: in the same packet (RED, RFC 2198) if they
//! can read that. To all others the earlier packets are sent again as they were. SRTP drops those that the client has.

use std::time::Instant;

use super::Subscription;
use super::packet::{Blocks, OutgoingPacket, RedTypes, Repeats};
use super::sending::How;
use crate::media::codec::red::{self, Earlier};
use crate::media::codec::{Codec, Kind};
use crate::media::packet::BatchPacket;
use crate::media::peer::sender::Sink;
use crate::media::redundancy::{DISTANCE_MAX, affordable};
use crate::media::rtp::Header;
use crate::media::track::Track;

/// Bytes of the longest payload that is made. With headers and protection it fits wherever QUIC does (RFC 9000 §14).
const PAYLOAD_BYTES_MAX: usize = 1_080;

impl Subscription {
    /// The types under which the client reads earlier sound, if it does.
    pub(super) fn negotiated_red(&self) -> Option<RedTypes> {
        let of = |wanted| {
            let mut found = self.codecs.iter().filter(move |ours| ours.codec == wanted);
            found
                .next()
                .map(|ours| ours.payload_type)
                .filter(|_| found.next().is_none())
        };
        let (red, opus) = (of(Codec::Red)?, of(Codec::Opus)?);
        Some(RedTypes { red, opus })
    }

    /// Takes the loss that the client has reported for this copy.
    pub(crate) fn reported_loss(&mut self, lost_256: u8) {
        let times = if self.repeats_packets() { 1 + self.distance() } else { 1 };
        self.redundancy.reported(lost_256, times);
    }

    /// Settles how many packets are repeated. `path_256` is what its path loses, if that is known, and `sound` what all sound of its
    /// connection takes of the `target` that the path carries.
    pub(crate) fn settle_distance(&mut self, path_256: u8, sound: u64, target: Option<u64>) {
        if self.kind != Kind::Audio {
            return;
        }
        self.redundancy.path(path_256);
        let wanted = self.redundancy.distance();
        let distance = target.map_or(wanted, |target| affordable(wanted, sound, target));
        if self.distance == 0 && distance > 0 && self.is_numbered() {
            // Those that have a transport-wide number cannot be sent again without one.
            self.resend_floor = self.resend_floor.max(self.rewriter.highest_sequence());
        }
        self.distance = distance as u8;
    }

    /// The share of packets that are lost on the way to its client, in 1/256, if nothing is repeated. Else 0.
    pub(crate) fn loss_without_repeats(&self) -> u8 {
        match self.distance {
            0 => self.redundancy.loss_256(),
            _ => 0,
        }
    }

    /// Whether anything is known to be lost, or is repeated.
    pub(crate) fn has_losses(&self) -> bool {
        self.distance > 0 || self.redundancy.loss_256() > 0
    }

    /// Whether whole packets are sent again. These have no transport-wide number: with another one they would be other bytes under
    /// the same SRTP index.
    pub(crate) fn repeats_packets(&self) -> bool {
        self.distance > 0 && self.red.is_none()
    }

    /// Sends the packets before this one again, as many as are to be repeated and are still kept.
    pub(super) fn repeat_packets(&mut self, now: Instant, sequence: u64, track: &Track, sink: &mut Sink<'_>) {
        for back in 1..=u64::from(self.distance) {
            let how = How::Again { least: 0 };
            let _ = self.send_kept(now, sequence.wrapping_sub(back) as u16, track, sink, how);
        }
    }

    /// The number of packets that each packet repeats.
    pub(crate) fn distance(&self) -> usize {
        usize::from(self.distance)
    }

    /// Adds the sound of the packets before this one, as many as are to be repeated and are still kept.
    pub(super) fn with_earlier<'a>(
        &self,
        source: OutgoingPacket<'a>,
        arrival: &BatchPacket,
        track: &'a Track,
        blocks: &'a mut Blocks<'a>,
    ) -> OutgoingPacket<'a> {
        let Some(types) = self.red.filter(|_| self.distance > 0 && !source.payload.is_empty()) else {
            return source;
        };
        let Some(primary) = self.sound(&arrival.header, source.packet, types) else {
            return source;
        };
        let layer = track.layers.get(usize::from(arrival.layer));
        let Some(layer) = layer.filter(|layer| layer.source == arrival.source) else {
            return source;
        };
        let (mut len, mut first) = (1 + primary.len(), DISTANCE_MAX);
        for back in 1..=u64::from(self.distance) {
            let Some(packet) = layer.kept(arrival.extended.wrapping_sub(back)) else {
                continue;
            };
            let Some(earlier) = self.earlier(packet, arrival, types) else {
                continue;
            };
            len += 4 + earlier.audio.len();
            if len > PAYLOAD_BYTES_MAX || first == 0 {
                break;
            }
            first -= 1;
            blocks[first] = earlier;
        }
        let blocks = &blocks[first..];
        if blocks.is_empty() {
            return source;
        }
        OutgoingPacket {
            payload: primary,
            payload_type: types.red,
            repeats: Some(Repeats {
                blocks,
                payload_type: types.opus,
            }),
            ..source
        }
    }

    /// The sound of an earlier packet, if it can stand beside that of `arrival`.
    fn earlier<'a>(&self, packet: &'a [u8], arrival: &BatchPacket, types: RedTypes) -> Option<Earlier<'a>> {
        let header = Header::parse(packet)?;
        let audio = self.sound(&header, packet, types)?;
        let age = arrival.header.timestamp.wrapping_sub(header.timestamp);
        let fits = (1..=red::AGE_MAX).contains(&age) && audio.len() <= red::BLOCK_BYTES_MAX;
        fits.then_some(Earlier { age, audio })
    }

    /// The Opus in a packet.
    fn sound<'a>(&self, header: &Header, packet: &'a [u8], types: RedTypes) -> Option<&'a [u8]> {
        let audio = packet.get(header.len..)?;
        let ours = self.payload_types[usize::from(header.payload_type & 0x7f)];
        (ours == types.opus && !audio.is_empty()).then_some(audio)
    }
}
