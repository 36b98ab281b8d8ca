//! Notices that somebody cannot decode what somebody else publishes.

use std::sync::Arc;

use super::Rooms;
use crate::domain::{DecodingNotice, Effect, Event, MediaKind};
use crate::ids::{ParticipantId, PeerId};

impl Rooms {
    /// Sends the notice to both, who have to see one another. The publisher may be able to send another format.
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
        // The publisher does not see a watcher who is not visible.
        let receivers = [watcher.stay.visible.then_some(publisher.session), Some(watcher.session)];
        let sessions = receivers.into_iter().flatten().collect();
        let event = Event::Decoding(Arc::new(DecodingNotice {
            publisher: publisher.person.user.clone(),
            watcher: watcher.person.user.clone(),
            media,
            undecodable,
        }));
        vec![Effect::SendEach { sessions, event }]
    }
}
