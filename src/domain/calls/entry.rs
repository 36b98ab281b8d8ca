//! One call.

use std::time::Instant;

use crate::domain::{Address, CallEnd, CallEvent, CallOver, Effect, Event, Offer, Side};
use crate::ids::{CallId, RoomId, RoomName, SessionId};
use crate::shares::ClientAddress;

/// One call: its two sides, and where their media go.
pub(in crate::domain) struct Call {
    pub caller: Party,
    /// Without a session while it rings.
    pub callee: Party,
    pub media: Media,
    /// The address whose share of calls it counts against.
    pub begun_from: ClientAddress,
    pub accepted: bool,
    pub ring_until: Option<Instant>,
    /// When a side that has lost its session is given up.
    pub wait_until: Option<Instant>,
    /// When the call is over because nobody is in the room where the two met.
    pub empty_until: Option<Instant>,
    /// Somebody is in that room.
    pub is_met: bool,
    /// From then on the call keeps nobody busy, because nobody has entered that room. It is not ended: its two may talk
    /// over something else than this server, as clients with pages of their own do, and would be cut off. Where they do
    /// not, and have forgotten to hang up, others can call them, and it ends when one of the two accepts, or calls.
    pub idle_from: Option<Instant>,
}

pub(in crate::domain) struct Party {
    pub address: Address,
    pub session: Option<SessionId>,
}

pub(in crate::domain) enum Media {
    /// The caller's offer, until it is answered.
    Offered(Offer),
    Carried(RoomId),
    Elsewhere(RoomName),
}

impl Call {
    pub fn party(&self, side: Side) -> &Party {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    pub fn party_mut(&mut self, side: Side) -> &mut Party {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The side of a session that has begun the call or is in it; not of those at which it only rings.
    pub fn side_of(&self, session: SessionId) -> Option<Side> {
        let sides = [Side::Caller, Side::Callee];
        sides
            .into_iter()
            .find(|side| self.party(*side).session == Some(session))
    }

    pub fn rings_at(&self, address: &Address) -> bool {
        !self.accepted && self.callee.address == *address
    }

    /// Where the two meet, if not here.
    pub fn room(&self) -> Option<&RoomName> {
        match &self.media {
            Media::Elsewhere(room) => Some(room),
            Media::Offered(_) | Media::Carried(_) => None,
        }
    }

    pub fn is_idle(&self, now: Instant) -> bool {
        self.idle_from.is_some_and(|idle_from| idle_from <= now)
    }

    pub fn due(&self) -> Option<Instant> {
        [self.ring_until, self.wait_until, self.empty_until]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Tells a session on one side of a call that it is over.
pub(in crate::domain) fn over(id: CallId, call: &Call, side: Side, session: SessionId, reason: CallEnd) -> Effect {
    let other = match side {
        Side::Caller => Side::Callee,
        Side::Callee => Side::Caller,
    };
    let event = Event::Call(CallEvent::Over(CallOver {
        call: id,
        side,
        other: call.party(other).address.clone(),
        room: call.room().cloned(),
        accepted: call.accepted,
        reason,
    }));
    Effect::Tell { session, event }
}
