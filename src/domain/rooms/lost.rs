//! What the rules do where a part of the server is lost, and with it whole rooms, or single connections of other rooms.

use std::sync::Arc;
use std::time::Instant;

use super::Rooms;
use crate::domain::room::{Arrival, Room};
use crate::domain::{Effect, EndReason, Event, MediaState, Use};
use crate::ids::{PeerId, RoomId};

impl Rooms {
    /// Ends a room with everything in it, and the sessions of the people who were in it.
    pub fn dismiss(&mut self, id: RoomId, reason: EndReason) -> Vec<Effect> {
        let sessions = self.rooms.get(&id).map(Room::sessions).unwrap_or_default();
        let dismissals = sessions.into_iter().map(|session| Effect::Dismiss { session, reason });
        let mut effects: Vec<Effect> = dismissals.collect();
        effects.extend(self.close(id));
        effects
    }

    /// A connection was lost with a part of the server, and its keys with it. Its participant stays, and is sent whom they
    /// watched over it; and, like somebody who has just come, whose media are lost.
    pub fn connection_lost(&mut self, now: Instant, peer: PeerId) -> Vec<Effect> {
        let mut told = self.watched_over(peer).unwrap_or_default();
        told.extend(self.end_peer(now, peer, false));
        told
    }

    fn watched_over(&self, peer: PeerId) -> Option<Vec<Effect>> {
        let seat = self.peers.get(&peer)?;
        let room = self.rooms.get(&seat.room)?;
        let participant = room.participant(seat.participant)?;
        let watched = participant.uses_of(peer).iter().filter_map(|one| match one {
            Use::Watch(feed) => room.participant(feed.participant),
            Use::Publish(_) | Use::Slot(..) => None,
        });
        let mut events = Vec::new();
        for source in watched {
            let person = Arc::clone(&source.person);
            let user = person.user.clone();
            events.push(Event::ConnectionLost { person });
            if source.arrival == Arrival::Lost {
                let media = MediaState::Lost;
                events.push(Event::MediaChanged { user, media });
            }
            if !source.announced_feeds.is_empty() {
                events.push(source.feeds_event());
            }
        }
        let session = participant.session;
        let tell = |event| Effect::Tell { session, event };
        Some(events.into_iter().map(tell).collect())
    }
}
