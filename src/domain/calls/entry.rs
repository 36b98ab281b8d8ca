//! One call.

use std::time::Instant;

use bytes::Bytes;

use super::decision::{Decision, send};
use crate::domain::register::{Abilities, Ring};
use crate::domain::{Address, CallEnd, CallEvent, CallMedia, CallOver, Effect, Offer, PushNotice, Side};
use crate::ids::{CallId, PushTarget, RoomId, RoomName, SessionId};
use crate::shares::ClientAddress;

/// One call: who calls, who is called, and where the media go.
pub(in crate::domain) struct Call {
    pub caller: Party,
    /// Callees, at least one. While the call rings: those who have not declined. Once it is accepted: the one who has answered.
    pub callees: Vec<Party>,
    pub media: MediaRoute,
    /// Client address whose share of calls this call counts against.
    pub(crate) begun_from: ClientAddress,
    pub state: State,
    /// Whether the call and other calls of the caller's session go on beside one another.
    pub(crate) is_beside_others: bool,
    /// Message of the caller that invites to the call, while it rings.
    pub(crate) message: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum State {
    Ringing { until: Instant },
    Accepted,
}

pub(in crate::domain) struct Party {
    pub address: Address,
    /// Sessions of the party. Of a callee, while the call rings: the sessions at which it rings. Of the caller, and of the
    /// callee who has answered: the one session that is in the call, or none while the party may come back.
    pub sessions: Vec<SessionId>,
    /// Push targets by which a callee without a session is reached while the call rings.
    pub targets: Vec<PushTarget>,
    /// Whether the call rings at this callee also while nobody can be reached there.
    pub(crate) is_awaited: bool,
    /// Time at which a party that has lost its session is given up.
    pub(crate) wait_until: Option<Instant>,
}

pub(in crate::domain) enum MediaRoute {
    /// The caller's offer, until it is answered, and the room where the caller meets a callee without one.
    Offered(Offer, Option<Meeting>),
    Carried(RoomId),
    Elsewhere(Meeting),
}

/// The room where the parties of a call meet.
pub(in crate::domain) struct Meeting {
    pub room: RoomName,
    /// Whether a callee who brings an offer is brought into the room.
    pub takes_offers: bool,
    /// Side that this server has brought into the room.
    pub seated: Option<Side>,
    /// Whether somebody is in the room.
    pub(crate) is_met: bool,
    /// Time at which the call is over because everybody has left the room.
    pub(crate) empty_until: Option<Instant>,
    /// Time from which the call keeps nobody busy, because nobody has entered the room. It is not ended: its parties may talk
    /// over something other than this server, as clients with pages of their own do, and would be cut off. If they do not talk,
    /// and have forgotten to hang up, others can call them, and the call ends when one of them accepts another call, or calls.
    pub(crate) idle_from: Option<Instant>,
}

impl Party {
    /// The session that is in the call.
    pub fn session(&self) -> Option<SessionId> {
        self.sessions.first().copied()
    }

    /// Sends a callee's sessions, and their push targets, that the call rings until that time.
    pub(crate) fn ring(&self, incoming: &CallEvent, until: Instant) -> Vec<Decision> {
        self.tell(incoming, None, Some(until))
    }

    /// Sends the party's sessions except one, and its push targets, that the call is over for them.
    pub(crate) fn stop(&self, over: &CallEvent, except: Option<SessionId>) -> Vec<Decision> {
        self.tell(over, except, None)
    }

    fn tell(&self, event: &CallEvent, except: Option<SessionId>, until: Option<Instant>) -> Vec<Decision> {
        let sessions = self.sessions.iter().filter(|session| Some(**session) != except);
        let mut decisions: Vec<Decision> = sessions.map(|session| send(*session, event.clone())).collect();
        if !self.targets.is_empty() {
            decisions.push(Decision::Effect(Effect::Push(PushNotice {
                to: self.address.clone(),
                targets: self.targets.clone(),
                until,
                event: event.clone(),
            })));
        }
        decisions
    }

    /// Whether somebody may still answer, now or when they are back.
    pub(crate) fn is_reachable(&self) -> bool {
        self.is_awaited || !self.sessions.is_empty() || !self.targets.is_empty() || self.wait_until.is_some()
    }
}

impl From<CallMedia> for MediaRoute {
    fn from(media: CallMedia) -> Self {
        match media {
            CallMedia::Carried(offer) => MediaRoute::Offered(offer, None),
            CallMedia::Elsewhere(room) => MediaRoute::Elsewhere(Meeting::new(room, false)),
            CallMedia::Either { offer, room } => match offer {
                Some(offer) => MediaRoute::Offered(offer, Some(Meeting::new(room, false))),
                None => MediaRoute::Elsewhere(Meeting::new(room, true)),
            },
        }
    }
}

impl Meeting {
    fn new(room: RoomName, takes_offers: bool) -> Self {
        Self {
            room,
            takes_offers,
            seated: None,
            is_met: false,
            empty_until: None,
            idle_from: None,
        }
    }
}

impl Call {
    pub(crate) fn is_accepted(&self) -> bool {
        self.state == State::Accepted
    }

    pub(crate) fn parties(&self) -> impl Iterator<Item = &Party> {
        std::iter::once(&self.caller).chain(&self.callees)
    }

    /// The callee whom the caller is shown: the one who has answered, or the first of those who have not.
    pub(crate) fn callee(&self) -> &Party {
        self.callees.first().unwrap_or(&self.caller)
    }

