//! What the subscriber is told of its copy's clock.

use std::time::Instant;

use super::Subscription;
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
}
