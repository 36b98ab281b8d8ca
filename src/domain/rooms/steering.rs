//! What the clients that understand it are told of the encodings that they send.

use std::sync::Arc;

use super::Rooms;
use crate::domain::{Effect, Event, LayersWanted};
use crate::ids::PeerId;

impl Rooms {
    /// Sends the publisher of a connection which of its encodings are wanted.
    pub fn layers_wanted(&self, peer: PeerId, wanted: LayersWanted) -> Vec<Effect> {
        let publisher = || {
            let seat = self.peers.get(&peer)?;
            let room = self.rooms.get(&seat.room)?;
            room.participant(seat.participant)
        };
        let publisher = publisher().filter(|publisher| publisher.stay.understands.send_layers);
        let effect = publisher.map(|publisher| Effect::Send {
            session: publisher.session,
            event: Event::LayersWanted(Arc::new(wanted)),
        });
        effect.into_iter().collect()
    }
}
