//! Connections whose client is not heard any more, while its session lives: people in tunnels, behind a firewall that
//! blocks UDP for a while, between two networks.
//!
//! When consent expires (RFC 7675 §5.1) a connection is *suspended*. Nothing is sent to it, its packets are forgotten here and
//! at the workers that mirror its room, and its subscriptions are taken off their tracks. DTLS and SRTP stay: a client that
//! comes back goes on with the keys that it has, with an ICE restart or without one, because our answer has the same
//! fingerprint (RFC 8842 §4). Its first authentic check from anywhere resumes the connection.
//!
//! RFC 7675 wants new credentials after consent has expired. That is a rule for the agent that asks for consent; a lite agent
//! does not ask. It sees that the client, which knows its own state better, goes on with the old ones.

use std::time::{Duration, Instant};

use super::Worker;
use super::selection::Urgency;
use crate::media::keys::{TrackKey, TransportKey};

/// Time for which a client may stay away: a tunnel or a change of networks takes less, and a person who waits for longer has
/// called again. Meanwhile the client keeps its place among the connections that the server may hold, and some kilobytes.
pub const SUSPENDED_MAX: Duration = Duration::from_secs(300);

impl Worker {
    pub(super) fn suspend(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        transport.suspended = Some(now);
        transport.ice.suspend();
        let (id, room) = (transport.id, transport.room);
        for subscription in transport.subscriptions.clone() {
            self.attach(now, room, subscription);
        }
        for track in self.transports[key].tracks.clone() {
            self.forget_packets(track);
            // The workers that mirror the track forget them too.
            self.announce_track(now, track);
        }
        self.stats.suspended += 1;
        self.report_heard(now, id);
    }

    pub(super) fn resume(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self
            .transports
            .get_mut(key)
            .filter(|transport| transport.suspended.is_some())
        else {
            return;
        };
        transport.suspended = None;
        self.forget_path(now, key);
        let transport = &self.transports[key];
        let (id, room) = (transport.id, transport.room);
        for subscription in transport.subscriptions.clone() {
            self.subscriptions[subscription].begin_anew();
            self.attach(now, room, subscription);
            if let Some(track) = self.subscriptions[subscription].track {
                self.request_key_frames(now, track);
            }
        }
        // Its subscribers have waited just as long.
        for track in self.transports[key].tracks.clone() {
            for subscriber in self.tracks[track].subscribers.clone() {
                self.subscriptions[subscriber].begin_anew();
            }
            for mirror in &mut self.tracks[track].mirrors {
                // Those of other workers have waited too: a key frame will be asked for.
                mirror.missed = u8::MAX;
            }
            self.select(now, track, Urgency::AtOnce);
            self.request_key_frames(now, track);
        }
        self.stats.suspended -= 1;
        self.plan(now, key);
        self.report_heard(now, id);
    }

    /// Gives back the memory of the packets that are kept for a track's subscribers: there will be no newer packets for a
    /// while.
    pub(super) fn forget_packets(&mut self, track: TrackKey) {
        for layer in &mut self.tracks[track].layers {
            layer.cache.release(&mut self.cache_pool);
        }
    }

    /// Begins the time of a suspension anew: a new offer shows that the client is there, and it may need the whole time again.
    pub(super) fn renew_suspension(&mut self, now: Instant, key: TransportKey) {
        if let Some(since) = self
            .transports
            .get_mut(key)
            .and_then(|transport| transport.suspended.as_mut())
        {
            *since = now;
        }
    }
}
