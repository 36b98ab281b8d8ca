//! Which part of its connection's bandwidth each subscription gets. The rules are in [`allocation`](crate::media::allocation): here
//! they are given what they need, and their answers are carried out. Connections of whose path nothing is known get everything.

use std::time::{Duration, Instant};

use super::Worker;
use super::selection::Urgency;
use crate::ids::Feed;
#[cfg(debug_assertions)]
use crate::ids::PeerId;
use crate::media::allocation::{Budget, Grant, Place, Video};
use crate::media::bandwidth::outgoing::{Outcome, State};
use crate::media::codec::Kind;
use crate::media::keys::{SubscriptionKey, TrackKey, TransportKey};
use crate::media::peer::Transport;
use crate::media::scalability::WHOLE;
use crate::media::subscription::Subscription;
use crate::media::track::Track;

/// Steps that a screen gets in each turn: all, because nobody can read half a text.
const SCREEN_PRIORITY: u8 = u8::MAX;
/// Bits per second of a path that carries everything: a petabit.
const UNBOUNDED: u64 = 1 << 50;
/// Rate that is left beside the lowest layers, in bits per second, so that each begins.
const LOWEST_MARGIN: u64 = 30_000;
/// Longest time between two divisions that is counted. Nobody is there to see a video of a connection that is visited less often.
const COUNTED_MAX: Duration = Duration::from_secs(2);

impl Worker {
    /// Divides a connection's bandwidth among its subscriptions, if it is time for that, or if its path carries much less or more
    /// than when that was done last.
    pub(super) fn allocate(&mut self, now: Instant, key: TransportKey) {
        self.look_at_path(now, key);
        let Some(transport) = self.transports.get(key) else {
            return;
        };
        let known = transport.outcome();
        let Some(outcome) = known.or_else(|| self.supposed_path(transport)) else {
            return;
        };
        if !transport.division.is_due(now, outcome.target) {
            return;
        }
        let since = transport.division.made();
        let mut videos = std::mem::take(&mut self.videos);
        let (sound, is_probed) = self.gather(now, transport, &mut videos);
        let is_by_loss = |transport: &Transport| transport.secure.as_ref().is_some_and(|one| one.sender.is_by_loss());
        let least = if is_by_loss(transport) {
            enough_for_lowest(&videos, sound)
        } else {
            0
        };
        let budget = Budget {
            target: outcome.target.max(least),
            smooth: outcome.smooth.max(least),
            proven: outcome.proven.max(least),
            sound,
            loss_256: outcome.loss_256,
            is_silent: outcome.state == State::Silent,
            is_probed,
        };
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let demand = transport.division.divide(now, &budget, &mut videos);
        if let Some(secure) = transport.secure.as_mut().filter(|_| known.is_some()) {
            secure.sender.demand(now, demand);
        }
        let time = now.saturating_duration_since(since.unwrap_or(now)).min(COUNTED_MAX);
        for video in &videos {
            self.hand_out(now, key, video, time);
        }
        videos.clear();
        self.videos = videos;
    }

    /// Collects the videos of a connection, in `videos`. Returns the rate that its sounds take, and whether its path is probed.
    fn gather(&self, now: Instant, transport: &Transport, videos: &mut Vec<Video>) -> (u64, bool) {
        let (mut sound, mut is_probed) = (0_u64, false);
        for (index, &subscription) in transport.subscriptions.iter().enumerate() {
            let subscription = &self.subscriptions[subscription];
            is_probed |= subscription.is_probed();
            let Some(track) = subscription.track.and_then(|track| self.tracks.get(track)) else {
                continue;
            };
            let want = self.want_of(subscription);
            let place = if want.on_stage {
                Place::OnStage
            } else {
                self.place_of(track)
            };
            match subscription.video(now, index, place, track) {
                Some(mut video) => {
                    video.wanted_height = want.height;
                    video.follows = self.follows_paths(track);
                    if track.name.name.feed == Feed::Screen {
                        video.priority = SCREEN_PRIORITY;
                    }
                    videos.push(video);
                }
                // What has no numbers has no part in the target either.
                None if track.is_held || (subscription.is_numbered() && subscription.repeats_packets()) => {}
                None => {
                    let times = 1 + subscription.distance() as u64;
                    sound = sound.saturating_add(track.sound_bps(now).saturating_mul(times));
                }
            }
        }
        (sound, is_probed)
    }

    /// The rate that a connection's videos take now, in bits per second.
    pub(super) fn rate_of_videos(&self, now: Instant, transport: &Transport) -> u64 {
        let mut videos = Vec::new();
        self.gather(now, transport, &mut videos);
        let rate = |video: &Video| {
            let current = video.steps.iter().filter(|step| Some(step.layer) == video.current);
            current.map(|step| step.bits_per_second).max()
        };
        videos.iter().filter_map(rate).sum()
    }

