//! Whether the media of each participant arrive here, and when the other participants are sent that they do not. What the clock
//! does to rooms.

use std::time::Instant;

use super::{Rooms, Seat};
use crate::domain::room::MediaArrival;
use crate::domain::{Effect, Event, MediaState, Purpose, Subject, Use, UserFeed};
use crate::ids::{Feed, FeedRef, PeerId, UserId};

impl Rooms {
    /// Notes that nothing arrives any longer from the client of a connection, or that something arrives, perhaps again.
    pub fn media_changed(&mut self, peer: PeerId, media: MediaState) -> Vec<Effect> {
        let Some(seat) = self.peers.get(&peer).copied().filter(|seat| self.sends(*seat, peer)) else {
            return Vec::new();
        };
        let before = self.set_arrival(
            seat,
            match media {
                MediaState::Lost => MediaArrival::Lost,
                MediaState::Back => MediaArrival::Arrives,
            },
        );
        let was_lost = before == Some(MediaArrival::Lost);
        let mut effects = self.introduce(seat.room);
        effects.extend(self.settle_wants(seat.room));
        if was_lost != (media == MediaState::Lost) {
            effects.extend(self.send_to_others(seat, media));
        }
        effects
    }

    /// A connection has ended by itself. Its participant stays and may offer again.
    pub(crate) fn end_peer(&mut self, now: Instant, peer: PeerId, by_client: bool) -> Vec<Effect> {
        let seat = self.peers.get(&peer).copied();
        if let Some(seat) = seat.filter(|seat| self.sends(*seat, peer)) {
            self.connection_ended(now, seat, by_client);
        }
        let ended = seat.and_then(|seat| self.end_notice(seat, peer));
        let mut effects = self.drop_peer(peer);
        effects.extend(seat.into_iter().flat_map(|seat| self.announce_feeds(seat)));
        effects.extend(ended);
        effects
    }

    /// What the session whose connection has ended is sent. The parties of a call are sent that the call is over.
    fn end_notice(&self, seat: Seat, peer: PeerId) -> Option<Effect> {
        let room = self.rooms.get(&seat.room)?;
        let owner = room.participant(seat.participant)?;
        let feed_of = |user: &UserId, feed| {
            Subject::Feed(UserFeed {
                user: user.clone(),
                feed,
            })
        };
        let subject = match owner.purpose_of(peer)? {
            Purpose::Publish(feed) => feed_of(&owner.person.user, feed),
            Purpose::Watch(FeedRef { participant, feed }) => feed_of(&room.participant(participant)?.person.user, feed),
            Purpose::Conference => Subject::Conference,
            Purpose::Presentation => Subject::Presentation,
            Purpose::Call => return None,
        };
        let (session, event) = (owner.session, Event::ConnectionEnded { subject });
        Some(Effect::Send { session, event })
    }

    /// A participant has lost the connection over which they publish. If the client has ended it, nobody misses the media.
    pub(super) fn connection_ended(&mut self, now: Instant, seat: Seat, by_client: bool) {
        let arrival = self.arrival(seat).copied();
        let after = match (arrival, by_client) {
            (Some(MediaArrival::Arrives | MediaArrival::Missing(_)), true) => MediaArrival::Nothing,
            (Some(MediaArrival::Arrives), false) => MediaArrival::Missing(now + self.limits.media_gap),
            _ => return,
        };
        self.set_arrival(seat, after);
    }

    /// Whether a participant publishes their camera over this connection, so that the others see and hear them by it.
    pub(super) fn sends(&self, seat: Seat, peer: PeerId) -> bool {
        let room = self.rooms.get(&seat.room);
        let participant = room.and_then(|room| room.participant(seat.participant));
        participant.is_some_and(|participant| participant.uses_of(peer).contains(&Use::Publish(Feed::Camera)))
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let missing = self.missing.first().map(|(due, ..)| *due);
        let speech = self.speech_due.first().map(|(due, _)| *due);
        let ends = self.ends.first().map(|(end, ..)| *end);
        missing.into_iter().chain(speech).chain(ends).min()
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = self.end_stays(now);
        effects.extend(self.announce_all_speakers(now));
        while let Some((_, room, participant)) = self.missing.first().copied().filter(|(due, ..)| *due <= now) {
            let seat = Seat { room, participant };
            self.set_arrival(seat, MediaArrival::Lost);
            effects.extend(self.fill_stage(room));
            effects.extend(self.send_to_others(seat, MediaState::Lost));
        }
        effects
    }

    /// Nobody misses the media of somebody who has left.
    pub(super) fn forget_arrival(&mut self, seat: Seat) {
        self.set_arrival(seat, MediaArrival::Nothing);
    }

    fn arrival(&mut self, seat: Seat) -> Option<&mut MediaArrival> {
        let room = self.rooms.get_mut(&seat.room)?;
        Some(&mut room.participant_mut(seat.participant)?.arrival)
    }

    /// Sets the state of a participant's media. Returns the state before.
    fn set_arrival(&mut self, seat: Seat, after: MediaArrival) -> Option<MediaArrival> {
        let before = std::mem::replace(self.arrival(seat)?, after);
        let Seat { room, participant } = seat;
        if let MediaArrival::Missing(due) = before {
            self.missing.remove(&(due, room, participant));
        }
        if let MediaArrival::Missing(due) = after {
            self.missing.insert((due, room, participant));
        }
        Some(before)
    }

    fn send_to_others(&self, seat: Seat, media: MediaState) -> Vec<Effect> {
        let Some(room) = self.rooms.get(&seat.room) else {
            return Vec::new();
        };
        let Some(participant) = room.participant(seat.participant) else {
            return Vec::new();
        };
        let user = participant.person.user.clone();
        vec![Effect::SendEach {
            sessions: room.sessions_but(seat.participant),
            event: Event::MediaChanged { user, media },
        }]
    }
}
