//! Rooms that several workers serve. The *home* has the room's publishers; it opens, checks and notes each packet once and
//! passes it on to every *mirror*, a worker on which more of the room's subscribers live. To those a mirror is what the home
//! is to its own: it keeps the packets for their NACKs, chooses their layers, reports to them; only what is for a publisher
//! (key frame requests) goes back over the link.
//!
//! A mirror asks for a room when the first of its connections is opened, and releases it with the last. What does not fit into
//! a link is not lost but said later: it is remembered as "this track" or "this room", whose state is then told as it is.

#[cfg(debug_assertions)]
pub mod audit;
mod rooms;
mod unlink;

use std::collections::VecDeque;
use std::time::Instant;

use ahash::{AHashMap, AHashSet};

use super::Worker;
use crate::ids::{RoomId, TrackId};
use crate::media::clock::SenderClock;
use crate::media::codec::Kind;
use crate::media::keys::TrackKey;
use crate::media::link::{LinkEnd, Message, TrackNotice};
use crate::media::packet::Arrival;
use crate::media::rewrite::SourceId;
use crate::media::track::{Begins, Mirror, Origin, Track};
use crate::media::worker::links::Link;

/// For the driver.
impl Worker {
    /// From now on worker `other` can be reached. An earlier link ends: it was with a worker that is lost.
    pub fn link(&mut self, now: Instant, other: usize, end: LinkEnd) {
        self.unlink(now, other);
        if self.links.len() <= other {
            self.links.resize_with(other + 1, || None);
        }
        let waiting = self.rooms.iter().filter(|(_, room)| room.home == Some(other));
        let changed = waiting.map(|(id, _)| *id).collect();
        self.links[other] = Some(Box::new(Link {
            end,
            rung: false,
            told: AHashMap::new(),
            untold: VecDeque::new(),
            gone: Vec::new(),
            mirrored: AHashMap::new(),
            asked: AHashSet::new(),
            changed,
        }));
        self.say(now, other);
    }

    /// A worker that was told something since this was last asked: wake it if it sleeps. `None` when there is no more.
    pub fn poll_wake(&mut self) -> Option<usize> {
        let rung = |link: &Option<Box<Link>>| link.as_ref().is_some_and(|link| link.rung);
        let other = self.links.iter().position(rung)?;
        if let Some(link) = &mut self.links[other] {
            link.rung = false;
        }
        Some(other)
    }

    /// Whether other workers have told something that was not yet taken.
    pub fn has_mail(&self) -> bool {
        self.links.iter().flatten().any(|link| link.end.has_mail())
    }

    /// Takes what other workers have told, until `buffer` is full of packets, which must be as large as the largest. Follow with
    /// [`Worker::forward`] over the same buffer; call again while [`Worker::has_mail`].
    pub fn take_mirrored(&mut self, now: Instant, buffer: &mut [u8]) {
        let mut filled = 0;
        for index in 0..self.links.len() {
            while let Some(link) = &mut self.links[index]
                && let Some(message) = link.end.receive(&mut buffer[filled..])
            {
                match message {
                    Message::Packet { track, arrival } => {
                        let end = filled + (arrival.end - arrival.start);
                        let start = std::mem::replace(&mut filled, end);
                        self.receive_mirrored(now, index, track, Arrival { start, end, ..arrival }, buffer);
                    }
                    other => self.handle_message(now, index, other),
                }
            }
        }
    }
}

