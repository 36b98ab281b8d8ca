//! Viewers who begin with the key frame that came last, instead of a new one: those who come, and those who change to another
//! layer.

use std::time::{Duration, Instant};

use super::Worker;
use crate::media::keys::{SubscriptionKey, TrackKey, TransportKey};
use crate::media::packet::Arrived;
use crate::media::peer::Transport;
use crate::media::peer::pacing::{CATCHES_UP_WITHIN, catch_up_rate};
use crate::media::track::Group;

/// Time after a beginning, beside a round trip, in which the viewer's first request for a key frame is passed over: its decoder
/// may have asked before it had all of the picture.
const REQUEST_WAITS: Duration = Duration::from_millis(300);
/// Bits per second that a path surely carries if nothing is known of it: a picture needs as much.
const UNKNOWN_PATH: u64 = 300_000;
/// The round trip of a path of which none is known.
const ROUND_TRIP: Duration = Duration::from_millis(100);
/// Most that a viewer sees again who changes to another layer. A publisher who was asked for this key frame is not asked again
/// within the same time (`media/keyframes.rs`), so without it the viewer would wait.
const GOES_BACK_MAX: Duration = Duration::from_millis(500);
/// Time within which such a viewer sees the newest picture: they have seen all that comes before it, in the other layer.
const SWITCHES_WITHIN: Duration = Duration::from_millis(200);
/// Most bytes that leave at once where nobody tells what the path carries: those of a large key frame, which does so there too.
const AT_ONCE_BYTES: usize = 64 * 1024;

/// How the pictures of a group get to a viewer.
enum Pace {
    AtOnce,
    /// As fast as a path allows that carries so many bits per second, within this time.
    Within(u64, Duration),
}

impl Worker {
    /// Lets a subscription begin with the newest key frame of its target layer and what came after it, if that is possible, and
    /// its viewer soon sees the newest picture.
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
        // A key frame that came just now is forwarded as ever.
        let is_new =
            |arrived: &Arrived| (arrived.packet.source, arrived.packet.extended) == (group.source, group.first);
        if self.caches_cut || track.muted || track.arrivals.iter().any(is_new) {
            return false;
        }
        let within = match subscription.goes_back(&group, track) {
            Some(Duration::ZERO) => CATCHES_UP_WITHIN,
            Some(back) if back <= GOES_BACK_MAX => SWITCHES_WITHIN,
            _ => return false,
        };
        let Some(pace) = pace(transport, layer.rate.bps(now), &group, within) else {
            return false;
        };
        if !self.egress.has_room(group.packets, group.bytes) {
            return false;
        }
        let Some(mut sink) = transport.sink(&mut self.egress) else {
            return false;
        };
        if let Pace::Within(path, within) = pace {
            sink.sender.begin_replay(now, path, within);
        }
        let waits = matches!(pace, Pace::Within(..));
        let Some(sent) = subscription.begin_with(now, &group, track, waits, &mut sink) else {
            return false;
        };
        self.stats.replays += 1;
        self.stats.forwarded_packets += sent;
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

/// The pace at which a viewer gets the pictures of a group. `None` if their path has no room for them beside what comes anew.
fn pace(transport: &Transport, bits_per_second: u64, group: &Group, within: Duration) -> Option<Pace> {
    if !transport.secure.as_ref()?.sender.is_estimated() {
        // Nothing waits where nobody tells what the path carries, until too much is lost. Then the loss says what it carries.
        return (group.bytes <= AT_ONCE_BYTES).then_some(Pace::AtOnce);
    }
    let outcome = transport.outcome()?;
    // Of a path of which nothing is known it is hoped that it carries the layer, as for all that comes after it.
    let path = match transport.has_reported_path() {
        true => outcome.target,
        false => bits_per_second.max(UNKNOWN_PATH),
    };
    let rate = catch_up_rate(path, &outcome)?;
    group
        .fits(bits_per_second, rate, within)
        .then_some(Pace::Within(path, within))
}
