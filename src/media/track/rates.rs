//! What a track's layers take, as the division of a viewer's bandwidth needs it.

use std::time::Instant;

use smallvec::SmallVec;

use super::{Layer, Track};
use crate::media::allocation::{MAX_STEPS, Step};
use crate::media::layers::{INACTIVE_AFTER, LayerState, MAX_LAYERS};
use crate::media::scalability::Limit;

/// A rate of video with the headers of its packets, of which most are large: a twentieth more.
fn with_headers(bps: u64) -> u64 {
    bps + bps / 20
}

impl Track {
    /// The states of the layers, as the choice of a layer needs them.
    pub(crate) fn layer_states(&self, now: Instant) -> SmallVec<[LayerState; MAX_LAYERS]> {
        self.layers
            .iter()
            .map(|layer| LayerState {
                bitrate_bps: layer.rate.bps(now),
                last_packet: layer.last_packet,
            })
            .collect()
    }

    /// The rate that the track takes if it is sound, in bits per second. Its packets are small, so headers are a third of it.
    pub(crate) fn sound_bps(&self, now: Instant) -> u64 {
        let rates = self.layers.iter().map(|layer| layer.rate.peak_bps(now));
        rates.max().unwrap_or(0) / 2 * 3
    }

    /// The layers that are sent now and that `may_carry` accepts, as divisions of bandwidth need them for a video that has `current`:
    /// a layer, and its spatial and temporal layers up to one of each.
    pub(crate) fn steps(
        &self,
        now: Instant,
        current: Option<(u8, Limit)>,
        may_carry: impl Fn(&Layer) -> bool,
    ) -> SmallVec<[Step; MAX_STEPS]> {
        let mut steps = SmallVec::new();
        for (at, layer) in self.layers.iter().take(MAX_LAYERS).enumerate() {
            let last = layer.last_packet.filter(|_| may_carry(layer));
            let Some(last) = last.filter(|&last| now.saturating_duration_since(last) < INACTIVE_AFTER) else {
                continue;
            };
            let has = current.filter(|&(layer, _)| layer == at as u8);
            let live_since = layer.live_since.unwrap_or(last);
            for part in layer.shares.parts(now) {
                let rate = match has.is_some_and(|(_, limit)| limit.covers(part.limit)) {
                    true => layer.rate.bps(now),
                    false => layer.rate.peak_bps(now),
                };
                steps.push(Step {
                    layer: at as u8,
                    spatial: part.limit.spatial,
                    temporal: part.limit.temporal,
                    bits_per_second: with_headers(part.share.of(rate)),
                    height: layer.heights.get(usize::from(part.highest)).copied().flatten(),
                    live_since: part.since.map_or(live_since, |since| since.max(live_since)),
                });
            }
        }
        steps
    }
}
