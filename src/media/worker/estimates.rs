//! What each connection's path carries towards its client: feedback is handed to the estimator, and probes are sent for it.

use std::time::Instant;

use super::Worker;
use crate::media::allocation::Division;
use crate::media::bandwidth::outgoing::{LOSS_HIGH, Outcome, State};
use crate::media::codec::Kind;
use crate::media::keys::TransportKey;
use crate::media::path_loss::PathLoss;
use crate::media::peer::sender::Sender;
use crate::media::report::PathReport;
use crate::media::stats::Stats;
use crate::media::subscription::Subscription;

impl Worker {
    /// Begins to estimate where a connection sends video and its client says what comes: the numbers of packets, or its own
    /// estimate.
    pub(super) fn begin_estimate(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let Some(secure) = &mut transport.secure else { return };
        let copies = || transport.subscriptions.iter().map(|&key| &self.subscriptions[key]);
        let has_video = |which: fn(&Subscription) -> bool| copies().any(|copy| copy.kind == Kind::Video && which(copy));
        if has_video(Subscription::is_numbered) {
            secure.sender.number_packets(now);
        } else if has_video(Subscription::is_estimated) {
            secure.sender.expect_estimates(now);
        } else {
            return;
        }
        self.plans.expect_slices(now, key);
    }

    /// Follows the losses of a connection's videos, if its client tells of nothing else: from the time on when they are too many.
    pub(super) fn follow_losses(&mut self, now: Instant, key: TransportKey, lost_256: u8) {
        let Some(sender) = sender_of(self.transports.get_mut(key)) else {
            return;
        };
        if !sender.is_estimated() && lost_256 > LOSS_HIGH {
            let sent = self
                .transports
                .get(key)
                .map_or(0, |transport| self.rate_of_videos(now, transport));
            if let Some(sender) = sender_of(self.transports.get_mut(key)).filter(|_| sent > 0) {
                sender.follow_losses(now, sent);
                self.plans.expect_slices(now, key);
            }
        }
        let Some(sender) = sender_of(self.transports.get_mut(key)) else {
            return;
        };
        let before = sender.outcome();
        if sender.take_video_loss(now, lost_256) {
            self.estimated(now, key, before);
        }
    }

    pub(super) fn transport_feedback_came(&mut self, now: Instant, key: TransportKey, body: &[u8]) {
        let Some(sender) = sender_of(self.transports.get_mut(key)) else {
            return;
        };
        let before = sender.outcome();
        sender.take_feedback(now, body, &mut self.reports);
        let lost = self.reports.iter().filter(|report| report.arrived.is_none()).count() as u64;
        self.stats.reported_packets += self.reports.len() as u64;
        self.stats.reported_lost_packets += lost;
        if let Some(outcome) = sender.outcome() {
            self.path_lost(now, key, outcome.loss_256);
        }
        self.estimated(now, key, before);
    }

    pub(super) fn estimate_came(&mut self, now: Instant, key: TransportKey, bits_per_second: u64) {
        let Some(sender) = sender_of(self.transports.get_mut(key)) else {
            return;
        };
        let before = sender.outcome();
        if sender.take_estimate(now, bits_per_second) {
            self.estimated(now, key, before);
        }
    }

    /// Lets a connection's estimator do what is due by the clock.
    pub(super) fn look_after_estimate(&mut self, now: Instant, key: TransportKey) {
        let Some(sender) = sender_of(self.transports.get_mut(key)) else {
            return;
        };
        let before = sender.outcome();
        let calls = sender.call_into_silence(now);
        if sender.handle_timeout(now) {
            self.estimated(now, key, before);
        }
        if calls && self.send_padding(now, key, None, &mut 0).is_none() {
            // The next pictures show whether the client is there.
            self.forget_path(now, key);
        }
    }

    /// Forgets what is known of a connection's path.
    pub(super) fn forget_path(&mut self, now: Instant, key: TransportKey) {
        if let Some(transport) = self.transports.get_mut(key) {
            transport.division = Division::default();
            transport.loss = PathLoss::default();
            if let Some(sender) = sender_of(Some(transport)) {
                sender.forget_path(now);
            }
            self.divide_soon(now, key);
        }
    }

