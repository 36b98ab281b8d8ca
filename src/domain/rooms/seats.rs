//! Parties of calls who have brought an offer, in rooms where the other party goes by itself.

use std::sync::Arc;
use std::time::Instant;

use super::{Guest, Rooms};
use crate::domain::lobby::Entrant;
use crate::domain::{Claim, Effect, MediaKind, RoomKind, Stay, Subject, Use};
use crate::ids::{CallId, Feed, RoomName, SlotId, Turn};

/// Turn of somebody whom a call brings into a room: nobody who enters there in the same name takes their place.
const TURN: Turn = Turn(u64::MAX);

impl Rooms {
    /// Brings a party of a call into the group room of this name, with one connection that publishes, and in whose slots the others
    /// are heard and seen. Where that is not possible, the error is what is to be done nevertheless.
    pub(crate) fn seat_in_meeting(
        &mut self,
        now: Instant,
        call: CallId,
        room: RoomName,
        guest: Guest,
        claim: Claim,
    ) -> Result<Vec<Effect>, Vec<Effect>> {
        let Guest {
            session,
            side,
            person,
            offer,
        } = guest;
        let entrant = Entrant {
            session,
            turn: TURN,
            person: Arc::new(person),
            claim,
            stay: Stay::default(),
            connects: true,
            since: now,
        };
        let joined = self.join((RoomKind::Group, room), entrant);
        let mut effects = joined.map_err(|_| Vec::new())?;
        let Some(seat) = self.seats.get(&session).copied() else {
            return Err(effects);
        };
        let uses = vec![
            Use::Publish(Feed::Camera),
            Use::Slot(SlotId(0), MediaKind::Audio),
            Use::Slot(SlotId(1), MediaKind::Video),
        ];
        match self.offer_call(now, seat, (Subject::Call { call, side }, uses), offer) {
            Ok(offered) => {
                effects.extend(offered);
                Ok(effects)
            }
            Err(_) => {
                effects.extend(self.leave(session));
                Err(effects)
            }
        }
    }
}
