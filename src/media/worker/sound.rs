//! Lossy paths: what clients report lost decides how much of the sound is sent twice, what its publisher is told of it, and how
//! long viewers are asked to hold pictures back.

use std::time::Instant;

use slotmap::SlotMap;

use super::Worker;
use crate::ids::Feed;
use crate::media::codec::Kind;
use crate::media::keys::{SubscriptionKey, TrackKey, TransportKey};
use crate::media::rtcp;
use crate::media::stats::Stats;
use crate::media::subscription::Subscription;
use crate::media::track::Track;

impl Worker {
    /// Notes the losses of sound in a client's report.
    pub(super) fn losses_of_sound_came(&mut self, now: Instant, key: TransportKey, blocks: &[u8]) {
        let transport = &self.transports[key];
        let copies = || transport.subscriptions.iter().map(|&copy| &self.subscriptions[copy]);
        if copies().all(|copy| copy.kind == Kind::Video) {
            return;
        }
        let sound = copies().filter(|copy| copy.kind == Kind::Audio);
        let tracks = sound
            .filter_map(|copy| self.tracks.get(copy.track?))
            .filter(|track| !track.is_held);
        let rate = tracks.map(|track| track.sound_bps(now)).fold(0, u64::saturating_add);
        let target = transport.outcome().map(|outcome| outcome.target);
        for (ssrc, lost) in rtcp::losses(blocks) {
            if let Some(copy) = self.subscription(key, ssrc) {
                self.subscriptions[copy].reported_loss(lost, rate, target);
            }
        }
    }

    /// Asks a connection's client to hold pictures back if packets are lost on the way to it, so that those that are sent again
    /// come in time.
    pub(super) fn look_after_playout(&mut self, now: Instant, key: TransportKey) {
        let transport = &mut self.transports[key];
        let round_trip = transport.secure.as_ref().and_then(|secure| secure.sender.round_trip());
        let (Some(round_trip), Some(outcome)) = (round_trip, transport.outcome()) else {
            return;
        };
        let before = transport.playout.value();
        transport.playout.update(now, outcome.loss_256, round_trip);
        let value = transport.playout.value();
        if value != before {
            for &copy in &transport.subscriptions {
                self.subscriptions[copy].hold_back(value);
            }
        }
    }

    /// Decides whether a track's newest packet of sound goes to anybody: in a large room only those of the loudest do. Each worker
    /// decides it for its own subscribers, by the same packets.
    pub(super) fn rank(&mut self, now: Instant, key: TrackKey, buffer: &[u8]) {
        let Some(track) = self.tracks.get_mut(key).filter(|track| track.kind == Kind::Audio) else {
            return;
        };
        let arrival = track.arrivals.last().filter(|arrival| !arrival.late);
        let (Some(room), Some(arrival)) = (self.rooms.get_mut(&track.room), arrival) else {
            return;
        };
        // The sound of a screen is no voice.
        if !room.is_large() || track.name.name.feed != Feed::Camera {
            track.is_held = false;
            return;
        }
        let marks = track
            .extensions
            .read(&arrival.header, &buffer[arrival.start..arrival.end]);
        let is_heard = match marks.audio_level {
            Some(level) => room.loudest.heard(now, key, &mut track.voice, level),
            None => room.loudest.heard_unranked(now, key),
        };
        track.is_held = !is_heard;
        self.stats.held_packets += u64::from(!is_heard);
    }

    /// Adds to `stats` the copies that repeat earlier sound.
    pub(super) fn count_repeating(&self, stats: &mut Stats) {
        let repeats = self.subscriptions.values().filter(|copy| copy.distance() > 0);
        stats.repeating_copies = repeats.count() as u64;
    }
}

/// The greatest loss, in 1/256, of those who get a track of sound and cannot read earlier sound beside it. An encoder of Opus that is
/// told of loss adds a coarse copy of the last packet (in-band FEC, RFC 6716 §2.1.7). What publishers are told as lost since the
/// last report has no part in their estimate of the path, which counts the packets that were lost in all.
pub(super) fn loss_of_listeners(track: &Track, subscriptions: &SlotMap<SubscriptionKey, Subscription>) -> u8 {
    if track.kind == Kind::Video {
        return 0;
    }
    let listeners = track.subscribers.iter().filter_map(|&key| subscriptions.get(key));
    listeners.map(Subscription::loss_without_red).max().unwrap_or(0)
}
