//! Who forwards to whom: matches subscriptions with tracks, within one room.

use std::time::Instant;

use super::Worker;
use super::selection::Urgency;
use crate::ids::RoomId;
use crate::media::keys::{SubscriptionKey, TrackKey};
use crate::media::names::TrackRef;
use crate::media::track::Origin;

impl Worker {
    /// Gives a subscription the track that it is meant for, if that exists by now.
    pub(super) fn attach(&mut self, now: Instant, room: RoomId, key: SubscriptionKey) {
        let subscription = &self.subscriptions[key];
        let transport = self.transports.get(subscription.transport);
        let is_suspended = transport.is_some_and(|transport| transport.suspended.is_some());
        let wanted = subscription.wanted().filter(|_| !is_suspended);
        let found = wanted.and_then(|name| self.rooms.get(&room)?.track(name));
        if let Some(before) = subscription.track
            && let Some(track) = self.tracks.get_mut(before)
        {
            track.subscribers.retain(|&subscriber| subscriber != key);
            if found != Some(before) {
                self.wish_changed(now, before);
            }
        }
        let subscription = &mut self.subscriptions[key];
        subscription.detach();
        if let Some(found) = found {
            let track = &mut self.tracks[found];
            subscription.attach(found, track);
            track.subscribers.push(key);
            let transport = subscription.transport;
            self.visit_soon(now, transport);
            self.wish_changed(now, found);
            self.allocate_first(now, key);
            self.select(now, found, Urgency::AtOnce);
            if self
                .transports
                .get(transport)
                .is_some_and(|transport| transport.secure.is_some())
            {
                self.request_player(found);
            }
        }
    }

    /// Gives the track of this name anew to every subscription that is meant for it.
    pub(super) fn attach_all(&mut self, now: Instant, room: RoomId, name: TrackRef) {
        let Some(entry) = self.rooms.get(&room) else { return };
        for key in entry.wanting(name).to_vec() {
            self.attach(now, room, key);
        }
    }

    /// Gives a track another name. Subscribers of the old name get the track that has that name now.
    pub(super) fn rename_track(&mut self, now: Instant, key: TrackKey, name: TrackRef) {
        let track = &mut self.tracks[key];
        let (room, publisher) = (track.room, track.publisher);
        let before = std::mem::replace(&mut track.name, name);
        if before == name {
            return;
        }
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.remove_track(before, key);
            entry.add_track(name, publisher, key);
        }
        self.attach_all(now, room, before);
    }

    pub(super) fn remove_track(&mut self, now: Instant, key: TrackKey) {
        let Some(mut track) = self.tracks.remove(key) else {
            return;
        };
        self.plans.forget_track(key);
        if let Origin::Transport(transport) = track.origin
            && let Some(transport) = self.transports.get_mut(transport)
        {
            transport.tracks.retain(|other| *other != key);
            transport.unbind(key);
        }
        if let Some(room) = self.rooms.get_mut(&track.room) {
            room.remove_track(track.name, key);
            if room.tracks_of(track.name.participant).next().is_none() {
                room.speaking.forget(track.name.participant);
            }
        }
        self.empty_caches(&mut track);
        self.share_cache(track.room, track.name.participant);
        for &subscriber in &track.subscribers {
            self.subscriptions[subscriber].detach();
        }
        self.track_ended(now, key, &track);
        self.attach_all(now, track.room, track.name);
    }

    pub(super) fn remove_subscription(&mut self, now: Instant, key: SubscriptionKey) {
        let Some(subscription) = self.subscriptions.remove(key) else {
            return;
        };
        if let Some(track) = subscription.track.and_then(|track| self.tracks.get_mut(track)) {
            track.subscribers.retain(|&subscriber| subscriber != key);
        }
        if let Some(track) = subscription.track {
            self.wish_changed(now, track);
        }
        if let Some(transport) = self.transports.get_mut(subscription.transport) {
            transport.subscriptions.retain(|other| *other != key);
            if let (Some(room), Some(wanted)) = (self.rooms.get_mut(&transport.room), subscription.wanted()) {
                room.want_no_more(wanted, key);
            }
        }
    }
}
