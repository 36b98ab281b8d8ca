//! The spatial and temporal layers that a copy has: which frames it takes, and when it needs a key frame for more of them. Packets with
//! a dependency descriptor say what they need in it, others in the words of their codec.

use std::time::Instant;

use super::Subscription;
use super::packet::{DescriptorRoom, OutgoingPacket, Verdict};
use crate::media::codec::dependency::{self, Arrival, Decision, Frame, GROWTH};
use crate::media::codec::{Codec, FrameMark, Layers};
use crate::media::packet::{Arrived, BatchPacket, Dependency};
use crate::media::track::{Layer, Track};

/// A frame of which the copy has packets, and what was decided about it.
#[derive(Clone, Copy)]
pub(super) struct Described {
    frame: Frame,
    decision: Decision,
}

impl Subscription {
    /// Whether only a key frame brings the layers that it is to have: spatial ones seldom begin elsewhere, and where temporal ones
    /// begin some senders never say.
    pub(super) fn waits_to_open(&self, track: &Track, layer: &Layer) -> bool {
        self.waits_described(track, layer)
            .unwrap_or_else(|| self.filter.waits() && (self.filter.waits_for_size() || !layer.shares.has_openings))
    }

    /// Whether it waits for some of the layers that it is to have.
    pub(super) fn waits_for_layers(&self, track: &Track) -> bool {
        let current = self
            .current_layer(track)
            .and_then(|at| track.layers.get(usize::from(at)));
        let described = current.and_then(|layer| self.waits_described(track, layer));
        described.unwrap_or_else(|| self.filter.waits())
    }

    /// Whether only a key frame brings them, if the layer has dependency descriptors.
    fn waits_described(&self, track: &Track, layer: &Layer) -> Option<bool> {
        let codec = track.format(layer)?.codec;
        let (selection, structure) = (self.selection.as_ref()?, layer.stream.structure()?);
        Some(selection.needs_key_frame(structure, self.wanted_layers(codec)))
    }

    /// Whether its client can show more than the smallest size of a stream. Receivers of AV1 find the frames of a picture by the
    /// dependency descriptor alone: without it, Chromium shows nothing of a stream of several sizes.
    pub(super) fn shows_sizes(&self, codec: Codec) -> bool {
        self.descriptor_id != 0 || !matches!(codec, Codec::Av1 { .. })
    }

    /// The highest layers that it is to have.
    fn wanted_layers(&self, codec: Codec) -> Layers {
        let limit = self.filter.highest();
        Layers {
            spatial: if self.shows_sizes(codec) { limit.spatial } else { 0 },
            temporal: limit.temporal,
        }
    }

    /// Whether the copy has the frame of this packet: whether it is of layers that the copy has. Also what is to be said of it.
    #[inline]
    pub(super) fn takes_frame(
        &mut self,
        now: Instant,
        arrived: &Arrived,
        track: &Track,
        goes_on: bool,
    ) -> (Verdict, Option<Described>) {
        let arrival = &arrived.packet;
        match (&arrived.dependency, arrival.mark) {
            (Dependency::Frame(frame), _) => self.takes_described(now, arrival, frame, track, goes_on),
            (Dependency::Over, _) => (Verdict::LeavesOut, None),
            (_, Some(mark)) => (self.takes_marked(arrival, mark), None),
            (_, None) => (Verdict::Takes, None),
        }
    }

    /// By what the codec says. A frame that was missing altogether is taken, whatever its layers are: its place and its number are free,
    /// and subscribers wait for it.
    fn takes_marked(&mut self, arrival: &BatchPacket, mark: FrameMark) -> Verdict {
        let timestamp = arrival.header.timestamp;
        if arrival.late {
            return match self.rewriter.has_left_out(timestamp, mark.spatial) {
                true => Verdict::LeavesOut,
                false if self.ends_picture(timestamp, mark) => Verdict::TakesAsLast,
                false => Verdict::Takes,
            };
        }
        let takes = self.filter.takes(mark, timestamp, arrival.entry.is_open());
        let top = self.filter.top();
        if let Some(top) = top {
            // Also where the lower layers are still to come.
            self.rewriter.end_pictures_at(timestamp, top);
        }
        match takes {
            true if mark.ends && top == Some(mark.spatial) => Verdict::TakesAsLast,
            true => Verdict::Takes,
            false => Verdict::LeavesOut,
        }
    }

