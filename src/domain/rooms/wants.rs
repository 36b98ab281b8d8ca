//! What viewers want of videos, and what they are sent of what they get.

use super::Rooms;
use crate::domain::{Effect, Event, Refusal, UserFeed, VideoWants};
use crate::ids::{FeedRef, PeerId, RoomId, SessionId};
use crate::video::Quality;

impl Rooms {
    /// A session says what it wants of the videos in its room. It replaces what it said before.
    pub(crate) fn want(&mut self, session: SessionId, wants: Box<VideoWants>) -> Result<Vec<Effect>, Refusal> {
        let seat = self.seats.get(&session).copied().ok_or(Refusal::NotInRoom)?;
        self.owner(seat).ok_or(Refusal::NotInRoom)?.wants = Some(wants);
        Ok(self.settle_wants(seat.room))
    }

    /// Settles anew what the viewers in a room are to be sent: who is there, or who speaks, has changed.
    pub(super) fn settle_wants(&mut self, room: RoomId) -> Vec<Effect> {
        let room = self.rooms.get_mut(&room);
        room.map_or_else(Vec::new, |room| room.settle_wants())
    }

    /// Sends a viewer what they get of a video, if their client understands that.
    pub fn quality_changed(&self, peer: PeerId, feed: FeedRef, quality: Quality) -> Vec<Effect> {
        let sent = || {
            let seat = self.peers.get(&peer)?;
            let room = self.rooms.get(&seat.room)?;
            let viewer = room.participant(seat.participant)?;
            let user = room.participant(feed.participant)?.person.user.clone();
            let feed = UserFeed { user, feed: feed.feed };
            viewer.stay.understands.video_quality.then_some(Effect::Send {
                session: viewer.session,
                event: Event::Quality { feed, quality },
            })
        };
        sent().into_iter().collect()
    }
}
