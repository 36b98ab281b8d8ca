//! Notices that somebody cannot decode what somebody else publishes.

use std::sync::Arc;

use super::Rooms;
use crate::domain::{DecodingNotice, Effect, Event, MediaKind};
use crate::ids::{ParticipantId, PeerId};

impl Rooms {
    /// Sends the notice to both. The publisher may be able to send another format.
    pub fn decoding_changed(
        &self,
        peer: PeerId,
        publisher: ParticipantId,
        media: MediaKind,
        undecodable: Option<String>,
    ) -> Vec<Effect> {
        let pair = || {
            let seat = self.peers.get(&peer)?;
            let room = self.rooms.get(&seat.room)?;
            let watcher = room.participant(seat.participant)?;
            Some((room.participant(publisher)?, watcher))
        };
        let Some((publisher, watcher)) = pair() else {
            return Vec::new();
        };
        let sessions = vec![publisher.session, watcher.session];
        let event = Event::Decoding(Arc::new(DecodingNotice {
            publisher: publisher.person.user.clone(),
            watcher: watcher.person.user.clone(),
            media,
            undecodable,
        }));
        vec![Effect::SendEach { sessions, event }]
    }
}
