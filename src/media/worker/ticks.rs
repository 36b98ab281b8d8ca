//! What happens by the clock: repair requests and congestion feedback every few milliseconds, reports about once a second,
//! and the end of connections that are silent.

use std::time::{Duration, Instant};

use slotmap::{Key, KeyData};

use super::Worker;
use super::selection::Urgency;
use super::suspension::SUSPENDED_MAX;
use crate::media::keys::{PeerKey, TrackKey};
use crate::media::messages::CloseReason;
use crate::media::peer::Peer;
use crate::media::peer::ice::CONNECT_TIMEOUT;
use crate::media::track::Track;

/// Chores are done this often. Each wake-up of a worker that sleeps costs some 50 µs, whatever it then does: at a hundred a
/// second that was a fifth of the whole cost of fifty subscribers.
const TICK: Duration = Duration::from_millis(25);
/// While packets are missing or a key frame is wanted: a request waits at most so long, a third of the shortest round trip
/// over the internet that matters.
const URGENT_TICK: Duration = Duration::from_millis(10);
/// Every so many ticks, each connection is looked at: timeouts, reports, layers. A different part of them each tick, so
/// that thousands of reports do not come at once and fill the egress.
const TICKS_PER_ROUND: u64 = 4;

impl Worker {
    pub(super) fn schedule(&mut self, now: Instant) {
        if self.next_tick.is_none() && self.has_chores() {
            self.next_tick = Some(now + TICK);
        }
        if std::mem::take(&mut self.urgent) {
            self.next_tick = self.next_tick.map(|due| due.min(now + URGENT_TICK));
        }
    }

    /// Call at or after [`Worker::poll_timeout`]; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_tick.is_none_or(|due| now < due) {
            return;
        }
        self.ticks += 1;
        let ticks = self.ticks;
        let is_turn = |key: KeyData| {
            (key.as_ffi() & 0xffff_ffff)
                .wrapping_add(ticks)
                .is_multiple_of(TICKS_PER_ROUND)
        };
        let keys: smallvec::SmallVec<[PeerKey; 64]> = self
            .peers
            .iter()
            .filter(|(key, peer)| is_turn(key.data()) || peer.publisher.is_some())
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            if is_turn(key.data()) {
                self.look_after(now, key);
            }
            let publishes = |peer: &Peer| peer.publisher.is_some() && peer.suspended.is_none();
            if self.peers.get(key).is_some_and(publishes) {
                self.repair(now, key);
                self.tell_publisher(now, key);
            }
        }
        self.look_after_caches();
        // A late wake-up is not made up for: the next tick counts from now.
        self.look_after_mirrors(now, is_turn);
        let pause = if std::mem::take(&mut self.urgent) {
            URGENT_TICK
        } else {
            TICK
        };
        self.next_tick = self.has_chores().then(|| now + pause);
    }

    fn has_chores(&self) -> bool {
        !self.peers.is_empty() || self.has_unsaid()
    }

    /// Timeouts and reports of one connection.
    fn look_after(&mut self, now: Instant, key: PeerKey) {
        let peer = &mut self.peers[key];
        if peer.secure.is_none() && peer.dtls.handle_timeout(now).is_err() {
            return self.closed(now, key, CloseReason::HandshakeFailed);
        }
        if peer.secure.is_none() && now.saturating_duration_since(peer.opened) >= CONNECT_TIMEOUT {
            return self.closed(now, key, CloseReason::ConnectTimeout);
        }
        if let Some(since) = peer.suspended {
            // While its client is heard over another transport, it may come back over this one.
            let is_heard = self
                .connections
                .get(&peer.id)
                .is_some_and(|connection| !connection.suspended);
            if !is_heard && now.saturating_duration_since(since) >= SUSPENDED_MAX {
                self.closed(now, key, CloseReason::ConsentExpired);
            }
            return;
        }
        if peer.secure.is_some() && peer.ice.consent_expired(now) {
            return self.suspend(now, key);
        }
        peer.ice.follow(now);
        self.flush_dtls(key, None);
        self.allocate(now, key);
        for track in self.peers[key].tracks.clone() {
            self.select(now, track, Urgency::Patient);
        }
        self.look_after_sound(now, key);
        self.report_to_subscriber(now, key);
        self.report_undecodable(now, key);
    }

    /// NACKs and key frame requests for what one publisher sends.
    fn repair(&mut self, now: Instant, key: PeerKey) {
        for track in self.peers[key].tracks.clone() {
            self.request_missing(now, track);
            self.request_key_frames(now, track);
            self.urgent |= self.tracks.get(track).is_some_and(Track::wants_something);
        }
    }

    /// The publisher's connection, where it is on this worker.
    pub(super) fn track_peer(&self, key: TrackKey) -> Option<PeerKey> {
        self.tracks.get(key)?.origin.peer()
    }
}
