//! The messages and packets on a worker's links. A track is published on one worker, where its packets are opened, checked and noted once.
//! From there they are passed on to all that have asked for the room: the other workers that serve it, each of which asks each,
//! and recorders. A worker that *mirrors* a track does for its own subscribers what the publisher's worker does for its own: it
//! keeps the packets for their NACKs, chooses their layers, and reports to them. Only what is for a publisher (key frame
//! requests) goes back over the link. Nothing that came from another worker is passed on. A player is a publisher without a
//! connection: the track that it sends over its link is mirrored here, and passed on as this worker's own.
//!
//! A worker asks for a room when the first of its connections is opened, and releases it with the last. The worker that is
//! asked asks back. What does not fit into a link is not lost but sent later: the worker remembers "this track" or "this room",
//! and then announces the state that this has by then.

#[cfg(debug_assertions)]
pub(super) mod audit;
mod ends;
mod rooms;

use std::time::Instant;

use super::Worker;
use crate::ids::{RoomId, TrackId};
use crate::media::clock::SenderClock;
use crate::media::codec::Kind;
use crate::media::keys::{LinkId, TrackKey};
use crate::media::link::{Far, LinkMessage, TrackNotice};
use crate::media::packet::BatchPacket;
use crate::media::rewrite::SourceId;
use crate::media::track::{LayerBegins, Mirror, Origin, Track};

/// For the driver.
impl Worker {
    /// A link into which something was put since the last call: its flag is raised, and its other end is to be woken, if that
    /// sleeps. `None` if there are no more.
    pub fn poll_wake(&mut self) -> Option<LinkId> {
        let mut place = 0;
        while let Some(id) = self.links.not_player_at(place) {
            if let Some(link) = self.links.get_mut(id)
                && std::mem::take(&mut link.wakes)
            {
                link.end.raise();
                return Some(id);
            }
            place += 1;
        }
        None
    }

    /// Whether a link may hold messages for this worker that were not taken yet, or has ended.
    pub fn has_mail(&self) -> bool {
        self.links.has_mail()
    }

    /// Takes messages from the links, until `buffer` is full of packets. The buffer must be as large as the largest packet.
    /// Follow with [`Worker::forward`] over the same buffer. Call again while [`Worker::has_mail`].
    pub fn take_mirrored(&mut self, now: Instant, buffer: &mut [u8]) {
        for id in self.links.take_ended() {
            self.link_ended(now, id);
        }
        let mut filled = 0;
        while let Some(id) = self.links.next_with_mail() {
            self.stats.visits += 1;
            while let Some(link) = self.links.get_mut(id)
                && let Some(message) = link.end.receive(&mut buffer[filled..])
            {
                match message {
                    LinkMessage::Packet { track, arrival } => {
                        let end = filled + (arrival.end - arrival.start);
                        let start = std::mem::replace(&mut filled, end);
                        self.receive_mirrored(now, id, track, BatchPacket { start, end, ..arrival }, buffer);
                    }
                    other => self.handle_message(now, id, other),
                }
            }
            self.links.looked_at(id);
            if self.links.get(id).is_some_and(|link| link.end.has_mail()) {
                // The buffer is full.
                return;
            }
        }
    }
}

