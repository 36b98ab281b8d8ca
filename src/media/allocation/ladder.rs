//! The steps that one video can have, from the cheapest to the best.

use std::time::Instant;

use super::{MATURE_AFTER, Step, Video, is_past};
use crate::media::scalability::WHOLE;

/// Largest height of which somebody may get fewer pictures a second than there are, where a lower layer has them all. Of larger
/// pictures the lower layer is better: their viewers look at them, and see each jerk.
const MAY_JERK_UP_TO: u16 = 360;

impl Step {
    /// The size of its pictures, as the layer and its highest spatial layer. Larger ones begin with a key frame.
    fn size(&self) -> (u8, u8) {
        (self.layer, self.spatial)
    }
}

impl Video {
    /// Puts the steps in order, and finds what is wanted and what the video has.
    pub(super) fn prepare(&mut self, now: Instant) {
        self.ladder.clear();
        (self.at, self.held, self.ideal, self.is_cut) = (None, 0, 0, false);
        if self.wanted_height == Some(0) {
            return;
        }
        let are_heights_known = self.steps.iter().all(|step| step.height.is_some());
        let quality = |step: &Step| {
            let height = step.height.filter(|_| are_heights_known);
            (height, step.bits_per_second, step.layer, step.spatial, step.temporal)
        };
        self.steps.sort_unstable_by_key(quality);
        let has = |step: &Step| Some(step.layer) == self.current && step.spatial <= self.spatial;
        let counts = |step: &Step| has(step) || is_past(now, step.live_since, MATURE_AFTER);
        let mut cheapest = u64::MAX;
        for step in self.steps.iter().rev().filter(|step| counts(step)) {
            if (step.bits_per_second < cheapest || self.ladder.is_empty()) && self.is_good(step) {
                cheapest = step.bits_per_second;
                self.ladder.push(*step);
            }
        }
        self.ladder.reverse();
        if self.ladder.is_empty() {
            // All are new. The lowest is the least risk.
            let lowest = self.steps.first().map(Step::size);
            let whole = |step: &&Step| Some(step.size()) == lowest && step.temporal == WHOLE;
            self.ladder.extend(self.steps.iter().find(whole).copied());
        }
        self.find_ideal();
        self.find_held();
    }

    /// Whether a step may be better than all that cost less: all pictures of a size, at least half of them where it is a small one,
    /// and any part of the smallest.
    fn is_good(&self, step: &Step) -> bool {
        if step.temporal == WHOLE || self.steps.first().is_some_and(|lowest| lowest.size() == step.size()) {
            return true;
        }
        // Each temporal layer doubles the pictures a second.
        let mut better = self
            .steps
            .iter()
            .filter(|other| other.size() == step.size() && other.temporal > step.temporal);
        let is_half = better.all(|other| other.temporal == WHOLE);
        is_half && step.height.is_some_and(|height| height <= MAY_JERK_UP_TO)
    }

    /// Finds the place on the ladder that its viewer wants: all pictures of the least size that is high enough.
    fn find_ideal(&mut self) {
        let enough = |step: &Step| match (self.wanted_height, step.height) {
            (Some(wanted), Some(height)) => height >= wanted,
            _ => false,
        };
        let last = self.ladder.len().saturating_sub(1);
        let first = self.ladder.iter().position(enough).unwrap_or(last);
        let wanted = self.ladder.get(first).map(Step::size);
        self.ideal = self
            .ladder
            .iter()
            .rposition(|step| Some(step.size()) == wanted)
            .unwrap_or(last);
    }

    /// Finds the place on the ladder that it has.
    fn find_held(&mut self) {
        let has = |step: &&Step| {
            Some(step.layer) == self.current && step.spatial <= self.spatial && step.temporal <= self.temporal
        };
        let had = self
            .steps
            .iter()
            .filter(has)
            .max_by_key(|step| (step.spatial, step.temporal));
        let had = had.or_else(|| self.steps.iter().find(|step| Some(step.layer) == self.current));
        self.begins = had.is_none() && self.history.fell.is_none();
        if let Some(had) = had {
            let no_more = |step: &&Step| step.bits_per_second <= had.bits_per_second;
            self.held = self.ladder.iter().take_while(no_more).count().saturating_sub(1);
        }
    }

    /// Whether it has not got all pictures of a layer of this height yet.
    pub(super) fn is_low(&self, height: u16) -> bool {
        let Some(at) = self.at else { return false };
        let step = &self.ladder[at];
        step.height < Some(height) || (step.temporal != WHOLE && step.height.is_none_or(|own| own <= height))
    }

    /// Number of sizes by which a place on the ladder is above the one that it has: layers, or spatial layers of one. No size's steps
    /// lie among those of another.
    pub(super) fn layers_up(&self, at: usize) -> usize {
        let between = self.ladder.get(self.held..=at).unwrap_or_default();
        between
            .windows(2)
            .filter(|pair| pair[0].size() != pair[1].size())
            .count()
    }
}
