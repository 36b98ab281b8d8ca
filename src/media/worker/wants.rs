//! What the viewers here want of each video, and what each is sent about what they get.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Worker;
use crate::ids::{FeedRef, PeerId};
use crate::media::keys::{SubscriptionKey, TransportKey};
use crate::media::messages::MediaEvent;
use crate::media::stats::Stats;
use crate::media::subscription::{QualityNotes, Subscription};
use crate::media::track::Track;
use crate::video::{Quality, State, Want};

/// Time between two reports about one video. Its layer may change more often while a path is found out, and nobody reads faster.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// A connection's client wants these of the videos that it watches, and of all others what there is. It replaces what was
    /// wanted before. Nobody else's videos change.
    pub(super) fn want(&mut self, now: Instant, peer: PeerId, mut wants: Vec<(FeedRef, Want)>) {
        // They are looked up for each video of the connection.
        wants.sort_unstable_by_key(|(feed, _)| *feed);
        let Some(connection) = self.connections.get_mut(&peer) else {
            return;
        };
        connection.wants = wants;
        connection.is_divided = true;
        let transports: SmallVec<[TransportKey; 4]> = connection.transports().map(|(_, key)| key).collect();
        for key in transports {
            for at in 0..self.transports[key].subscriptions.len() {
                let subscription = self.transports[key].subscriptions[at];
                if let Some(track) = self.subscriptions[subscription].track {
                    self.wish_changed(now, track);
                }
            }
            self.transports[key].division.outdate(now);
            self.allocate(now, key);
            self.plan(now, key);
        }
    }

    /// What is wanted of the video that a subscription carries.
    pub(super) fn want_of(&self, subscription: &Subscription) -> Want {
        let want = || {
            let track = self.tracks.get(subscription.track?)?;
            let connection = self.connections.get(&self.transports.get(subscription.transport)?.id)?;
            let wants = &connection.wants;
            let at = wants.binary_search_by_key(&feed_of(track), |(feed, _)| *feed).ok()?;
            Some(wants.get(at)?.1)
        };
        want().unwrap_or_default()
    }

    /// Notes what a video has become, and reports it to a client that understands that, if it is something else than before.
    pub(super) fn note_quality(&mut self, now: Instant, key: SubscriptionKey, quality: Quality) {
        let subscription = &mut self.subscriptions[key];
        let Some(track) = subscription.track.and_then(|track| self.tracks.get(track)) else {
            return;
        };
        let notes = subscription.quality.get_or_insert(QualityNotes {
            now: quality,
            reported: None,
        });
        if notes.now != quality {
            self.stats.video_changes += 1;
        }
        notes.now = quality;
        let peer = self.transports[subscription.transport].id;
        let is_sent = self.connections.get(&peer).is_some_and(|one| one.is_sent_quality);
        let is_news = notes
            .reported
            .is_none_or(|(at, before)| before != quality && now.saturating_duration_since(at) >= REPORT_INTERVAL);
        if is_sent && is_news {
            notes.reported = Some((now, quality));
            let feed = feed_of(track);
            self.events.push_back(MediaEvent::Quality { peer, feed, quality });
        }
    }

    /// Adds to `stats` how many videos are sent in which state.
    pub(super) fn count_quality(&self, stats: &mut Stats) {
        let all = self.subscriptions.values().filter(|one| one.track.is_some());
        for notes in all.filter_map(|subscription| subscription.quality) {
            let count = match notes.now.state {
                State::Full => &mut stats.full_videos,
                State::Reduced(_) => &mut stats.reduced_videos,
                State::Paused(_) => &mut stats.paused_videos,
                State::Unwanted => &mut stats.unwanted_videos,
            };
            *count += 1;
        }
    }
}

fn feed_of(track: &Track) -> FeedRef {
    FeedRef {
        participant: track.name.participant,
        feed: track.name.name.feed,
    }
}
