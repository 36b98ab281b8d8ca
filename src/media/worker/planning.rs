//! When each connection and each track is visited next. One that has nothing to do is not visited, however much time passes.
//!
//! A plan is made from the state ([`Worker::next_visit`] and similar functions), after each visit, and when something happens
//! that may need an earlier one. A plan may be too early, because the time for which it was made has moved on: then the visit
//! finds nothing to do. It must not be too late; tests find that with [`Worker::forgotten`].

use std::time::{Duration, Instant};

use slotmap::Key;

use super::Worker;
use super::plans::TICK;
use super::round_trips::awaits_answers;
use super::suspension::SUSPENDED_MAX;
use crate::media::keys::{TrackKey, TransportKey};
use crate::media::peer::Transport;
use crate::media::peer::ice::CONNECT_TIMEOUT;
#[cfg(debug_assertions)]
use crate::media::peer::sender::Sender;
use crate::media::track::Track;

/// Time between two visits of a connection or a track while there is something to follow.
const ROUND: Duration = Duration::from_millis(100);
/// Ticks of a round. Work for many connections at once is spread over them, so that thousands of reports do not come together
/// and fill the egress.
const TICKS_PER_ROUND: u64 = 4;

/// Connections.
impl Worker {
    /// Plans a connection's next visit, after a change of something that it waits for.
    pub(super) fn plan(&mut self, now: Instant, key: TransportKey) {
        if let Some(at) = self
            .transports
            .get(key)
            .and_then(|transport| self.next_visit(now, transport))
        {
            self.plans.connections.set_earlier(key, at);
        }
    }

    /// Plans a visit of a connection within a round: something is to be done there, as perhaps at many others. A connection
    /// that is not up is visited when it is.
    pub(super) fn visit_soon(&mut self, now: Instant, key: TransportKey) {
        if self
            .transports
            .get(key)
            .is_none_or(|transport| transport.secure.is_none())
        {
            return;
        }
        let place = ((key.data().as_ffi() & 0xffff_ffff) % TICKS_PER_ROUND) as u32;
        self.plans.connections.set_earlier(key, now + TICK * place);
    }

    /// Plans such visits of all subscribers of a track: its packets begin, or are in another format.
    pub(super) fn visit_subscribers_soon(&mut self, now: Instant, key: TrackKey) {
        for at in 0..self.tracks.get(key).map_or(0, |track| track.subscribers.len()) {
            let subscriber = self.tracks[key].subscribers[at];
            self.visit_soon(now, self.subscriptions[subscriber].transport);
        }
    }

    /// Plans a connection's next visit after a visit, by its state alone.
    pub(super) fn plan_anew(&mut self, now: Instant, key: TransportKey) {
        match self
            .transports
            .get(key)
            .and_then(|transport| self.next_visit(now, transport))
        {
            Some(at) => self.plans.connections.set(key, at),
            None => self.plans.connections.remove(key),
        }
    }

    /// Time at which something is to be done at a connection. `None` if an event must come first.
    fn next_visit(&self, now: Instant, transport: &Transport) -> Option<Instant> {
        if let Some(since) = transport.suspended {
            // While its client is heard over another transport, it may come back over this one.
            let connection = self.connections.get(&transport.id);
            let is_heard = connection.is_some_and(|connection| !connection.suspended);
            return (!is_heard).then_some(since + SUSPENDED_MAX);
        }
        if transport.secure.is_none() {
            // A client that begins a new association may have spoken just before.
            let speech = transport.is_speaking().then_some(now + ROUND);
            let times = [
                Some(transport.opened + CONNECT_TIMEOUT),
                transport.dtls.poll_timeout(),
                speech,
            ];
            return times.into_iter().flatten().min();
        }
        let follows = transport.decoding.iter().any(|reports| reports.are_followed()) || transport.is_speaking();
        let times = [
            Some(transport.ice.consent_ends()),
            transport.ice.next_choice(now),
            follows.then_some(now + ROUND),
            Worker::next_for_publisher(transport),
            self.next_report(now, transport),
            transport
                .secure
                .as_ref()
                .and_then(|secure| secure.sender.next_timeout()),
            awaits_answers(transport).then_some(now + ROUND),
            self.next_division(transport),
        ];
        times.into_iter().flatten().min()
    }

    fn next_for_publisher(transport: &Transport) -> Option<Instant> {
        let publisher = transport.publisher.as_ref()?;
        let mut next = publisher.next_report;
        if publisher.is_heard {
            next = next.min(publisher.next_feedback);
        }
        if publisher.counts_loudness {
            next = next.min(publisher.next_loudness);
        }
        next = publisher.next_steering.map_or(next, |due| next.min(due));
        Some(next)
    }