    /// Acts on what the estimator has learned since it said `before`.
    fn estimated(&mut self, now: Instant, key: TransportKey, before: Option<Outcome>) {
        let sender = sender_of(self.transports.get_mut(key));
        let outcome = sender.and_then(|sender| sender.outcome());
        if let (Some(before), Some(after)) = (&before, &outcome) {
            self.stats.probes_won += u64::from(after.probes_won.saturating_sub(before.probes_won));
            self.stats.probes_lost += u64::from(after.probes_lost.saturating_sub(before.probes_lost));
        }
        if outcome.map(essence) != before.map(essence) {
            self.allocate(now, key);
        }
        self.pace(key);
        self.begin_probe(now, key);
        self.plan(now, key);
    }

    /// Begins the probe that a connection's estimator wants, if any.
    pub(super) fn begin_probe(&mut self, now: Instant, key: TransportKey) {
        if let Some(sender) = sender_of(self.transports.get_mut(key))
            && sender.begin_probe(now)
        {
            self.plans.probes.set(key, now);
        }
    }

    /// Sends the packets of probes whose turn it is.
    pub(super) fn send_probes(&mut self, now: Instant) {
        self.plans.probes.advance(now);
        while let Some(key) = self.plans.probes.pop() {
            self.stats.visits += 1;
            self.send_probe(now, key);
        }
    }

    fn send_probe(&mut self, now: Instant, key: TransportKey) {
        let Some(mut probing) = sender_of(self.transports.get_mut(key)).and_then(|sender| sender.probing().copied())
        else {
            return;
        };
        probing.begin_turn();
        let mut may_go_on = !probing.is_over(now);
        while may_go_on && probing.wants(now) && !self.egress.is_full() {
            match self.send_padding(now, key, Some(probing.cluster()), &mut probing.back) {
                Some(bytes) => probing.sent(bytes),
                None => may_go_on = false,
            }
        }
        let is_over = !may_go_on || probing.is_over(now);
        let Some(sender) = sender_of(self.transports.get_mut(key)) else {
            return;
        };
        if is_over {
            sender.end_probe();
        } else if let Some(known) = sender.probing() {
            *known = probing;
            self.plans.probes.set(key, probing.next_turn(now));
        }
        self.plan(now, key);
    }

    /// Sends one packet of a probe, or one that only makes the client report: of a copy's newest packets one that is long enough,
    /// once more, or else an empty one. Returns its bytes; `None` if the client has negotiated no stream for that.
    fn send_padding(&mut self, now: Instant, key: TransportKey, cluster: Option<u8>, back: &mut u16) -> Option<usize> {
        for is_empty in [false, true] {
            for at in 0..self.transports[key].subscriptions.len() {
                let transport = &mut self.transports[key];
                let copy = &mut self.subscriptions[transport.subscriptions[at]];
                let track = copy.track.and_then(|track| self.tracks.get(track));
                let mut sink = transport.sink(&mut self.egress)?;
                sink.sender.begin_padding(cluster);
                match (is_empty, track) {
                    (true, _) => copy.send_empty(now, &mut sink),
                    (false, Some(track)) => copy.send_padding(now, back, track, &mut sink),
                    (false, None) => {}
                }
                let bytes = sink.sender.end_padding();
                if bytes > 0 {
                    self.stats.probe_packets += 1;
                    return Some(bytes);
                }
            }
        }
        None
    }

    /// What is known of the path to each client, where anything is.
    pub fn paths(&self, now: Instant) -> impl Iterator<Item = PathReport> {
        let secure = self
            .transports
            .values()
            .filter_map(|transport| transport.secure.as_ref());
        secure.filter_map(move |secure| secure.sender.report(now))
    }

    /// Adds to `stats` what the estimators of all paths are doing.
    pub(super) fn count_estimates(&self, stats: &mut Stats) {
        for transport in self.transports.values() {
            let secure = transport.secure.as_ref();
            let Some(outcome) = secure.and_then(|secure| secure.sender.outcome()) else {
                continue;
            };
            stats.estimates[outcome.state as usize] += 1;
        }
    }
}

/// What the division of the bandwidth depends on.
fn essence(outcome: Outcome) -> (u64, u64, u64, State) {
    (outcome.target, outcome.smooth, outcome.proven, outcome.state)
}

fn sender_of(transport: Option<&mut crate::media::peer::Transport>) -> Option<&mut Sender> {
    Some(&mut transport?.secure.as_mut()?.sender)
}
