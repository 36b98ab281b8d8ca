//! The part of its track that a subscription may have: what its client decodes, and what its connection has room for.

use std::time::Instant;

use super::Subscription;
use crate::media::allocation::{Grant, Place, Room, Step, Video};
use crate::media::codec::Kind;
use crate::media::scalability::Limit;
use crate::media::track::Track;
use crate::video::Quality;

/// What is known of what a viewer gets, and what they were told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QualityNotes {
    pub now: Quality,
    /// The time of the last report, and what it said.
    pub reported: Option<(Instant, Quality)>,
}

impl Subscription {
    /// Settles which layers it may have: all that its client decodes, and those whose format is not known yet, as far as there is
    /// room for them.
    pub(crate) fn allot(&mut self, track: &Track) {
        let has_room = |layer: usize| match self.room {
            Room::Any => true,
            Room::Layer(one) => usize::from(one) == layer,
            Room::Nothing => false,
        };
        let layers = track.layers.iter().enumerate();
        let may_have = layers.map(|(at, layer)| has_room(at) && self.may_carry(track, layer));
        self.may_have = may_have.collect();
    }

    /// Whether its connection's bandwidth was divided since its track was attached.
    pub(crate) fn is_allotted(&self) -> bool {
        self.room != Room::Any
    }

    /// Whether nothing is to be sent.
    pub(crate) fn is_paused(&self) -> bool {
        self.room == Room::Nothing
    }

    /// What a division of its connection's bandwidth needs to know of it. `None` if it has no video to send.
    pub(crate) fn video(&self, now: Instant, index: usize, place: Place, track: &Track) -> Option<Video> {
        if self.kind == Kind::Audio {
            return None;
        }
        // A layer that was only waited for, before anybody knew what the path carries, is nothing that it had.
        let begins = !self.is_allotted() && self.rewriter.source().is_none();
        let current = self.target.or_else(|| self.current_layer(track));
        let current = current.filter(|_| !begins && !self.is_paused());
        let mut video = Video::new(index, place, current, self.history);
        let limit = self.filter.highest();
        (video.spatial, video.temporal) = (limit.spatial, limit.temporal);
        let current = current.map(|layer| (layer, limit));
        video.steps = track.steps(now, current, |layer| self.may_carry(track, layer));
        let shows_sizes = |step: &Step| {
            let layer = track.layers.get(usize::from(step.layer));
            let format = layer.and_then(|layer| track.format(layer));
            format.is_none_or(|format| self.shows_sizes(format.codec))
        };
        if !video.steps.iter().all(shows_sizes) {
            let steps = video.steps.clone();
            let is_lower = |step: &Step, other: &Step| other.layer == step.layer && other.spatial < step.spatial;
            let is_lowest = |step: &Step| !steps.iter().any(|other| is_lower(step, other));
            video.steps.retain(|step| shows_sizes(step) || is_lowest(step));
        }
        Some(video)
    }

    /// Takes what a division gives it. True if that changes its layer, or if a key frame may have to be asked for: then its layer is
    /// to be chosen anew.
    pub(crate) fn take(&mut self, video: &Video, track: &Track) -> bool {
        self.history = video.history;
        let limit = Limit {
            spatial: video.spatial,
            temporal: video.temporal,
        };
        let rises = self.filter.limit(limit) && self.waits_for_layers(track);
        let room = match video.grant {
            Grant::Layer(layer) => Room::Layer(layer),
            Grant::Paused | Grant::Unwanted => Room::Nothing,
            // Whatever layer comes first is as good as any until the next division.
            Grant::NoLayer if self.room != Room::Nothing => Room::Any,
            Grant::NoLayer => Room::Nothing,
        };
        let changes = std::mem::replace(&mut self.room, room) != room;
        if !changes {
            return rises;
        }
        self.allot(track);
        if room == Room::Nothing {
            self.target = None;
        }
        if video.is_cut || room == Room::Nothing {
            self.rewriter.pause();
        }
        true
    }
}
