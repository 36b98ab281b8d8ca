//! Announcements of the feeds that a participant publishes. A camera is not announced: everybody is watched from the beginning.

use super::{Rooms, Seat};
use crate::domain::room::Participant;
use crate::domain::{Effect, Event};
use crate::ids::{Feed, SessionId};

impl Rooms {
    /// The newest offer of the session has been answered.
    pub(crate) fn offer_answered(&mut self, session: SessionId) -> Vec<Effect> {
        let seat = self.seats.get(&session).copied();
        seat.map_or_else(Vec::new, |seat| self.settle_offers(seat))
    }

    /// Notes that the offers of a participant have been answered. Sends them who is in the slots of these connections, and the
    /// others what they publish now. It waits for the answer, so that an offer that cannot be answered concerns nobody else.
    pub(super) fn settle_offers(&mut self, seat: Seat) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return Vec::new();
        };
        let answered = room.participant_mut(seat.participant).map(Participant::settle_offers);
        let mut effects = room.layouts(seat.participant, &answered.unwrap_or_default());
        effects.extend(self.announce_feeds(seat));
        effects
    }

    /// Sends the others which feeds a participant publishes beside their camera, if that has changed, and shows them a screen
    /// that has begun.
    pub(super) fn announce_feeds(&mut self, seat: Seat) -> Vec<Effect> {
        let Some((event, sessions)) = self.feeds_changed(seat) else {
            return Vec::new();
        };
        let mut effects = vec![Effect::SendEach { sessions, event }];
        effects.extend(self.fill_stage(seat.room));
        effects
    }

    fn feeds_changed(&mut self, seat: Seat) -> Option<(Event, Vec<SessionId>)> {
        let room = self.rooms.get_mut(&seat.room)?;
        let owner = room.participant_mut(seat.participant)?;
        let feeds = owner.further_feeds();
        if feeds == owner.announced_feeds {
            return None;
        }
        let presents = feeds.contains(&Feed::Screen);
        owner.announced_feeds = feeds;
        let event = owner.feeds_event();
        room.stage.presents(seat.participant, presents);
        Some((event, room.sessions_but(seat.participant)))
    }
}
