//! What a subscriber is told of its copy beside the packets: by which clock it runs, and how long to hold pictures back.

use std::time::Instant;

use super::Subscription;
use crate::media::codec::Kind;
use crate::media::rtcp::SenderInfo;
use crate::media::track::Track;

impl Subscription {
    /// The publisher's clock at `now`, on this copy's RTP time line: audio and video of one publisher share that clock,
    /// so they stay in sync (RFC 3550 §6.4.1). `None` until the publisher has sent a report and a packet was copied, and
    /// while its packets contradict that report.
    pub(crate) fn sender_info(&self, now: Instant, track: &Track) -> Option<SenderInfo> {
        let layer = &track.layers[usize::from(self.current_layer(track)?)];
        let (clock, newest) = (layer.clock?, layer.newest?);
        let clock_rate = track.clock_rate();
        clock.holds(now, &newest, clock_rate).then_some(SenderInfo {
            ssrc: self.ssrc,
            ntp: clock.ntp_at(now),
            rtp: clock
                .rtp_at(now, clock_rate)
                .wrapping_add(self.rewriter.timestamp_offset()?),
            packets: self.packets,
            octets: self.octets,
        })
    }

    /// Asks the client to hold pictures back by this value of the playout-delay extension, if it reads that. From then on the
    /// publisher's own value is not passed on.
    pub(crate) fn hold_back(&mut self, value: Option<[u8; 3]>) {
        if self.kind != Kind::Video || self.playout_id == 0 {
            self.playout = None;
            return;
        }
        self.playout = value;
        if value.is_some() {
            for id in self.extension_ids.iter_mut().filter(|id| **id == self.playout_id) {
                *id = 0;
            }
        }
    }
}
