//! Announcements of the feeds that a participant publishes. A camera is not announced: everybody is watched from the beginning.

use super::{Rooms, Seat};
use crate::domain::Effect;

impl Rooms {
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
        Some(Effect::TellEach { sessions, event })
    }
}