    /// Time at which the next report to a subscriber is due. A report that cannot be made yet comes with the publisher's clock,
    /// or with the first packets after a pause. If the clock is known and packets come, it is tried in each round.
    fn next_report(&self, now: Instant, transport: &Transport) -> Option<Instant> {
        let subscriptions = transport.subscriptions.iter().map(|&one| &self.subscriptions[one]);
        let next = subscriptions.filter_map(|subscription| {
            let track = self.tracks.get(subscription.track?)?;
            if subscription.is_paused() {
                return None;
            }
            if subscription.next_report > now {
                return Some(subscription.next_report);
            }
            let may_come = track.living(now).any(|layer| layer.clock.is_some());
            may_come.then_some(now + ROUND)
        });
        next.min()
    }
}

/// Tracks.
impl Worker {
    /// Plans when missing packets and key frames of a track are asked for.
    pub(super) fn plan_repairs(&mut self, key: TrackKey) {
        match self.tracks.get(key).and_then(|track| self.next_repair(track)) {
            Some(at) => self.plans.repairs.set(key, at),
            None => self.plans.repairs.remove(key),
        }
    }

    fn next_repair(&self, track: &Track) -> Option<Instant> {
        self.is_heard_of(track).then(|| track.next_repair()).flatten()
    }

    /// Plans when the layers of a track are chosen next: again and again while packets come.
    pub(super) fn plan_layers(&mut self, now: Instant, key: TrackKey) {
        if let Some(at) = self.tracks.get(key).and_then(|track| self.next_selection(now, track)) {
            self.plans.layers.set_earlier(key, at);
        }
    }

    fn next_selection(&self, now: Instant, track: &Track) -> Option<Instant> {
        let chooses = !track.subscribers.is_empty() && track.is_active(now) && self.is_heard_of(track);
        chooses.then_some(now + ROUND)
    }

    /// Whether a track's publisher is not suspended.
    fn is_heard_of(&self, track: &Track) -> bool {
        let publisher = track
            .origin
            .transport()
            .and_then(|transport| self.transports.get(transport));
        publisher.is_none_or(|publisher| publisher.suspended.is_none())
    }
}

/// Only tests ask.
#[cfg(debug_assertions)]
impl Worker {
    /// One sentence for each connection and each track that will be visited too late: something has changed, and its plan has not.
    pub fn forgotten(&self, now: Instant) -> Vec<String> {
        let mut found = Vec::new();
        let mut judge =
            |what: &str, key: slotmap::KeyData, planned: Option<Instant>, wanted: Option<Instant>, pause: Duration| {
                // Visits that are past due come with the next tick; times are rounded up.
                let latest = wanted.map(|wanted| wanted.max(now) + pause);
                if latest.is_some_and(|latest| planned.is_none_or(|planned| planned > latest)) {
                    let after = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now));
                    let (planned, wanted) = (after(planned), after(wanted));
                    found.push(format!(
                        "{what} {key:?} wants a visit in {wanted:?}, and gets it in {planned:?}"
                    ));
                }
            };
        for (key, transport) in &self.transports {
            let planned = self.plans.connections.due(key);
            judge("connection", key.data(), planned, self.next_visit(now, transport), TICK);
            let sender = transport.secure.as_ref().map(|secure| &secure.sender);
            let mut subscriptions = transport.subscriptions.iter();
            let waits = subscriptions.any(|&one| self.subscriptions[one].is_behind());
            let waits = (waits || sender.is_some_and(Sender::has_waiting)).then_some(now);
            let planned = self.plans.slices.due(key);
            judge("what waits at connection", key.data(), planned, waits, ROUND);
        }
        for (key, track) in &self.tracks {
            let planned = self.plans.layers.due(key);
            judge("track", key.data(), planned, self.next_selection(now, track), TICK);
            let planned = self.plans.repairs.due(key);
            judge(
                "repair of track",
                key.data(),
                planned,
                self.next_repair(track),
                super::plans::URGENT_TICK,
            );
        }
        let planned = [
            (self.plans.connections.len(), self.transports.len()),
            (self.plans.layers.len(), self.tracks.len()),
            (self.plans.repairs.len(), self.tracks.len()),
        ];
        if planned.iter().any(|(planned, living)| planned > living) {
            found.push(format!("more is planned than lives: {planned:?}"));
        }
        found
    }
}