    /// The side of a session that has begun the call or is in it. `None` for a session at which it only rings.
    pub(crate) fn side_of(&self, session: SessionId) -> Option<Side> {
        if self.caller.sessions.contains(&session) {
            return Some(Side::Caller);
        }
        let is_in = self.is_accepted() && self.callee().sessions.contains(&session);
        is_in.then_some(Side::Callee)
    }

    /// Whether that session has begun the call, and may have others beside it.
    pub(crate) fn is_beside_others_of(&self, session: SessionId) -> bool {
        self.is_beside_others && self.side_of(session) == Some(Side::Caller)
    }

    pub(crate) fn party_mut(&mut self, side: Side) -> Option<&mut Party> {
        match side {
            Side::Caller => Some(&mut self.caller),
            Side::Callee => self.callees.first_mut(),
        }
    }

    /// The callee at that address, while the call rings.
    pub(crate) fn ringing_callee(&self, address: &Address) -> Option<&Party> {
        let callees = (!self.is_accepted()).then_some(&self.callees);
        callees?.iter().find(|callee| callee.address == *address)
    }

    pub(crate) fn ringing_callee_mut(&mut self, address: &Address) -> Option<&mut Party> {
        let callees = (!self.is_accepted()).then_some(&mut self.callees);
        callees?.iter_mut().find(|callee| callee.address == *address)
    }

    /// Whether the call rings at this session of that address.
    pub(crate) fn rings_at(&self, address: &Address, session: SessionId) -> bool {
        self.ringing_callee(address)
            .is_some_and(|callee| callee.sessions.contains(&session))
    }

    /// Whether the call would ring at a session with these abilities.
    pub(crate) fn suits(&self, abilities: Abilities) -> bool {
        abilities.ring_for(match &self.media {
            MediaRoute::Offered(_, None) | MediaRoute::Carried(_) => Ring::Carried,
            MediaRoute::Offered(_, Some(_)) => Ring::Offered,
            MediaRoute::Elsewhere(meeting) if meeting.takes_offers => Ring::Either,
            MediaRoute::Elsewhere(_) => Ring::Elsewhere,
        })
    }

    /// Whether somebody at that address is in the call, or it rings there.
    pub(crate) fn is_with(&self, address: &Address) -> bool {
        self.parties().any(|party| party.address == *address)
    }

    /// The room where the parties meet, or where the caller meets a callee without an offer. `None` if this server carries the
    /// call.
    pub fn room(&self) -> Option<&RoomName> {
        self.meeting().map(|meeting| &meeting.room)
    }

    pub(crate) fn meeting_mut(&mut self) -> Option<&mut Meeting> {
        match &mut self.media {
            MediaRoute::Elsewhere(meeting) | MediaRoute::Offered(_, Some(meeting)) => Some(meeting),
            MediaRoute::Offered(_, None) | MediaRoute::Carried(_) => None,
        }
    }

    fn meeting(&self) -> Option<&Meeting> {
        match &self.media {
            MediaRoute::Elsewhere(meeting) | MediaRoute::Offered(_, Some(meeting)) => Some(meeting),
            MediaRoute::Offered(_, None) | MediaRoute::Carried(_) => None,
        }
    }

    /// Whether this server carries the media of that side, which has brought an offer that was accepted.
    pub(crate) fn carries(&self, side: Side) -> bool {
        match &self.media {
            MediaRoute::Carried(_) => true,
            MediaRoute::Elsewhere(meeting) => meeting.seated == Some(side),
            MediaRoute::Offered(..) => false,
        }
    }

    /// The session that this server has brought into the room where the parties meet.
    pub(crate) fn seated_session(&self) -> Option<SessionId> {
        match self.meeting()?.seated? {
            Side::Caller => self.caller.session(),
            Side::Callee => self.callee().session(),
        }
    }

    /// Whether the call goes on with another session of that side: its media do not depend on the one that ends.
    pub(crate) fn outlives_session_of(&self, side: Side) -> bool {
        matches!(&self.media, MediaRoute::Elsewhere(meeting) if meeting.seated != Some(side))
    }

    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let idle_from = self.meeting().and_then(|meeting| meeting.idle_from);
        idle_from.is_some_and(|idle_from| idle_from <= now)
    }

    pub(crate) fn ring_until(&self) -> Option<Instant> {
        match self.state {
            State::Ringing { until } => Some(until),
            State::Accepted => None,
        }
    }

    pub(crate) fn empty_until(&self) -> Option<Instant> {
        self.meeting().and_then(|meeting| meeting.empty_until)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        let waits = self.parties().map(|party| party.wait_until);
        let dues = waits.chain([self.ring_until(), self.empty_until()]);
        dues.flatten().min()
    }

    /// The event by which the call rings at a callee.
    pub fn incoming(&self, id: CallId, callee: &Party) -> CallEvent {
        CallEvent::Incoming {
            call: id,
            from: self.caller.address.clone(),
            to: callee.address.clone(),
            room: self.room().cloned(),
            message: self.message.clone(),
        }
    }

    /// The event by which the call is over for a party of that side, with the other party.
    pub fn over(&self, id: CallId, side: Side, with: &Party, reason: CallEnd) -> CallEvent {
        CallEvent::Over(CallOver {
            call: id,
            side,
            other: with.address.clone(),
            room: self.room().cloned(),
            accepted: self.is_accepted(),
            reason,
        })
    }
}
