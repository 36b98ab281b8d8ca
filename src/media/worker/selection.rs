//! Which layer each subscription gets.

use std::time::Instant;

use super::Worker;
use crate::media::codec::Kind;
use crate::media::keys::TrackKey;
use crate::media::layers;

/// Why subscribers are aimed at layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Something happened: whoever waits for a key frame asks for it anew.
    AtOnce,
    /// Time passed: who still waits has asked before.
    Patiently,
}

impl Worker {
    /// Aims every subscriber of a track at the layer that it should get, and asks for key frames where one must change.
    pub(super) fn aim(&mut self, now: Instant, key: TrackKey, asking: Asking) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let mut states = track.layer_states(now);
        for at in 0..track.subscribers.len() {
            let subscription = &mut self.subscriptions[track.subscribers[at]];
            for state in &mut states {
                state.decodable = state.format.is_none_or(|format| subscription.carries(&format));
            }
            let before = subscription.target;
            let current = before.or_else(|| subscription.current_layer(track)).map(usize::from);
            let active = layers::target(&states, current, now);
            if let Some(target) = active.or_else(|| layers::waiting_place(&states, current)) {
                subscription.target = Some(target as u8);
            }
            let ready = self
                .peers
                .get(subscription.peer)
                .is_some_and(|peer| peer.secure.is_some());
            if track.kind == Kind::Video && ready && subscription.waits_for_key_frame(track) {
                let requests = &mut track.layers[subscription.target.map_or(0, usize::from)].requests;
                if asking == Asking::AtOnce || subscription.target != before {
                    requests.want(now);
                    self.urgent = true;
                } else if active.is_some() {
                    requests.still_wanted(now);
                }
            }
        }
    }

    /// The newest packet of a track begins its layer: whoever waited for that is aimed at it. Where it begins with a key frame
    /// nobody need ask for one.
    pub(super) fn begin_layer(&mut self, now: Instant, key: TrackKey) {
        self.aim(now, key, Asking::AtOnce);
        if let Some(track) = self.tracks.get_mut(key)
            && let Some(arrival) = track.arrivals.last()
            && arrival.entry.is_open()
        {
            track.layers[usize::from(arrival.layer)].requests.arrived();
        }
    }
}
