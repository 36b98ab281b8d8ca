//! The layer that each subscription gets. It is chosen for each track, because a track's subscribers share its key frames. Before
//! that, the layers that a subscription may have are settled: those that its client decodes, and of these the one for which its
//! connection's bandwidth has room (`worker/allocation.rs`).

use std::time::Instant;

use super::Worker;
use crate::media::codec::Kind;
use crate::media::keys::{SubscriptionKey, TrackKey};
use crate::media::layers::{self, LayerState};
use crate::media::packet::Arrived;

/// How soon a key frame is asked for, for subscribers that wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Something happened: subscribers that wait ask anew.
    AtOnce,
    /// Time passed: subscribers that still wait have asked before.
    Patient,
}

impl Worker {
    /// Settles anew which layers each subscription of a track may have, after formats of the track's layers have changed: those
    /// that its client decodes. Follow with [`Worker::select`].
    pub(super) fn allocate_for_all(&mut self, now: Instant, key: TrackKey) {
        for at in 0..self.tracks.get(key).map_or(0, |track| track.subscribers.len()) {
            let track = &self.tracks[key];
            let subscription = &mut self.subscriptions[track.subscribers[at]];
            let (transport, before) = (subscription.transport, subscription.may_have);
            subscription.allot(track);
            if subscription.may_have != before {
                self.visit_soon(now, transport);
            }
            self.divide_soon(now, transport);
        }
    }

    /// Chooses the layer of each subscription of a track, and asks for key frames where the layer must change.
    pub(super) fn select(&mut self, now: Instant, key: TrackKey, urgency: Urgency) {
        let Some(track) = self.tracks.get(key) else { return };
        let states = track.layer_states(now);
        for at in 0..track.subscribers.len() {
            let subscriber = self.tracks[key].subscribers[at];
            self.choose(now, key, &states, subscriber, urgency);
        }
        self.plan_layers(now, key);
        self.plan_repairs(key);
    }

    /// Does the same for one subscription of a track.
    pub(super) fn select_for(&mut self, now: Instant, key: TrackKey, subscriber: SubscriptionKey, urgency: Urgency) {
        let Some(track) = self.tracks.get(key) else { return };
        let states = track.layer_states(now);
        self.choose(now, key, &states, subscriber, urgency);
        self.plan_layers(now, key);
        self.plan_repairs(key);
    }

    fn choose(
        &mut self,
        now: Instant,
        key: TrackKey,
        states: &[LayerState],
        subscriber: SubscriptionKey,
        urgency: Urgency,
    ) {
        let (track, subscription) = (&mut self.tracks[key], &mut self.subscriptions[subscriber]);
        if subscription.is_paused() {
            return;
        }
        let may_have = subscription.may_have;
        let before = subscription.target;
        let current = before.or_else(|| subscription.current_layer(track)).map(usize::from);
        let active = layers::target(states, may_have, current, now);
        if let Some(target) = active.or_else(|| layers::waiting_place(states, may_have, current)) {
            subscription.target = Some(target as u8);
        }
        let transport = subscription.transport;
        let ready = self
            .transports
            .get(transport)
            .is_some_and(|transport| transport.secure.is_some());
        let waits = track.kind == Kind::Video && ready && subscription.waits_for_key_frame(track);
        let has_waited = std::mem::replace(&mut subscription.waits, waits);
        if waits {
            let is_new = urgency == Urgency::AtOnce || subscription.target != before;
            let has_begun = is_new && self.replay(now, key, subscriber);
            let (track, subscription) = (&mut self.tracks[key], &self.subscriptions[subscriber]);
            let requests = &mut track.layers[subscription.target.map_or(0, usize::from)].requests;
            if (is_new || !has_waited) && !has_begun {
                requests.want(now);
            } else if active.is_some() && !has_begun {
                requests.still_wanted(now);
            }
        }
        let (track, subscription) = (&self.tracks[key], &self.subscriptions[subscriber]);
        if active.is_none() && subscription.is_allotted() && track.is_active(now) {
            // Its layer has stopped, and others have not.
            self.divide_soon(now, transport);
        }
    }

    /// Handles the newest packet of a track, which begins its layer: subscribers that waited for the layer get it. If it begins
    /// with a key frame, nobody needs to ask for one.
    pub(super) fn begin_layer(&mut self, now: Instant, key: TrackKey) {
        if let Some(track) = self.tracks.get_mut(key) {
            track.settle();
            for &subscriber in &track.subscribers {
                self.subscriptions[subscriber].allot(track);
            }
        }
        self.visit_subscribers_soon(now, key);
        self.divide_for_all(now, key);
        self.select(now, key, Urgency::AtOnce);
        if let Some(track) = self.tracks.get_mut(key)
            && let Some(Arrived { packet: arrival, .. }) = track.arrivals.last()
            && arrival.entry.is_open()
        {
            track.layers[usize::from(arrival.layer)].requests.arrived();
        }
    }
}
