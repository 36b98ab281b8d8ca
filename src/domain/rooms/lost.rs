//! What was lost with a part of the server: whole rooms, or single connections.

use std::sync::Arc;
use std::time::Instant;

use super::Rooms;
use crate::domain::room::Room;
use crate::domain::{Effect, EndReason, Event};
use crate::ids::{PeerId, RoomId};

impl Rooms {
    /// Ends a room with everything in it, and the sessions of those who were in it.
    pub fn dismiss(&mut self, id: RoomId, reason: EndReason) -> Vec<Effect> {
        let sessions = self.rooms.get(&id).map(Room::sessions).unwrap_or_default();
        let dismissals = sessions.into_iter().map(|session| Effect::Dismiss { session, reason });
        let mut effects: Vec<Effect> = dismissals.collect();
        effects.extend(self.close(id));
        effects
    }

    /// A connection was lost with a part of the server, and its keys with it. Its participant stays, and is told whom it watched
    /// over it.
    pub fn connection_lost(&mut self, now: Instant, peer: PeerId) -> Option<Effect> {
        let seat = *self.peers.get(&peer)?;
        let room = self.rooms.get(&seat.room)?;
        let participant = room.participant(seat.participant)?;
        let source = participant
            .source_of(peer)
            .flatten()
            .and_then(|source| room.participant(source));
        let told = source.map(|source| Effect::Tell {
            session: participant.session,
            event: Event::ConnectionLost {
                person: Arc::clone(&source.person),
            },
        });
        self.end_peer(now, peer, false);
        told
    }
}
