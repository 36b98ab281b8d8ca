//! What a track that is muted does not do, and how it goes on afterwards.

use super::{Origin, Track};
use crate::media::codec::Kind;
use crate::media::pictures::Pictures;
use crate::media::rewrite::SourceId;

impl Track {
    /// Lets the packets that come now count as those of a new source: the packets before them were dropped. Subscribers have to
    /// take it up anew.
    pub(crate) fn begin_anew(&mut self, mut fresh_source: impl FnMut() -> SourceId) {
        for layer in &mut self.layers {
            layer.source = fresh_source();
            layer.pictures = Pictures::default();
            layer.newest = None;
            if let Origin::Link(_) = self.origin {
                // A player has one layer.
                self.renewed = Some(layer.source);
            }
        }
    }

    /// The source as which packets count here that come over a link.
    pub(crate) fn source_here(&self, source: SourceId) -> SourceId {
        self.renewed.unwrap_or(source)
    }

    /// Whether a key frame would be of use to anybody.
    pub(crate) fn is_asked_for_key_frames(&self) -> bool {
        self.kind == Kind::Video && !self.muted
    }
}
