//! Beginning with pictures that have come before: the newest key frame of the layer, and all after it. The viewer's copy is then
//! behind its track, and catches up.

use std::time::{Duration, Instant};

use super::Subscription;
use crate::media::packet::Arrived;
use crate::media::peer::sender::Sink;
use crate::media::track::{Group, Track};

impl Subscription {
    /// How long before the last packet that was sent a group of its target layer began, with which the copy is to go on. That much its
    /// viewer sees again. Nothing after a pause, and where another layer of the track has stopped before the group began. `None` if
    /// the copy may not begin with a group.
    pub(crate) fn goes_back(&self, group: &Group, track: &Track) -> Option<Duration> {
        let source = self.rewriter.source();
        if source.is_some_and(|source| track.layers.iter().all(|layer| layer.source != source)) {
            return Some(Duration::ZERO);
        }
        // Packets of the other layer that still wait have their numbers, and are sent first.
        if source.is_some() && self.is_behind() {
            return None;
        }
        let last = self.rewriter.last_at();
        let back = last.map_or(Duration::ZERO, |last| last.saturating_duration_since(group.begun));
        // Packets that have come of the source that it has keep their numbers.
        (back.is_zero() || source != Some(group.source)).then_some(back)
    }

    /// Begins with a group of the layer that is its target. Its pictures wait for their turn, or are sent at once. Returns how many
    /// packets were sent; `None` if it cannot begin.
    pub(crate) fn begin_with(
        &mut self,
        now: Instant,
        group: &Group,
        track: &Track,
        waits: bool,
        sink: &mut Sink<'_>,
    ) -> Option<u64> {
        let at = self.target?;
        let layer = track.layers.get(usize::from(at))?;
        let newest = layer.newest?;
        self.forget_behind();
        if waits {
            self.wait_from_here();
        }
        let mut sent = 0;
        for extended in group.first..=newest.extended {
            // What has just come is forwarded to all after this.
            let comes =
                |arrived: &Arrived| (arrived.packet.source, arrived.packet.extended) == (group.source, extended);
            if track.arrivals.iter().any(comes) {
                continue;
            }
            if let Some((arrived, packet)) = track.recall(at, extended, group) {
                // The first picture has the time at which it came, so that the others are not ahead of theirs.
                let came = if extended == group.first { group.begun } else { now };
                sent += u64::from(self.forward(came, &arrived, packet, track, sink).is_some());
            }
        }
        if self.rewriter.source() != Some(group.source) {
            self.forget_behind();
            return None;
        }
        self.replayed = Some(now);
        Some(sent)
    }

    /// Whether a request for a key frame is to be passed over: it is the first after a beginning with pictures that had come
    /// before, which may still be on their way.
    pub(crate) fn passes_over_request(&mut self, now: Instant, wait: Duration) -> bool {
        let Some(since) = self.replayed.take() else {
            return false;
        };
        self.is_behind() || now.saturating_duration_since(since) < wait
    }
}