/// The side on which a track is published.
impl Worker {
    /// Passes a track's newest packet on to all mirrors of the track.
    pub(super) fn pass_on(&mut self, now: Instant, key: TrackKey, buffer: &[u8]) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let Some(arrival) = track.arrivals.last().map(|arrived| arrived.packet) else {
            return;
        };
        let packet = &buffer[arrival.start..arrival.end];
        let layer = 1 << arrival.layer;
        let mut wants_key_frame = false;
        for mirror in &mut track.mirrors {
            let Some(link) = self.links.get_mut(mirror.link) else {
                continue;
            };
            if !mirror.announced || !link.end.send_packet(track.id, arrival, packet) {
                self.stats.mirror_dropped_packets += 1;
                mirror.missed |= layer;
                continue;
            }
            link.wakes = true;
            self.stats.mirrored_packets += 1;
            if mirror.missed & layer != 0 {
                // The mirror keeps up again, but its stream has a hole that no NACK can fill.
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
        for mirror in track.mirrors.iter().filter(|mirror| mirror.announced) {
            if let Some(link) = self.links.get_mut(mirror.link) {
                // If there is no room for it, the next report is enough.
                link.send(LinkMessage::Clock {
                    track: track.id,
                    layer,
                    source,
                    clock,
                });
            }
        }
    }

    /// Announces a track's present state over all links over which its room was asked for.
    pub(super) fn announce_track(&mut self, now: Instant, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else { return };
        let Some(room) = self.rooms.get(&track.room) else {
            return;
        };
        for link in room.mirrors.clone() {
            self.is_unannounced(key, link);
            self.announce(now, link);
        }
    }

    /// Notes that a track's present state is not announced over a link.
    fn is_unannounced(&mut self, key: TrackKey, id: LinkId) {
        let (Some(track), Some(link)) = (self.tracks.get_mut(key), self.links.get_mut(id)) else {
            return;
        };
        match track.mirrors.iter_mut().find(|mirror| mirror.link == id) {
            Some(mirror) if !mirror.announced => return,
            Some(mirror) => mirror.announced = false,
            None => track.mirrors.push(Mirror {
                link: id,
                announced: false,
                missed: 0,
                wish: None,
                lost_256: 0,
            }),
        }
        link.unannounced.push_back(key);
        self.request_player(key);
    }

    /// Requests the packets of a track, if it is a player's: they go to somebody now, or to another worker.
    pub(super) fn request_player(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else { return };
        let (Origin::Link(id), room) = (track.origin, track.room) else {
            return;
        };
        let Some(link) = self.links.get_mut(id) else { return };
        if matches!(link.far, Far::Player { .. })
            && !link.requested.contains(&room)
            && link.end.send(LinkMessage::Mirror(room))
        {
            link.requested.insert(room);
        }
    }

    /// Announces the end of a track to its mirrors. If the track was mirrored here, forgets it at its link.
    pub(in crate::media) fn track_ended(&mut self, now: Instant, key: TrackKey, track: &Track) {
        for mirror in &track.mirrors {
            let Some(link) = self.links.get_mut(mirror.link) else {
                continue;
            };
            if !mirror.announced {
                link.unannounced.retain(|other| *other != key);
            }
            if link.announced.remove(&track.id).is_some() {
                link.removed.push(track.id);
                self.announce(now, mirror.link);
            }
        }
        if let Origin::Link(id) = track.origin
            && let Some(link) = self.links.get_mut(id)
        {
            link.mirrored.remove(&track.id);
            link.wishes.retain(|other| *other != key);
        }
    }

    fn mirror_requested(&mut self, now: Instant, id: LinkId, room: RoomId) {
        let Some(far) = self.links.get(id).map(|link| link.far) else {
            return;
        };
        let entry = self.rooms.entry(room).or_default();
        if !entry.mirrors.contains(&id) {
            entry.mirrors.push(id);
        }
        let is_served = entry.transports > 0;
        for key in self.tracks_in(room, |track| self.is_own(track)) {
            self.is_unannounced(key, id);
        }
        self.announce(now, id);
        self.pass_on_speakers(id, room);
        // A worker that serves the room with connections of its own may have publishers among them.
        if let Far::Worker(other) = far
            && is_served
        {
            self.request_room(now, room, other);
        }
    }

    /// Announces the end of all tracks of the room that are announced: the other end may have asked for the room again before
    /// it took these, and nothing else would end those that end before its question comes.
    fn mirror_released(&mut self, now: Instant, id: LinkId, room: RoomId) {
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        entry.mirrors.retain(|other| *other != id);
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let tracks: Vec<TrackKey> = entry.tracks().collect();
        for &key in &tracks {
            let track = &mut self.tracks[key];
            track.mirrors.retain(|mirror| mirror.link != id);
            if link.announced.remove(&track.id).is_some() {
                link.removed.push(track.id);
            }
        }
        link.unannounced.retain(|key| !tracks.contains(key));
        self.announce(now, id);
        self.forget_room_if_unused(room);
    }

    fn key_frame_wanted_by_mirror(&mut self, now: Instant, id: LinkId, track: TrackId, layer: u8) {
        let Some(link) = self.links.get(id) else { return };
        let Some(&key) = link.announced.get(&track) else { return };
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

/// The side on which a track is mirrored.
impl Worker {
    fn receive_mirrored(&mut self, now: Instant, id: LinkId, track: TrackId, arrival: BatchPacket, buffer: &[u8]) {
        let Some(link) = self.links.get(id) else { return };
        // The track may have ended here, with its room, before the other end was sent that.
        let Some(&key) = link.mirrored.get(&track) else { return };
        let Some(track) = self.tracks.get_mut(key) else { return };
        let source = track.source_here(arrival.source);
        let arrival = BatchPacket { source, ..arrival };
        let before = track.layers.len();
        let begins = track.receive_mirrored(now, arrival, buffer, &mut self.cache_pool);
        if track.arrivals.len() == 1 {
            self.arrived.push(key);
        }
        let is_passed_on = begins.is_some() && !track.mirrors.is_empty();
        if track.layers.len() > before {
            let (room, publisher) = (track.room, track.name.participant);
            self.share_cache(room, publisher);
        }
        if is_passed_on {
            self.pass_on(now, key, buffer);
        }
        if begins.is_some() {
            self.rank(now, key, buffer);
        }
        if begins == Some(LayerBegins(true)) {
            self.begin_layer(now, key);
        }
    }

    fn track_announced(&mut self, now: Instant, id: LinkId, notice: &TrackNotice) {
        let Some(link) = self.links.get_mut(id) else { return };
        let room = match link.far {
            Far::Worker(other) => self.rooms.get_mut(&notice.room).filter(|room| room.requests(other)),
            Far::Player { room, .. } => (room == notice.room).then(|| self.rooms.entry(room).or_default()),
            Far::Recorder => None,
        };
        let Some(room) = room else { return };
        let key = match link.mirrored.get(&notice.id) {
            Some(&key) => {
                self.rename_track(now, key, notice.name);
                self.tracks[key].update(now, notice);
                key
            }
            None => {
                let key = self.tracks.insert(Track::mirrored(now, id, notice));
                self.plans.expect_track(now, key);
                link.mirrored.insert(notice.id, key);
                room.add_track(notice.name, notice.publisher, key);
                key
            }
        };
        if self.is_own(&self.tracks[key]) {
            self.announce_track(now, key);
        }
        if let Some(muted) = self.links.get(id).map(|link| link.muted) {
            self.mute_track(now, key, muted);
        }
        self.share_cache(notice.room, notice.name.participant);
        self.attach_all(now, notice.room, notice.name);
        self.send_wish_anew(now, key);
        if notice.suspended {
            return self.forget_packets(key);
        }
        self.request_key_frames(now, key);
    }

    fn track_removed(&mut self, now: Instant, id: LinkId, track: TrackId) {
        if let Some(link) = self.links.get(id)
            && let Some(&key) = link.mirrored.get(&track)
        {
            let room = self.tracks[key].room;
            self.remove_track(now, key);
            self.forget_room_if_unused(room);
        }
    }

    /// Takes over the clock of a layer. `None` if the layer is not mirrored here.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message of a link")]
    fn clock_announced(
        &mut self,
        now: Instant,
        id: LinkId,
        track: TrackId,
        layer: u8,
        source: SourceId,
        clock: SenderClock,
    ) -> Option<()> {
        let key = *self.links.get(id)?.mirrored.get(&track)?;
        let track = self.tracks.get(key)?;
        let known = track.layers.get(usize::from(layer))?.source;
        if known == track.source_here(source) {
            self.set_clock(now, key, layer, clock);
        }
        Some(())
    }

    /// Asks the other end of a mirrored track's link for key frames of the layers whose turn it is.
    pub(super) fn request_key_frames_over_link(&mut self, now: Instant, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key).filter(|track| track.kind == Kind::Video) else {
            return;
        };
        let Origin::Link(id) = track.origin else { return };
        let Some(link) = self.links.get_mut(id) else { return };
        for (at, layer) in track.layers.iter_mut().enumerate() {
            if layer.requests.poll(now) {
                // If there is no room for it, it is repeated like a request that the network has lost.
                link.send(LinkMessage::KeyFrame {
                    track: track.id,
                    layer: at as u8,
                });
            }
        }
    }

    /// Sends what did not fit into the links. Call at each tick.
    pub(super) fn look_after_links(&mut self, now: Instant) {
        for id in self.links.take_behind() {
            self.announce(now, id);
        }
    }

    /// Number of tracks that are mirrored here from other workers.
    pub(super) fn mirrored_tracks(&self) -> u64 {
        let of_workers = self.links.values().filter(|link| matches!(link.far, Far::Worker(_)));
        of_workers.map(|link| link.mirrored.len() as u64).sum()
    }
}

/// Both sides.
impl Worker {
    fn handle_message(&mut self, now: Instant, id: LinkId, message: LinkMessage) {
        match message {
            LinkMessage::Mirror(room) => self.mirror_requested(now, id, room),
            LinkMessage::Release(room) => self.mirror_released(now, id, room),
            LinkMessage::KeyFrame { track, layer } => self.key_frame_wanted_by_mirror(now, id, track, layer),
            LinkMessage::Wish { track, wish } => self.wish_came(now, id, track, wish),
            LinkMessage::Loss { track, lost_256 } => self.loss_there_came(id, track, lost_256),
            LinkMessage::Spoke { room, participant, at } => self.spoke_there(now, id, room, participant, at),
            LinkMessage::Track(notice) => self.track_announced(now, id, &notice),
            LinkMessage::Removed(track) => self.track_removed(now, id, track),
            LinkMessage::Clock {
                track,
                layer,
                source,
                clock,
            } => drop(self.clock_announced(now, id, track, layer, source, clock)),
            // The caller takes packets itself: it knows where their bytes are.
            LinkMessage::Packet { .. } => {}
        }
    }

    /// Whether anything is still to be sent over a link.
    pub(super) fn has_chores_at_links(&self) -> bool {
        self.links.is_any_behind()
    }

    /// Sends what is to be announced over one link, as far as there is room. The next tick sends the rest.
    pub(super) fn announce(&mut self, now: Instant, id: LinkId) {
        self.announce_what_fits(now, id);
        self.send_wishes(now, id);
        self.links.note_unsent(id);
    }

    fn announce_what_fits(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        while let Some(&room) = link.changed.front() {
            let Far::Worker(other) = link.far else { break };
            let requests = self.rooms.get(&room).is_some_and(|room| room.requests(other));
            if requests || link.requested.contains(&room) {
                let message = if requests {
                    LinkMessage::Mirror(room)
                } else {
                    LinkMessage::Release(room)
                };
                if !link.send(message) {
                    return;
                }
                if requests {
                    link.requested.insert(room);
                } else {
                    link.requested.remove(&room);
                }
            }
            link.changed.pop_front();
        }
        while let Some(&track) = link.removed.last() {
            if !link.send(LinkMessage::Removed(track)) {
                return;
            }
            link.removed.pop();
        }
        while let Some(&key) = link.unannounced.front() {
            if link.end.is_full() {
                return;
            }
            if let Some(track) = self.tracks.get_mut(key) {
                let publisher = track
                    .origin
                    .transport()
                    .and_then(|transport| self.transports.get(transport));
                let suspended = publisher.is_some_and(|transport| transport.suspended.is_some());
                let notice = Box::new(track.notice(now, suspended));
                if let Some(mirror) = track.mirrors.iter_mut().find(|mirror| mirror.link == id) {
                    mirror.announced = link.send(LinkMessage::Track(notice));
                    link.announced.insert(track.id, key);
                }
            }
            link.unannounced.pop_front();
        }
    }
}
