//! The work that the clock starts: repair requests and congestion feedback every few milliseconds, reports about once a second, and
//! the end of silent connections. `worker/planning.rs` decides when.

use std::time::Instant;

use super::Worker;
use super::plans::{TICK, URGENT_TICK};
use super::selection::Urgency;
use super::suspension::SUSPENDED_MAX;
use crate::media::keys::{TrackKey, TransportKey};
use crate::media::messages::CloseReason;
use crate::media::peer::Transport;
use crate::media::peer::ice::CONNECT_TIMEOUT;

impl Worker {
    /// Time at which [`Worker::handle_timeout`] is to be called. `None` if there is nothing to wait for.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let times = [self.next_tick(), self.plans.probes.next(), self.plans.slices.next()];
        times.into_iter().flatten().min()
    }

    fn next_tick(&self) -> Option<Instant> {
        // A late wake-up is not made up for: the next tick counts from the last.
        let (tick, urgent) = (self.ticked + TICK, self.ticked + URGENT_TICK);
        let times = [
            self.plans.connections.next().map(|due| due.max(tick)),
            self.plans.layers.next().map(|due| due.max(tick)),
            self.plans.repairs.next().map(|due| due.max(urgent)),
            self.has_chores().then_some(tick),
        ];
        times.into_iter().flatten().min()
    }

    /// Call at or after [`Worker::poll_timeout`]; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.plans.probes.next().is_some_and(|due| due <= now) {
            self.send_probes(now);
        }
        if self.plans.slices.next().is_some_and(|due| due <= now) {
            self.send_slices(now);
        }
        if self.next_tick().is_none_or(|due| now < due) {
            return;
        }
        self.ticked = now;
        self.plans.repairs.advance(now);
        while let Some(key) = self.plans.repairs.pop() {
            self.stats.visits += 1;
            self.repair(now, key);
        }
        self.plans.layers.advance(now);
        while let Some(key) = self.plans.layers.pop() {
            self.stats.visits += 1;
            self.choose_layers(now, key);
        }
        self.plans.connections.advance(now);
        while let Some(key) = self.plans.connections.pop() {
            self.stats.visits += 1;
            self.look_after(now, key);
            let publishes = |transport: &Transport| transport.publisher.is_some() && transport.suspended.is_none();
            if self.transports.get(key).is_some_and(publishes) {
                self.steer(now, key);
                self.report_to_publisher(now, key);
            }
            self.plan_anew(now, key);
        }
        self.look_after_caches();
        self.look_after_links(now);
    }

    /// Whether something is to be done that belongs to no connection or track.
    fn has_chores(&self) -> bool {
        self.has_chores_at_links() || self.caches_want_a_look()
    }

    /// Handles the timeouts of one connection, and sends its reports.
    fn look_after(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        if transport.secure.is_none() && transport.dtls.handle_timeout(now).is_err() {
            return self.closed(now, key, CloseReason::HandshakeFailed);
        }
        if transport.secure.is_none() && now.saturating_duration_since(transport.opened) >= CONNECT_TIMEOUT {
            return self.closed(now, key, CloseReason::ConnectTimeout);
        }
        if let Some(since) = transport.suspended {
            // While its client is heard over another transport, it may come back over this one.
            let is_heard = self
                .connections
                .get(&transport.id)
                .is_some_and(|connection| !connection.suspended);
            if !is_heard && now.saturating_duration_since(since) >= SUSPENDED_MAX {
                self.closed(now, key, CloseReason::ConsentExpired);
            }
            return;
        }
        if transport.secure.is_some() && transport.ice.consent_expired(now) {
            return self.suspend(now, key);
        }
        transport.ice.follow(now);
        self.flush_dtls(key, None);
        self.look_after_sound(now, key);
        self.look_after_estimate(now, key);
        self.look_after_losses(now, key);
        self.allocate(now, key);
        self.begin_probe(now, key);
        self.report_to_subscriber(now, key);
        self.report_undecodable(now, key);
    }

    /// Sends NACKs and key frame requests for one track.
    fn repair(&mut self, now: Instant, key: TrackKey) {
        self.request_missing(now, key);
        self.request_key_frames(now, key);
        self.plan_repairs(key);
    }

    /// Chooses the layers of a track by the packets that have come meanwhile.
    fn choose_layers(&mut self, now: Instant, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        if track.settle() {
            self.allocate_for_all(now, key);
        }
        self.select(now, key, Urgency::Patient);
        self.look_after_wish(now, key);
    }

    /// The publisher's transport, if it is on this worker.
    pub(super) fn publishing_transport(&self, key: TrackKey) -> Option<TransportKey> {
        self.tracks.get(key)?.origin.transport()
    }
}
