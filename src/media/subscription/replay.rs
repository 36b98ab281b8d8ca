//! Beginning with pictures that have come before: the newest key frame of the layer, and all after it. The viewer's copy is then
//! behind its track, and catches up.

use std::time::{Duration, Instant};

use super::Subscription;
use crate::media::peer::sender::Sink;
use crate::media::track::{Group, Track};

impl Subscription {
    /// Whether it may begin with a group of its target layer: nothing that came later was sent before, since nobody wants to see
    /// the last seconds again. So after a pause, and where another layer of the track has stopped before the group began.
    pub(crate) fn may_begin_with(&self, group: &Group, track: &Track) -> bool {
        let source = self.rewriter.source();
        if source.is_some_and(|source| track.layers.iter().all(|layer| layer.source != source)) {
            return true;
        }
        // Packets of the other layer that still wait have their numbers, and are sent first.
        let is_clear = source.is_none() || !self.is_behind();
        is_clear && self.rewriter.last_at().is_none_or(|last| last <= group.begun)
    }

    /// Begins with a group of the layer that is its target. False if that fails.
    pub(crate) fn begin_with(&mut self, now: Instant, group: &Group, track: &Track, sink: &mut Sink<'_>) -> bool {
        let Some((at, layer)) = self
            .target
            .and_then(|at| Some((at, track.layers.get(usize::from(at))?)))
        else {
            return false;
        };
        let Some(newest) = layer.newest else { return false };
        self.forget_behind();
        self.wait_from_here();
        for extended in group.first..=newest.extended {
            if let Some((arrived, packet)) = track.recall(at, extended, group) {
                // The first picture has the time at which it came, so that the others are not ahead of theirs.
                let came = if extended == group.first { group.begun } else { now };
                self.forward(came, &arrived, packet, track, sink);
            }
        }
        let has_begun = self.rewriter.source() == Some(group.source);
        if has_begun {
            self.replayed = Some(now);
        } else {
            self.forget_behind();
        }
        has_begun
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
