//! What publishers are asked to send. The rules are in [`steering`](crate::media::steering): here they are given what the viewers
//! want, also those on other workers, and their answers go out, as an estimate (REMB) or as an event for the client's session.

use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use crate::ids::{Feed, TrackId};
use crate::media::bandwidth::outgoing::State;
use crate::media::bandwidth::write_estimate;
use crate::media::codec::Kind;
use crate::media::keys::{LinkId, TrackKey, TransportKey};
use crate::media::layers::{LayerSet, MAX_LAYERS};
use crate::media::link::{Far, LinkMessage};
use crate::media::messages::MediaEvent;
use crate::media::peer::Transport;
use crate::media::session::MediaSection;
use crate::media::stats::Stats;
use crate::media::steering::{Encoding, INTERVAL, Order, Published, SOON, SentOrders, Wish};
use crate::media::subscription::Subscription;
use crate::media::track::{Origin, Track};

/// Part of what is known to arrive over a path that may be sent where the path has shown no limit lately. Less is known of it than
/// it carries while less is sent, and this publisher alone can send more.
const UNFILLED_FACTOR: u64 = 2;

/// Where a video is published.
impl Worker {
    /// Begins to steer a connection, or does so again after a new offer. `takes_orders` says whether its client understands
    /// orders that name its encodings.
    pub(super) fn steer_anew(&mut self, now: Instant, key: TransportKey, takes_orders: bool) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let mut videos = transport.sections.iter().filter(|section| is_video(section));
        let have_names = videos.all(has_names);
        let Some(publisher) = &mut transport.publisher else {
            return;
        };
        let sent = publisher.sent_orders.take().map(|_| SentOrders::anew(now));
        publisher.sent_orders = (takes_orders && have_names).then(|| sent.unwrap_or(SentOrders::new(now)));
        publisher.next_steering = Some(now + SOON);
        self.plan(now, key);
    }

    /// Settles what a connection is to send: with each report, and soon after a change.
    pub(super) fn steer(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self.transports.get(key) else {
            return;
        };
        let publisher = transport.publisher.as_ref().filter(|_| transport.secure.is_some());
        let Some(publisher) = publisher else { return };
        if now < publisher.next_report && publisher.next_steering.is_none_or(|due| now < due) {
            return;
        }
        let mut paths = std::mem::take(&mut self.paths);
        let mut published: SmallVec<[Published; 2]> = SmallVec::new();
        let mut sound: Option<u64> = None;
        for &track in &transport.tracks {
            let track = &self.tracks[track];
            match track.kind {
                Kind::Audio => sound = Some(sound.unwrap_or(0).saturating_add(track.sound_bps(now))),
                Kind::Video => published.push(Published {
                    id: track.id,
                    wish: self.wish_of_all(now, track, &mut paths),
                    encodings: encodings(now, track),
                    negotiated: section_of(transport, track)
                        .map_or(1, negotiated)
                        .max(spatial_layers(track)),
                }),
            }
        }
        self.paths = paths;
        let Some(publisher) = self.transports.get_mut(key).and_then(|one| one.publisher.as_mut()) else {
            return;
        };
        publisher.next_steering = None;
        publisher
            .steering
            .decide(now, &published, sound, publisher.sent_orders.is_some());
        self.send_orders(now, key);
    }

    /// Whether the publisher of a video follows the path of each of its viewers: it has one encoding, whose rate can be asked for, and
    /// nobody is left behind.
    pub(super) fn follows_paths(&self, track: &Track) -> bool {
        let mirrors = track.mirrors.iter();
        let there = mirrors.map(|mirror| mirror.wish.map_or(1, |wish| wish.viewers));
        let viewers = there.fold(track.subscribers.len() as u32, u32::saturating_add);
        if track.layers.len() != 1 || spatial_layers(track) > 1 || Wish::left_behind(viewers) > 0 {
            return false;
        }
        match track.origin {
            Origin::Transport(key) => self.transports.get(key).is_some_and(|transport| {
                let publisher = transport.publisher.as_ref();
                let takes_orders = publisher.is_some_and(|publisher| publisher.sent_orders.is_some());
                let is_single = |section: &&MediaSection| negotiated(section) <= 1;
                let section = section_of(transport, track).filter(is_single);
                section.is_some_and(|section| takes_orders || reads_estimates(section))
            }),
            Origin::Link(id) => self
                .links
                .get(id)
                .is_some_and(|link| matches!(link.far, Far::Worker(_))),
        }
    }

    /// What all viewers want of a video. Nobody sees one that is muted here.
    fn wish_of_all(&self, now: Instant, track: &Track, paths: &mut Vec<(u64, u32)>) -> Wish {
        if track.muted {
            return Wish::NOTHING;
        }
        let mirrors = track.mirrors.iter();
        let there = mirrors.map(|mirror| mirror.wish.unwrap_or(Wish::EVERYTHING));
        Wish::of(self.wishes_here(now, track).chain(there), paths)
    }

    /// Sends the client an order that says which of its encodings are wanted, where it understands that.
    fn send_orders(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let Some(publisher) = transport.publisher.as_mut() else {
            return;
        };
        let Some(sent) = publisher.sent_orders.as_mut() else {
            return;
        };
        for feed in [Feed::Camera, Feed::Screen] {
            let mut order = Order::default();
            let of_feed = |section: &&MediaSection| section.up.is_some_and(|name| name.feed == feed);
            for section in transport
                .sections
                .iter()
                .filter(|section| is_video(section))
                .filter(of_feed)
            {
                let mut tracks = transport.tracks.iter().map(|&track| &self.tracks[track]);
                let Some(track) = tracks.find(|track| track.is_of(section)) else {
                    continue;
                };
                let wanted = publisher.steering.wanted(track.id);
                for rid in &section.rids {
                    order.add(rid, is_wanted(track, rid, wanted));
                }
                if section.rids.is_empty() {
                    order.add(b"", wanted != LayerSet::default());
                    order.bound = publisher.steering.bound().filter(|_| !reads_estimates(section));
                }
            }
            if sent.is_news(now, feed, &order) {
                self.stats.layer_orders += 1;
                self.events.push_back(MediaEvent::LayersWanted {
                    peer: transport.id,
                    feed,
                    layers: order.layers.to_vec(),
                    max_bits_per_second: order.bound,
                });
            }
        }
    }

    /// Writes an estimate into `scratch`: with each report, and where it is another than before. `transport_cc` says whether the
    /// client estimates the way here itself.
    pub(super) fn send_estimate(&mut self, now: Instant, key: TransportKey, is_its_turn: bool, transport_cc: bool) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let Some(publisher) = transport.publisher.as_mut() else {
            return;
        };
        let most = match transport_cc {
            true => self.config.max_publish_bps,
            false => publisher.estimate.bps(),
        };
        let Some(bps) = publisher.steering.estimate(now, is_its_turn, most) else {
            return;
        };
        let streams = transport.streams.iter().filter(|stream| !stream.repair);
        let media: SmallVec<[u32; 8]> = streams.map(|stream| stream.ssrc).collect();
        write_estimate(bps, transport.feedback_ssrc, &media, &mut self.scratch);
        self.stats.estimates_sent += 1;
    }

    /// Takes what the viewers on another worker want.
    pub(super) fn wish_came(&mut self, now: Instant, id: LinkId, track: TrackId, wish: Wish) {
        let Some(&key) = self.links.get(id).and_then(|link| link.announced.get(&track)) else {
            return;
        };
        let mirrors = self.tracks.get_mut(key).map(|track| track.mirrors.iter_mut());
        if let Some(mirror) = mirrors.into_iter().flatten().find(|mirror| mirror.link == id) {
            mirror.wish = Some(wish);
            self.wish_changed(now, key);
        }
    }

    /// Adds to `stats` how many connections are asked for less than they could send.
    pub(super) fn count_steered(&self, stats: &mut Stats) {
        let publishers = self
            .transports
            .values()
            .filter_map(|transport| transport.publisher.as_ref());
        let steered = publishers.filter(|publisher| publisher.steering.holds_back());
        stats.steered_peers = steered.count() as u64;
    }
}

