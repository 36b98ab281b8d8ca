//! The spatial and temporal layers that a copy has: which frames it takes, and when it needs a key frame for more of them.

use super::Subscription;
use super::packet::Verdict;
use crate::media::codec::FrameMark;
use crate::media::packet::BatchPacket;
use crate::media::track::Layer;

impl Subscription {
    /// Whether only a key frame brings the layers that it is to have: spatial ones seldom begin elsewhere, and where temporal ones
    /// begin some senders never say.
    pub(super) fn waits_to_open(&self, layer: &Layer) -> bool {
        self.filter.waits() && (self.filter.waits_for_size() || !layer.shares.has_openings)
    }

    /// Whether the copy has the frame of this packet: whether it is of layers that the copy has. A frame that was missing altogether
    /// is taken, whatever its layers are: its place and its number are free, and subscribers wait for it.
    #[inline]
    pub(super) fn takes_frame(&mut self, arrival: &BatchPacket) -> Verdict {
        let Some(mark) = arrival.mark else {
            return Verdict::Takes;
        };
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

    /// Whether a packet is the last of the copy's part of its picture, which lacks higher spatial layers.
    pub(super) fn ends_picture(&self, timestamp: u32, mark: FrameMark) -> bool {
        mark.ends && self.rewriter.top_of(timestamp) == Some(mark.spatial)
    }
}
