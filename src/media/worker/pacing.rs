//! What waits for its turn at each connection, so that no more is sent at once than the path carries: frames that are larger than
//! others, and packets that are sent again.

use std::time::Instant;

use super::Worker;
use super::selection::Urgency;
use crate::media::keys::TransportKey;
use crate::media::peer::Transport;

impl Worker {
    /// Follows what is known of a connection's path. Where memory for packets is scarce, nothing waits: it might be gone before
    /// its turn.
    pub(super) fn pace(&mut self, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let may_wait = transport.has_reported_path() && !self.caches_cut;
        let outcome = transport.outcome().filter(|_| may_wait);
        if let Some(secure) = &mut transport.secure {
            secure.sender.pace(outcome.as_ref());
        }
    }

    /// Sends what has waited, at the connections whose turn it is.
    pub(super) fn send_slices(&mut self, now: Instant) {
        self.plans.slices.advance(now);
        while let Some(key) = self.plans.slices.pop() {
            self.stats.visits += 1;
            self.send_slice(now, key);
        }
    }

    fn send_slice(&mut self, now: Instant, key: TransportKey) {
        let Some(secure) = self.transports.get_mut(key).and_then(|one| one.secure.as_mut()) else {
            return;
        };
        secure.sender.begin_slice(now);
        if secure.sender.is_hopeless(now) {
            self.give_up_waiting(now, key);
        }
        self.send_again(now, key);
        let mut is_behind = false;
        for at in 0..self.transports[key].subscriptions.len() {
            is_behind |= self.catch_up(now, key, at);
        }
        let transport = self.transports.get_mut(key);
        let secure = transport.and_then(|transport| transport.secure.as_mut());
        if let Some(due) = secure.and_then(|secure| secure.sender.end_slice(now, is_behind)) {
            self.plans.slices.set(key, due);
        }
    }

    /// Gives up the pictures that wait and would come late, where their publisher follows the path: what it sends by now takes less,
    /// even with a key frame.
    fn give_up_waiting(&mut self, now: Instant, key: TransportKey) {
        for at in 0..self.transports[key].subscriptions.len() {
            let subscriber = self.transports[key].subscriptions[at];
            let Some(track) = self.subscriptions[subscriber].track else {
                continue;
            };
            let follows = self.tracks.get(track).is_some_and(|track| self.follows_paths(track));
            if !follows || !self.subscriptions[subscriber].is_behind() {
                continue;
            }
            self.subscriptions[subscriber].give_up_waiting();
            if let Some(secure) = self.transports.get_mut(key).and_then(|one| one.secure.as_mut()) {
                secure.sender.give_up_waiting(now);
            }
            self.select_for(now, track, subscriber, Urgency::AtOnce);
            self.request_key_frames(now, track);
        }
    }

    /// Sends packets again that were asked for.
    fn send_again(&mut self, now: Instant, key: TransportKey) {
        while !self.egress.is_full() {
            let transport = &mut self.transports[key];
            let copies = transport.copies_of_resends(now);
            let Some(mut sink) = transport.sink(&mut self.egress) else {
                // There is no way to the client any more.
                transport
                    .secure
                    .iter_mut()
                    .for_each(|secure| secure.sender.forget_waiting());
                return;
            };
            let Some((subscription, sequence)) = sink.sender.next_again(now) else {
                return;
            };
            let Some(subscription) = self.subscriptions.get_mut(subscription) else {
                continue;
            };
            if let Some(track) = subscription.track.and_then(|track| self.tracks.get(track)) {
                for _ in 0..copies {
                    let sent = subscription.resend(now, sequence, track, &mut sink);
                    self.stats.resent_packets += u64::from(sent.is_some());
                    self.stats.paced_packets += u64::from(sent.is_some());
                }
            }
        }
    }

    /// Lets one subscription of a connection catch up with its track. True if it is still behind.
    fn catch_up(&mut self, now: Instant, key: TransportKey, at: usize) -> bool {
        let transport: &mut Transport = &mut self.transports[key];
        let subscription = &mut self.subscriptions[transport.subscriptions[at]];
        if !subscription.is_behind() {
            return false;
        }
        let track = subscription.track.and_then(|track| self.tracks.get(track));
        let sink = transport.sink(&mut self.egress);
        let (Some(track), Some(mut sink)) = (track.filter(|track| !track.muted), sink) else {
            subscription.forget_behind();
            return false;
        };
        let sent = subscription.catch_up(now, track, &mut sink);
        self.stats.forwarded_packets += sent;
        self.stats.paced_packets += sent;
        subscription.is_behind()
    }
}