/// At a room's home.
impl Worker {
    /// Passes a track's newest packet on to the workers that mirror it.
    pub(super) fn pass_on(&mut self, now: Instant, key: TrackKey, buffer: &[u8]) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let Some(arrival) = track.arrivals.last().copied() else {
            return;
        };
        let packet = &buffer[arrival.start..arrival.end];
        let layer = 1 << arrival.layer;
        let mut wants_key_frame = false;
        for mirror in &mut track.mirrors {
            let Some(link) = &mut self.links[mirror.link] else {
                continue;
            };
            if !mirror.told || !link.end.send_packet(track.id, arrival, packet) {
                self.stats.mirror_dropped_packets += 1;
                mirror.missed |= layer;
                continue;
            }
            link.rung = true;
            self.stats.mirrored_packets += 1;
            if mirror.missed & layer != 0 {
                // The mirror keeps up again, with a hole in the stream that nobody can ask it for.
                mirror.missed &= !layer;
                if track.kind == Kind::Video && !arrival.entry.is_open() {
                    track.layers[usize::from(arrival.layer)].requests.want(now);
                    wants_key_frame = true;
                }
            }
        }
        if wants_key_frame {
            self.plan_repairs(key);
        }
    }

    pub(super) fn pass_on_clock(&mut self, key: TrackKey, layer: u8, clock: SenderClock) {
        let Some(track) = self.tracks.get(key) else { return };
        let Some(source) = track.layers.get(usize::from(layer)).map(|layer| layer.source) else {
            return;
        };
        for mirror in track.mirrors.iter().filter(|mirror| mirror.told) {
            if let Some(link) = &mut self.links[mirror.link] {
                // Where there is no room for it, the next report will do.
                link.send(Message::Clock {
                    track: track.id,
                    layer,
                    source,
                    clock,
                });
            }
        }
    }

    /// Tells the workers that mirror a track's room how the track is now.
    pub(super) fn tell_mirrors(&mut self, now: Instant, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else { return };
        let Some(room) = self.rooms.get(&track.room) else {
            return;
        };
        for index in room.mirrors.clone() {
            self.is_untold(key, index);
            self.say(now, index);
        }
    }

    /// Notes that a worker does not know a track as it is now.
    fn is_untold(&mut self, key: TrackKey, index: usize) {
        let (Some(track), Some(Some(link))) = (self.tracks.get_mut(key), self.links.get_mut(index)) else {
            return;
        };
        match track.mirrors.iter_mut().find(|mirror| mirror.link == index) {
            Some(mirror) if !mirror.told => return,
            Some(mirror) => mirror.told = false,
            None => track.mirrors.push(Mirror {
                link: index,
                told: false,
                missed: 0,
            }),
        }
        link.untold.push_back(key);
    }

    /// A track is no more: tells its mirrors, or forgets that it was mirrored here.
    pub(in crate::media) fn track_ended(&mut self, now: Instant, track: &Track) {
        for mirror in &track.mirrors {
            if let Some(link) = &mut self.links[mirror.link]
                && link.told.remove(&track.id).is_some()
            {
                link.gone.push(track.id);
                self.say(now, mirror.link);
            }
        }
        if let Origin::Link(index) = track.origin
            && let Some(Some(link)) = self.links.get_mut(index)
        {
            link.mirrored.remove(&track.id);
        }
    }

    fn mirror_asked(&mut self, now: Instant, index: usize, room: RoomId) {
        let entry = self.rooms.entry(room).or_default();
        if !entry.mirrors.contains(&index) {
            entry.mirrors.push(index);
        }
        let tracks: Vec<TrackKey> = entry.tracks().collect();
        for key in tracks {
            self.is_untold(key, index);
        }
        self.say(now, index);
    }

    fn mirror_released(&mut self, index: usize, room: RoomId) {
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        entry.mirrors.retain(|other| *other != index);
        let Some(Some(link)) = self.links.get_mut(index) else {
            return;
        };
        let tracks: Vec<TrackKey> = entry.tracks().collect();
        for &key in &tracks {
            let track = &mut self.tracks[key];
            track.mirrors.retain(|mirror| mirror.link != index);
            link.told.remove(&track.id);
        }
        link.untold.retain(|key| !tracks.contains(key));
        self.forget_room_if_unused(room);
    }

    fn key_frame_wanted_by_mirror(&mut self, now: Instant, index: usize, track: TrackId, layer: u8) {
        let Some(Some(link)) = self.links.get(index) else {
            return;
        };
        let Some(&key) = link.told.get(&track) else { return };
        let layer = self
            .tracks
            .get_mut(key)
            .and_then(|track| track.layers.get_mut(usize::from(layer)));
        if let Some(layer) = layer {
            layer.requests.want(now);
            self.request_key_frames(now, key);
        }
    }
}

/// At a mirror.
impl Worker {
    fn receive_mirrored(&mut self, now: Instant, index: usize, id: TrackId, arrival: Arrival, buffer: &[u8]) {
        let Some(Some(link)) = self.links.get(index) else {
            return;
        };
        // Of a track that has ended here, with its room, before its home heard of that.
        let Some(&key) = link.mirrored.get(&id) else { return };
        let Some(track) = self.tracks.get_mut(key) else { return };
        let before = track.layers.len();
        let begins = track.receive_mirrored(now, arrival, buffer, &mut self.cache_pool);
        if track.arrivals.len() == 1 {
            self.arrived.push(key);
        }
        if track.layers.len() > before {
            let (room, publisher) = (track.room, track.name.participant);
            self.share_cache(room, publisher);
        }
        if begins == Some(Begins(true)) {
            self.begin_layer(now, key);
        }
    }

