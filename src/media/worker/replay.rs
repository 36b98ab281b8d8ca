//! Viewers who begin with the key frame that came last, instead of a new one.

use std::time::{Duration, Instant};

use super::Worker;
use crate::media::keys::{SubscriptionKey, TrackKey, TransportKey};
use crate::media::packet::Arrived;
use crate::media::peer::pacing::CATCHES_UP_WITHIN;

/// Time after a beginning, beside a round trip, in which the viewer's first request for a key frame is passed over: its decoder
/// may have asked before it had all of the picture.
const REQUEST_WAITS: Duration = Duration::from_millis(300);
/// Bits per second that a path surely carries if nothing is known of it: a picture needs as much.
const UNKNOWN_PATH: u64 = 300_000;
/// The round trip of a path of which none is known.
const ROUND_TRIP: Duration = Duration::from_millis(100);

impl Worker {
    /// Lets a subscription begin with the newest key frame of its target layer and what came after it, if that is possible, and
    /// its path has room for it: whether it is, is asked only of clients that report about their path.
    pub(super) fn replay(&mut self, now: Instant, key: TrackKey, subscriber: SubscriptionKey) -> bool {
        let (track, subscription) = (&self.tracks[key], &mut self.subscriptions[subscriber]);
        let target = subscription
            .target
            .and_then(|target| track.layers.get(usize::from(target)));
        let Some((layer, group)) = target.and_then(|layer| Some((layer, layer.group(now)?))) else {
            return false;
        };
        let Some(transport) = self.transports.get_mut(subscription.transport) else {
            return false;
        };
        let bits_per_second = layer.rate.bps(now);
        let Some(outcome) = transport.outcome() else {
            return false;
        };
        // Of a path of which nothing is known it is hoped that it carries the layer, as for all that comes after it.
        let path = match transport.has_reported_path() {
            true => outcome.target,
            false => bits_per_second.max(UNKNOWN_PATH),
        };
        // A key frame that came just now is forwarded as ever.
        let is_new =
            |arrived: &Arrived| (arrived.packet.source, arrived.packet.extended) == (group.source, group.first);
        if track.arrivals.iter().any(is_new) {
            return false;
        }
        let may_begin = !self.caches_cut && !track.muted && subscription.may_begin_with(&group, track);
        if !may_begin || !group.fits(bits_per_second, path.saturating_mul(2), CATCHES_UP_WITHIN) {
            return false;
        }
        let Some(mut sink) = transport.sink(&mut self.egress) else {
            return false;
        };
        sink.sender.begin_replay(now, path);
        if !subscription.begin_with(now, &group, track, &mut sink) {
            return false;
        }
        self.stats.replays += 1;
        if let Some(due) = sink.sender.plan_slice(now) {
            self.plans.slices.set(subscription.transport, due);
        }
        true
    }

    /// Whether a viewer's request for a key frame is passed over, because it has just begun with an earlier one.
    pub(super) fn passes_over_request(&mut self, now: Instant, key: TransportKey, subscriber: SubscriptionKey) -> bool {
        let secure = self.transports.get(key).and_then(|transport| transport.secure.as_ref());
        let round_trip = secure.and_then(|secure| secure.sender.round_trip());
        let wait = round_trip.unwrap_or(ROUND_TRIP) + REQUEST_WAITS;
        self.subscriptions[subscriber].passes_over_request(now, wait)
    }
}
