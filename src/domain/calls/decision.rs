//! Decisions about calls, as values that somebody else carries out.

use crate::domain::rooms::Guest;
use crate::domain::{CallEvent, Effect, Event};
use crate::ids::{CallId, RoomId, RoomName, SessionId};

/// What is to be done, in order.
pub(in crate::domain) enum Decision {
    Effect(Effect),
    /// The parties of a call are to be brought into a room of their own. If that succeeds `Calls::seated` is to be called;
    /// otherwise the call has failed.
    Seat(CallId, Box<[Guest; 2]>),
    /// The one party of a call who has brought an offer is to be brought into the group room where the other party goes. If that
    /// succeeds `Calls::seated_in_meeting` is to be called; otherwise the call has failed.
    SeatInMeeting(CallId, RoomName, Box<Guest>),
    /// The room that carried a call is to be closed.
    Close(RoomId),
    /// Somebody who was brought into a room by a call is to leave it.
    Unseat(SessionId),
}

pub(super) fn send(session: SessionId, event: CallEvent) -> Decision {
    let event = Event::Call(event);
    Decision::Effect(Effect::Send { session, event })
}