    fn track_told(&mut self, now: Instant, index: usize, notice: &TrackNotice) {
        let Some(room) = self.rooms.get_mut(&notice.room).filter(|room| room.home == Some(index)) else {
            return;
        };
        let Some(Some(link)) = self.links.get_mut(index) else {
            return;
        };
        let key = match link.mirrored.get(&notice.id) {
            Some(&key) => {
                self.rename_track(now, key, notice.name);
                self.tracks[key].update(now, notice);
                key
            }
            None => {
                let key = self.tracks.insert(Track::mirrored(now, index, notice));
                self.plans.expect_track(now, key);
                link.mirrored.insert(notice.id, key);
                room.add_track(notice.name, key);
                key
            }
        };
        self.share_cache(notice.room, notice.name.participant);
        self.attach_all(now, notice.room, notice.name);
        if notice.suspended {
            return self.forget_packets(key);
        }
        self.request_key_frames(now, key);
    }

    fn track_gone(&mut self, now: Instant, index: usize, id: TrackId) {
        if let Some(Some(link)) = self.links.get(index)
            && let Some(&key) = link.mirrored.get(&id)
        {
            self.remove_track(now, key);
        }
    }

    /// `None` where it is about nothing that is here.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message of a link")]
    fn clock_told(
        &mut self,
        now: Instant,
        index: usize,
        id: TrackId,
        layer: u8,
        source: SourceId,
        clock: SenderClock,
    ) -> Option<()> {
        let key = *self.links.get(index)?.as_ref()?.mirrored.get(&id)?;
        let known = self.tracks.get(key)?.layers.get(usize::from(layer))?.source;
        if known == source {
            self.set_clock(now, key, layer, clock);
        }
        Some(())
    }

    /// Asks the home of a mirrored track for key frames, for those layers whose turn it is.
    pub(super) fn request_key_frames_at_home(&mut self, now: Instant, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key).filter(|track| track.kind == Kind::Video) else {
            return;
        };
        let Origin::Link(index) = track.origin else { return };
        let Some(Some(link)) = self.links.get_mut(index) else {
            return;
        };
        for (at, layer) in track.layers.iter_mut().enumerate() {
            if layer.requests.poll(now) {
                // Where there is no room for it, it is repeated as one that the network has lost.
                link.send(Message::KeyFrame {
                    track: track.id,
                    layer: at as u8,
                });
            }
        }
    }

    /// By the clock: what did not fit into the links.
    pub(super) fn look_after_mirrors(&mut self, now: Instant) {
        for index in 0..self.links.len() {
            self.say(now, index);
        }
    }

    pub(super) fn mirrored_tracks(&self) -> u64 {
        self.links.iter().flatten().map(|link| link.mirrored.len() as u64).sum()
    }
}

/// Both ways.
impl Worker {
    fn handle_message(&mut self, now: Instant, index: usize, message: Message) {
        match message {
            Message::Mirror(room) => self.mirror_asked(now, index, room),
            Message::Release(room) => self.mirror_released(index, room),
            Message::KeyFrame { track, layer } => self.key_frame_wanted_by_mirror(now, index, track, layer),
            Message::Track(notice) => self.track_told(now, index, &notice),
            Message::Gone(track) => self.track_gone(now, index, track),
            Message::Clock {
                track,
                layer,
                source,
                clock,
            } => drop(self.clock_told(now, index, track, layer, source, clock)),
            // The caller knows where its bytes are.
            Message::Packet { .. } => {}
        }
    }

    pub(super) fn has_unsaid(&self) -> bool {
        self.links.iter().flatten().any(|link| link.has_unsaid())
    }

    /// Says what there is to say to one worker, as far as there is room; the next tick goes on.
    fn say(&mut self, now: Instant, index: usize) {
        let Some(Some(link)) = self.links.get_mut(index) else {
            return;
        };
        while let Some(&id) = link.changed.front() {
            let lives = self.rooms.get(&id).is_some_and(|room| room.home == Some(index));
            if lives || link.asked.contains(&id) {
                let message = if lives {
                    Message::Mirror(id)
                } else {
                    Message::Release(id)
                };
                if !link.send(message) {
                    return;
                }
                if lives {
                    link.asked.insert(id);
                } else {
                    link.asked.remove(&id);
                }
            }
            link.changed.pop_front();
        }
        while let Some(&id) = link.gone.last() {
            if !link.send(Message::Gone(id)) {
                return;
            }
            link.gone.pop();
        }
        while let Some(&key) = link.untold.front() {
            if link.end.is_full() {
                return;
            }
            if let Some(track) = self.tracks.get_mut(key) {
                let publisher = track.origin.peer().and_then(|peer| self.peers.get(peer));
                let suspended = publisher.is_some_and(|peer| peer.suspended.is_some());
                let notice = Box::new(track.notice(now, suspended));
                if let Some(mirror) = track.mirrors.iter_mut().find(|mirror| mirror.link == index) {
                    mirror.told = link.send(Message::Track(notice));
                    link.told.insert(track.id, key);
                }
            }
            link.untold.pop_front();
        }
    }
}