    /// Carries out what a division gives to a video. It was what it has been for `time`.
    fn hand_out(&mut self, now: Instant, key: TransportKey, video: &Video, time: Duration) {
        let subscription = self.transports[key].subscriptions[video.index];
        let Some(track) = self.subscriptions[subscription].track else {
            return;
        };
        if video.grant == Grant::Paused {
            self.stats.paused_video_millis += time.as_millis() as u64;
        }
        self.note_quality(now, subscription, video.quality());
        if self.subscriptions[subscription].take(video, &self.tracks[track]) {
            self.select_for(now, track, subscription, Urgency::AtOnce);
            self.request_key_frames(now, track);
        }
    }

    /// A path that carries everything, for a connection of whose path nothing is known but whose client has said what it wants.
    fn supposed_path(&self, transport: &Transport) -> Option<Outcome> {
        let is_divided = self.connections.get(&transport.id).is_some_and(|one| one.is_divided);
        (is_divided && transport.secure.is_some()).then_some(Outcome {
            target: UNBOUNDED,
            smooth: UNBOUNDED,
            proven: UNBOUNDED,
            queue_delay: 0,
            loss_256: 0,
            state: State::Holding,
            burst: 0,
            narrow: None,
            probes_won: 0,
            probes_lost: 0,
        })
    }

    /// The part that a track's publisher has in the meeting.
    fn place_of(&self, track: &Track) -> Place {
        let room = self.rooms.get(&track.room);
        let rank = room.and_then(|room| room.speaking.rank(track.name.participant));
        match track.name.name.feed {
            Feed::Screen => Place::OnStage,
            Feed::Camera => rank.map_or(Place::Other, Place::Speaker),
        }
    }

    /// Lets a connection's bandwidth be divided anew soon: its videos, or their layers, are others than before.
    pub(super) fn divide_soon(&mut self, now: Instant, key: TransportKey) {
        let is_divided =
            |transport: &Transport| self.supposed_path(transport).or_else(|| transport.outcome()).is_some();
        if self.transports.get(key).is_some_and(is_divided) {
            self.transports[key].division.outdate(now);
            self.visit_soon(now, key);
        }
    }

    /// Divides a connection's bandwidth now, if a subscription has no part yet: it has only just got its track.
    pub(super) fn allocate_first(&mut self, now: Instant, key: SubscriptionKey) {
        let subscription = &self.subscriptions[key];
        let transport = subscription.transport;
        if subscription.kind == Kind::Video && !subscription.is_allotted() {
            if let Some(transport) = self.transports.get_mut(transport) {
                transport.division.outdate(now);
            }
            self.allocate(now, transport);
        }
    }

    /// Does the same for all subscribers of a track that have no part yet, and lets the others be divided anew soon.
    pub(super) fn divide_for_all(&mut self, now: Instant, key: TrackKey) {
        if self.tracks.get(key).is_none_or(|track| track.kind == Kind::Audio) {
            return;
        }
        for at in 0..self.tracks[key].subscribers.len() {
            let subscriber = self.tracks[key].subscribers[at];
            self.allocate_first(now, subscriber);
            self.divide_soon(now, self.subscriptions[subscriber].transport);
        }
    }

    /// Time at which a connection's bandwidth is divided next. `None` if there is nothing to divide.
    pub(super) fn next_division(&self, transport: &Transport) -> Option<Instant> {
        let is_video = |subscription: &Subscription| subscription.kind == Kind::Video && subscription.track.is_some();
        let mut subscriptions = transport.subscriptions.iter();
        transport.outcome().or_else(|| self.supposed_path(transport))?;
        subscriptions
            .any(|&one| is_video(&self.subscriptions[one]))
            .then(|| transport.division.next())?
    }
}

/// The rate of a path that carries the lowest layer of each video, and the sound. What [`Limits`](crate::media::allocation) leave free
/// comes on top.
fn enough_for_lowest(videos: &[Video], sound: u64) -> u64 {
    let lowest = |video: &Video| {
        let is_shown = video.wanted_height != Some(0);
        let whole = video.steps.iter().filter(|step| is_shown && step.temporal == WHOLE);
        let rates = whole.map(|step| step.bits_per_second);
        rates.min().unwrap_or(0)
    };
    let videos = videos
        .iter()
        .fold(0_u64, |sum, video| sum.saturating_add(lowest(video)));
    (videos.saturating_add(sound).saturating_mul(4) / 3).saturating_add(LOWEST_MARGIN)
}

/// Only tests call this.
#[cfg(debug_assertions)]
impl Worker {
    /// Lets a connection's path carry so many bits per second from now on, whatever its client reports.
    pub fn suppose_path(&mut self, now: Instant, peer: PeerId, target: u64, proven: u64) {
        let Some(connection) = self.connections.get(&peer).cloned() else {
            return;
        };
        for (_, key) in connection.transports() {
            self.transports[key].supposed = Some(Outcome {
                target,
                smooth: target,
                proven,
                queue_delay: 0,
                loss_256: 0,
                state: State::Growing,
                burst: 40_000,
                narrow: None,
                probes_won: 0,
                probes_lost: 0,
            });
            self.pace(key);
            self.allocate(now, key);
            self.plan(now, key);
        }
    }
}
