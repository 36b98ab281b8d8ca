//! The temporal layers that a copy has: which pictures it takes, and when it needs a key frame for more of them.

use super::Subscription;
use crate::media::packet::BatchPacket;
use crate::media::track::Layer;

impl Subscription {
    /// Whether only a key frame brings the temporal layers that it is to have: the sender never says where else they begin.
    pub(super) fn waits_to_open(&self, layer: &Layer) -> bool {
        self.temporal.waits() && !layer.temporal.has_openings
    }

    /// Whether the copy has the picture of this packet: whether it is of a temporal layer that the copy has. A picture that was
    /// missing altogether is taken, whatever its layer is: its place and its number are free, and subscribers wait for it.
    #[inline]
    pub(super) fn takes_picture(&mut self, arrival: &BatchPacket) -> bool {
        let Some(temporal) = arrival.temporal else { return true };
        let timestamp = arrival.header.timestamp;
        match arrival.late {
            true => !self.rewriter.has_left_out(timestamp),
            false => self.temporal.takes(temporal, timestamp, arrival.entry.is_open()),
        }
    }
}