/// Where it is watched.
impl Worker {
    fn wishes_here<'a>(&'a self, now: Instant, track: &'a Track) -> impl Iterator<Item = Wish> + 'a {
        let subscribers = track.subscribers.iter();
        subscribers.map(move |&key| self.wish_of(now, &self.subscriptions[key]))
    }

    /// What one viewer wants. Whoever says nothing of their path, or of the height, wants as much as there is.
    fn wish_of(&self, now: Instant, subscription: &Subscription) -> Wish {
        let transport = self.transports.get(subscription.transport);
        let path = transport.and_then(|transport| {
            let target = transport.outcome()?.target;
            Some(match transport.path_seen.is_filled(now) {
                true => target.saturating_sub(transport.division.sound()),
                false => target.saturating_mul(UNFILLED_FACTOR),
            })
        });
        Wish {
            height: self.want_of(subscription).height.unwrap_or(Wish::ANY),
            viewers: 1,
            path: path
                .filter(|&path| path < self.config.max_publish_bps)
                .unwrap_or(Wish::UNKNOWN),
        }
    }

    /// Lets it be settled anew soon what is wanted of a video, or what listeners lose of a sound: somebody has come or gone, or wants or
    /// loses something else.
    pub(super) fn wish_changed(&mut self, now: Instant, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        match track.origin {
            // The next report to the publisher has the loss.
            Origin::Transport(_) if track.kind == Kind::Audio => {}
            Origin::Transport(transport) => {
                let publisher = self
                    .transports
                    .get_mut(transport)
                    .and_then(|one| one.publisher.as_mut());
                if let Some(publisher) = publisher {
                    publisher.next_steering.get_or_insert(now + SOON);
                    self.plan(now, transport);
                }
            }
            Origin::Link(id) => {
                if let Some(link) = self.links.get_mut(id)
                    && matches!(link.far, Far::Worker(_))
                    && !std::mem::replace(&mut track.is_wish_unsent, true)
                {
                    link.wishes.push_back(key);
                    self.links.note_unsent(id);
                }
            }
        }
    }

