//! Lossy paths: what clients report lost decides how much of the sound is sent twice, what its publisher is told of it, and how
//! long viewers are asked to hold pictures back.

use std::time::Instant;

use slotmap::SlotMap;

use super::Worker;
use crate::ids::{Feed, TrackId};
use crate::media::codec::Kind;
use crate::media::keys::{LinkId, SubscriptionKey, TrackKey, TransportKey};
use crate::media::link::LinkMessage;
use crate::media::rtcp;
use crate::media::stats::Stats;
use crate::media::subscription::Subscription;
use crate::media::track::Track;

impl Worker {
    /// Takes the losses in a client's report.
    pub(super) fn losses_came(&mut self, now: Instant, key: TransportKey, blocks: &[u8]) {
        let (mut worst, mut is_of_sound) = (None, false);
        let (mut videos, mut lost_of_videos) = (0_u32, 0_u32);
        for (ssrc, lost) in rtcp::losses(blocks) {
            let Some(copy) = self.subscription(key, ssrc) else {
                continue;
            };
            if self.subscriptions[copy].kind == Kind::Audio {
                is_of_sound = true;
                self.change_loss(now, copy, |copy| copy.reported_loss(lost));
            } else {
                videos += 1;
                lost_of_videos += u32::from(lost);
            }
            worst = worst.max(Some(lost));
        }
        let Some(worst) = worst else { return };
        let Some(sender) = self.transports[key].secure.as_mut().map(|secure| &mut secure.sender) else {
            return;
        };
        sender.take_loss(worst);
        // Where packets have numbers, feedback about these tells sooner.
        if sender.next_number().is_none() && !is_of_sound {
            self.path_lost(now, key, worst);
        } else if is_of_sound {
            self.repeat_sound(now, key);
        }
        if let Some(lost) = lost_of_videos.checked_div(videos) {
            self.follow_losses(now, key, lost as u8);
        }
    }

    /// Takes the share of packets that a connection's path has lost lately, in 1/256.
    pub(super) fn path_lost(&mut self, now: Instant, key: TransportKey, lost_256: u8) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let before = transport.loss.in_256(now);
        if transport.loss.update(now, lost_256) && (before > 0 || transport.loss.in_256(now) > 0) {
            self.look_after_losses(now, key);
        }
    }

    /// Follows what a connection's path loses.
    pub(super) fn look_after_losses(&mut self, now: Instant, key: TransportKey) {
        self.hold_pictures_back(now, key);
        self.repeat_sound(now, key);
    }

    /// Settles how much of the sound each packet of a connection repeats.
    fn repeat_sound(&mut self, now: Instant, key: TransportKey) {
        let transport = &self.transports[key];
        let copies = || transport.subscriptions.iter().map(|&copy| &self.subscriptions[copy]);
        let lost = transport.loss.in_256(now);
        if copies().all(|copy| copy.kind == Kind::Video || (lost == 0 && !copy.has_losses())) {
            return;
        }
        let sound = copies().filter(|copy| copy.kind == Kind::Audio);
        let tracks = sound
            .filter_map(|copy| self.tracks.get(copy.track?))
            .filter(|track| !track.is_held);
        let rate = tracks.map(|track| track.sound_bps(now)).fold(0, u64::saturating_add);
        let target = transport.outcome().map(|outcome| outcome.target);
        for at in 0..transport.subscriptions.len() {
            let copy = self.transports[key].subscriptions[at];
            self.change_loss(now, copy, |copy| copy.settle_distance(lost, rate, target));
        }
    }

    /// Changes what is known of a copy's losses, or what is done about them. If its publisher is to know of that, they are told.
    fn change_loss(&mut self, now: Instant, key: SubscriptionKey, change: impl FnOnce(&mut Subscription)) {
        let copy = &mut self.subscriptions[key];
        let before = copy.loss_without_repeats();
        change(copy);
        if copy.loss_without_repeats() != before
            && let Some(track) = copy.track
        {
            self.wish_changed(now, track);
        }
    }

    /// Asks a connection's client to hold pictures back if packets are lost on the way to it, so that those that are sent again
    /// come in time.
    fn hold_pictures_back(&mut self, now: Instant, key: TransportKey) {
        let transport = &mut self.transports[key];
        let round_trip = transport.secure.as_ref().and_then(|secure| secure.sender.round_trip());
        let Some(round_trip) = round_trip else { return };
        let before = transport.playout.value();
        transport.playout.update(now, transport.loss.in_256(now), round_trip);
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
        let arrival = track.arrivals.last().map(|arrived| &arrived.packet);
        let arrival = arrival.filter(|arrival| !arrival.late);
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

    /// Takes the greatest loss of those who listen on another worker.
    pub(super) fn loss_there_came(&mut self, id: LinkId, track: TrackId, lost_256: u8) {
        let key = self.links.get(id).and_then(|link| link.announced.get(&track));
        let track = key.and_then(|&key| self.tracks.get_mut(key));
        let mirrors = track.map(|track| track.mirrors.iter_mut());
        if let Some(mirror) = mirrors.into_iter().flatten().find(|mirror| mirror.link == id) {
            mirror.lost_256 = lost_256;
        }
    }

    /// Sends the worker on which a track of sound is published the greatest loss of those who listen here, if that is news. False if
    /// there is no room in the link.
    pub(super) fn send_loss(&mut self, id: LinkId, key: TrackKey) -> bool {
        let Some(track) = self.tracks.get(key) else { return true };
        let lost_256 = loss_of_listeners(track, &self.subscriptions);
        let is_news = track.sent_loss.is_none_or(|sent| is_another(sent, lost_256));
        let message = LinkMessage::Loss {
            track: track.id,
            lost_256,
        };
        if is_news && !self.links.get_mut(id).is_some_and(|link| link.send(message)) {
            return false;
        }
        let track = &mut self.tracks[key];
        track.is_wish_unsent = false;
        if is_news {
            track.sent_loss = Some(lost_256);
        }
        true
    }

    /// Adds to `stats` the copies that repeat earlier sound.
    pub(super) fn count_repeating(&self, stats: &mut Stats) {
        let repeats = self.subscriptions.values().filter(|copy| copy.distance() > 0);
        stats.repeating_copies = repeats.count() as u64;
    }
}

/// Whether a loss is so far from what was sent that it is sent.
fn is_another(sent: u8, lost_256: u8) -> bool {
    sent.abs_diff(lost_256) > sent / 4
}

/// The greatest loss, in 1/256, of those who get a track of sound and no earlier sound with it. An encoder of Opus that is told of
/// loss adds a coarse copy of the last packet (in-band FEC, RFC 6716 §2.1.7). What publishers are told as lost since the
/// last report has no part in their estimate of the path, which counts the packets that were lost in all.
pub(super) fn loss_of_listeners(track: &Track, subscriptions: &SlotMap<SubscriptionKey, Subscription>) -> u8 {
    if track.kind == Kind::Video {
        return 0;
    }
    let listeners = track.subscribers.iter().filter_map(|&key| subscriptions.get(key));
    let here = listeners.map(Subscription::loss_without_repeats);
    let there = track.mirrors.iter().map(|mirror| mirror.lost_256);
    here.chain(there).max().unwrap_or(0)
}
