//! Announcements of the feeds that a participant publishes. A camera is not announced: everybody is watched from the beginning.

use super::{Rooms, Seat};
use crate::domain::Effect;
use crate::ids::SessionId;

impl Rooms {
    /// The newest offer of the session has been answered.
    pub(crate) fn offer_answered(&mut self, session: SessionId) -> Option<Effect> {
        let seat = self.seats.get(&session).copied()?;
        self.settle_offers(seat)
    }

    /// Notes that the offers of a participant have been answered, and sends the others what they publish now. It waits for the
    /// answer, so that an offer that cannot be answered concerns nobody else.
    pub(super) fn settle_offers(&mut self, seat: Seat) -> Option<Effect> {
        self.owner(seat)?.settle_offers();
        self.announce_feeds(seat)
    }

    /// Sends the others which feeds a participant publishes beside their camera, if that has changed.
    pub(super) fn announce_feeds(&mut self, seat: Seat) -> Option<Effect> {
        let room = self.rooms.get_mut(&seat.room)?;
        let owner = room.participant_mut(seat.participant)?;
        let feeds = owner.further_feeds();
        if feeds == owner.announced_feeds {
            return None;
        }
        owner.announced_feeds = feeds;
        let event = owner.feeds_event();
        let sessions = room.sessions_but(seat.participant);
        Some(Effect::SendEach { sessions, event })
    }
}