    /// By what the descriptor says. `goes_on` is false where the copy takes up this stream.
    fn takes_described(
        &mut self,
        now: Instant,
        arrival: &BatchPacket,
        frame: &Frame,
        track: &Track,
        goes_on: bool,
    ) -> (Verdict, Option<Described>) {
        let selection = self.selection.get_or_insert_default();
        if !goes_on {
            selection.begin_anew();
        } else if self.rewriter.source() != Some(arrival.source) {
            // Its stream was left, and with it what descriptors refer to.
            return (Verdict::LeavesOut, None);
        }
        let layer = track.layers.get(usize::from(arrival.layer));
        let asked = Arrival {
            frame,
            timestamp: arrival.header.timestamp,
            marker: arrival.header.marker,
            is_late: arrival.late,
        };
        let decision = layer.and_then(|layer| self.decide(now, asked, arrival.codec, layer));
        match decision {
            Some(decision) if decision.forwards => {
                let verdict = match decision.ends_picture && !arrival.header.marker {
                    true => Verdict::TakesAsLast,
                    false => Verdict::Takes,
                };
                let frame = *frame;
                (verdict, Some(Described { frame, decision }))
            }
            _ => {
                if !goes_on {
                    // It cannot begin here, and what was decided about the stream before is forgotten.
                    self.rewriter.pause();
                }
                (Verdict::LeavesOut, None)
            }
        }
    }

    /// Asks the selection about a packet. `None` if the frame goes with a structure that is over.
    fn decide(&mut self, now: Instant, arrival: Arrival<'_>, codec: Codec, layer: &Layer) -> Option<Decision> {
        let wanted = self.wanted_layers(codec);
        let structure = layer.stream.structure_of(arrival.frame)?;
        Some(self.selection.as_mut()?.select(structure, arrival, wanted, now))
    }

    /// The dependency descriptor of the copy of a packet, and its id.
    pub(super) fn descriptor<'r>(
        &self,
        described: &Described,
        source: &OutgoingPacket<'_>,
        track: &Track,
        room: &'r mut DescriptorRoom,
    ) -> Option<(u8, &'r [u8])> {
        if self.descriptor_id == 0 {
            return None;
        }
        let Described { frame, decision } = described;
        let descriptor = track.descriptor(source.header, source.packet)?;
        room.resize((descriptor.len() + GROWTH).min(room.inline_size()), 0);
        let written = dependency::write(descriptor, frame, decision.number, decision.active, room);
        // A mask helps. Without it, the receiver hopes for what will not come.
        let len = written.or_else(|| dependency::write(descriptor, frame, decision.number, None, room))?;
        Some((self.descriptor_id, room.get(..len)?))
    }

    /// A packet that is kept, with what was said of its frame when it was sent first. `None` if it is not to be sent any more.
    pub(super) fn framed_again<'a>(
        &mut self,
        now: Instant,
        source: OutgoingPacket<'a>,
        track: &Track,
        layer: &Layer,
        room: &'a mut DescriptorRoom,
    ) -> Option<OutgoingPacket<'a>> {
        if source.payload.is_empty() {
            return Some(source);
        }
        let codec = track.codec(source.header.payload_type)?.codec;
        match layer.describe_again(track.descriptor(source.header, source.packet)) {
            Dependency::None => {
                let mark = codec.mark(source.payload, source.vp8);
                let is_last = mark.is_some_and(|mark| self.ends_picture(source.header.timestamp, mark));
                Some(OutgoingPacket { is_last, ..source })
            }
            Dependency::Frame(frame) if self.rewriter.source() == Some(layer.source) => {
                let arrival = Arrival {
                    frame: &frame,
                    timestamp: source.header.timestamp,
                    marker: source.header.marker,
                    is_late: true,
                };
                let decision = self.decide(now, arrival, codec, layer)?;
                let described = Described { frame, decision };
                decision.forwards.then(|| OutgoingPacket {
                    is_last: decision.ends_picture,
                    descriptor: self.descriptor(&described, &source, track, room),
                    ..source
                })
            }
            Dependency::Frame(_) | Dependency::Unreadable | Dependency::Over => None,
        }
    }

    /// Whether a packet is the last of the copy's part of its picture, which lacks higher spatial layers.
    fn ends_picture(&self, timestamp: u32, mark: FrameMark) -> bool {
        mark.ends && self.rewriter.top_of(timestamp) == Some(mark.spatial)
    }
}