    /// Does the same for everything that a connection watches, if its path carries much less than before. More is seen in time
    /// with the next report.
    pub(super) fn look_at_path(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let Some(outcome) = transport.outcome() else { return };
        let is_narrower = outcome.target < transport.path_seen.target / 10 * 9;
        if is_narrower || outcome.state != State::Growing {
            transport.path_seen.full = Some(now);
        }
        if is_narrower || outcome.target > transport.path_seen.target {
            transport.path_seen.target = outcome.target;
        }
        let watched = if is_narrower { transport.subscriptions.len() } else { 0 };
        for at in 0..watched {
            let subscription = self.transports[key].subscriptions[at];
            if let Some(track) = self.subscriptions[subscription].track {
                self.wish_changed(now, track);
            }
        }
    }

    /// Sends the other end of a video's link what is wanted here, whatever it was sent before.
    pub(super) fn send_wish_anew(&mut self, now: Instant, key: TrackKey) {
        if let Some(track) = self.tracks.get_mut(key) {
            (track.sent_wish, track.sent_loss) = (None, None);
            self.wish_changed(now, key);
        }
    }

    /// Sends it what the paths here carry, about once a second.
    pub(super) fn look_after_wish(&mut self, now: Instant, key: TrackKey) {
        let is_due = |(at, _): (Instant, Wish)| now.saturating_duration_since(at) >= INTERVAL;
        let Some(track) = self.tracks.get(key) else { return };
        if track.sent_wish.is_some_and(is_due) {
            self.wish_changed(now, key);
        }
    }

    /// Sends what is wanted of the videos of one link, and what is lost of the sounds, as far as there is room. The next tick sends
    /// the rest.
    pub(super) fn send_wishes(&mut self, now: Instant, id: LinkId) {
        while let Some(key) = self.links.get_mut(id).and_then(|link| link.wishes.pop_front()) {
            let Some(track) = self.tracks.get(key) else { continue };
            if track.kind == Kind::Audio {
                if self.send_loss(id, key) {
                    continue;
                }
                self.links
                    .get_mut(id)
                    .into_iter()
                    .for_each(|link| link.wishes.push_front(key));
                return;
            }
            let mut paths = std::mem::take(&mut self.paths);
            let (track_id, wish) = (track.id, Wish::of(self.wishes_here(now, track), &mut paths));
            self.paths = paths;
            let is_news = track.sent_wish.is_none_or(|(_, sent)| wish.differs_from(&sent));
            let Some(link) = self.links.get_mut(id) else { return };
            let message = LinkMessage::Wish { track: track_id, wish };
            if is_news && !link.send(message) {
                link.wishes.push_front(key);
                return;
            }
            let track = &mut self.tracks[key];
            track.is_wish_unsent = false;
            let sent = track
                .sent_wish
                .map_or(wish, |(_, sent)| if is_news { wish } else { sent });
            track.sent_wish = Some((now, sent));
        }
    }
}

fn encodings(now: Instant, track: &Track) -> SmallVec<[Encoding; MAX_LAYERS]> {
    let states = track.layer_states(now);
    let layers = track.layers.iter().zip(states);
    let encodings = layers.map(|(layer, state)| Encoding {
        height: layer.heights[0],
        is_live: state.is_active(now),
    });
    encodings.collect()
}

fn is_video(section: &MediaSection) -> bool {
    section.kind == Kind::Video && section.up.is_some()
}

/// Whether the client keeps to the rate of the estimates that it is sent.
fn reads_estimates(section: &MediaSection) -> bool {
    section.codecs.iter().any(|codec| codec.feedback.remb)
}

/// Number of encodings that a section was negotiated with.
fn negotiated(section: &MediaSection) -> usize {
    section.rids.len().max(section.remote_ssrcs.len())
}

/// Number of spatial layers that one encoding of a track has, as its key frames tell.
fn spatial_layers(track: &Track) -> usize {
    let counts = track.layers.iter().map(|layer| layer.heights.iter().flatten().count());
    counts.max().unwrap_or(0)
}

/// Whether the encodings of a section have names, or it has only one.
fn has_names(section: &MediaSection) -> bool {
    !section.rids.is_empty() || section.remote_ssrcs.len() <= 1
}

fn section_of<'a>(transport: &'a Transport, track: &Track) -> Option<&'a MediaSection> {
    transport
        .sections
        .iter()
        .find(|section| section.up.is_some() && track.is_of(section))
}

/// Whether the encoding of this name is wanted. One that has not come yet may be the one that is.
fn is_wanted(track: &Track, rid: &[u8], wanted: LayerSet) -> bool {
    match track.layers.iter().position(|layer| layer.rid.as_slice() == rid) {
        Some(at) => wanted.contains(at),
        None => wanted != LayerSet::default(),
    }
}
