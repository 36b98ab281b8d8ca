//! What the subscriber's client decodes of its track.

use std::time::Instant;

use super::{NONE, Subscription};
use crate::media::codec::{Codec, decoding};
use crate::media::session::NegotiatedCodec;
use crate::media::track::{Layer, Track};

impl Subscription {
    /// Whether the subscriber gets anything from packets in this format.
    fn carries(&self, published: &NegotiatedCodec) -> bool {
        let ours = self.codecs.iter().map(|codec| codec.codec);
        self.payload_types[usize::from(published.payload_type & 0x7f)] != NONE
            || decoding::best(ours, published.codec).is_some()
    }

    /// Whether a key frame would help: the target layer's stream is not yet the one being forwarded, and nothing says that
    /// the subscriber cannot decode it.
    pub(crate) fn waits_for_key_frame(&self, track: &Track) -> bool {
        let target = self.target.and_then(|target| track.layers.get(usize::from(target)));
        let helps = |layer: &Layer| self.rewriter.source() != Some(layer.source) || self.waits_to_open(track, layer);
        target.is_some_and(|layer| helps(layer) && self.may_carry(track, layer))
    }

    /// False if the subscriber gets nothing from the format of the layer's newest packet: each key frame in it would cost
    /// everybody else and show nothing.
    pub(crate) fn may_carry(&self, track: &Track, layer: &Layer) -> bool {
        track.format(layer).is_none_or(|published| self.carries(published))
    }

    /// The format that is sent now, if the subscriber decodes no layer (one is enough for a picture). If the layers differ, the
    /// first layer's format, so that the answer stays the same.
    pub fn undecodable(&self, now: Instant, track: &Track) -> Option<Codec> {
        let first = track.living(now).next()?;
        let carries_none = track.living(now).all(|layer| !self.may_carry(track, layer));
        track.format(first).filter(|_| carries_none).map(|format| format.codec)
    }
}
