//! All calls from one to another: who rings whom, for how long, who is in a call with whom, and how each ends.
//!
//! A call has two sides. The caller's is one session. The callee's is an address: while it rings, all sessions there
//! may answer, and those that come meanwhile; from the answer on it is one session. A side whose session is gone may
//! wait for the next one ([`Newcomer::Inherits`]).

mod ending;
mod entry;
mod lines;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use self::entry::{Call, Media, Party, over};
use self::lines::Lines;
use super::rooms::{Guest, Rooms};
use super::{
    Address, Answer, CallCommand, CallEnd, CallEvent, CallMedia, Claim, Effect, EndReason, Event, Limits, Newcomer,
    Offer, Person, Refusal, Side, Subject, WhenBusy,
};
use crate::ids::{CallId, RoomId, RoomName, SessionId, UserId};
use crate::shares::ClientAddress;

/// The state of all calls, and of who can be called.
pub(super) struct Calls {
    limits: Limits,
    lines: Lines,
    calls: BTreeMap<CallId, Call>,
    /// Calls that this server carries, by the room that they are in.
    carried: HashMap<RoomId, CallId>,
    /// Calls whose two meet elsewhere, by the room; the newest, should two have the same.
    meeting: HashMap<RoomName, CallId>,
    due: BTreeSet<(Instant, CallId)>,
}

impl Calls {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lines: Lines::default(),
            calls: BTreeMap::new(),
            carried: HashMap::new(),
            meeting: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    pub fn reachable_count(&self) -> usize {
        self.lines.session_count()
    }

    /// Whether the session is in a call that this server carries.
    pub fn carries(&self, session: SessionId) -> bool {
        let carried = |id: &CallId| matches!(self.calls[id].media, Media::Carried(_));
        self.begun_by(session).iter().any(carried)
    }

    /// Whether the two of a call meet in this room.
    pub fn meets_in(&self, room: &RoomName) -> bool {
        self.meeting.contains_key(room)
    }

    /// Somebody is in the room where the two of a call meet.
    pub fn room_entered(&mut self, room: &RoomName) {
        if let Some(id) = self.meeting.get(room).copied() {
            self.update(id, |call| {
                (call.empty_until, call.idle_from) = (None, None);
                call.is_met = true;
            });
        }
    }

    /// Nobody is any more.
    pub fn room_emptied(&mut self, now: Instant, room: &RoomName) {
        let until = now + self.limits.room_empty_for;
        if let Some(id) = self.meeting.get(room).copied() {
            self.update(id, |call| {
                call.empty_until = call.accepted.then_some(until);
                call.is_met = false;
            });
        }
    }

    pub fn carried_in(&self, room: RoomId) -> Option<CallId> {
        self.carried.get(&room).copied()
    }

    pub fn handle(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        command: CallCommand,
    ) -> Result<Vec<Effect>, Refusal> {
        match command {
            CallCommand::Register {
                address,
                newcomer,
                claim,
            } => self.register(now, rooms, session, address, newcomer, claim),
            CallCommand::Invite { to, media, when_busy } => self.invite(now, rooms, session, to, media, when_busy),
            CallCommand::Answer { from, room, answer } => {
                let call = self.ringing(session, &from, room.as_ref())?;
                match answer {
                    Answer::Accept(offer) => self.accept(now, rooms, session, call, offer),
                    Answer::Decline(why) => Ok(self.end(now, rooms, call, CallEnd::Declined(why), Some(session))),
                }
            }
            CallCommand::Renew { offer } => self.renew(now, rooms, session, offer),
            CallCommand::HangUp { with, room } => self.hang_up(now, rooms, session, with.as_ref(), room.as_ref()),
        }
    }

    fn register(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        address: Address,
        newcomer: Newcomer,
        claim: Claim,
    ) -> Result<Vec<Effect>, Refusal> {
        if self.lines.address_of(session) == Some(&address) {
            return Ok(Vec::new());
        }
        let before = self.lines.sessions(&address).to_vec();
        let is_held = self.lines.get(&address).is_some_and(|line| line.is_proven);
        if is_held && !before.is_empty() && claim == Claim::Unproven && newcomer != Newcomer::Joins {
            return Err(Refusal::NameTaken);
        }
        if newcomer == Newcomer::Joins && before.len() >= self.limits.sessions_per_address {
            return Err(Refusal::TooManySessions);
        }
        let mut effects = self.unregister(now, rooms, session);
        // Before the older ones go, so that what rings does not stop for want of anybody.
        self.lines.add_session(session, address.clone(), newcomer, claim);
        match newcomer {
            Newcomer::Joins => {}
            Newcomer::Replaces => self.dismiss(now, rooms, before, &mut effects),
            Newcomer::Inherits => {
                self.inherit(&address, session);
                self.dismiss(now, rooms, before, &mut effects);
            }
        }
        let calls = self.lines.calls(&address).iter().map(|id| (*id, &self.calls[id]));
        let ringing = calls.filter(|(_, call)| call.rings_at(&address));
        effects.extend(ringing.map(|(id, call)| incoming(id, call, session)));
        Ok(effects)
    }

    fn dismiss(&mut self, now: Instant, rooms: &mut Rooms, sessions: Vec<SessionId>, effects: &mut Vec<Effect>) {
        for session in sessions {
            effects.extend(self.unregister(now, rooms, session));
            let reason = EndReason::Replaced;
            effects.push(Effect::Dismiss { session, reason });
        }
    }

    /// The calls from and to an address that do not depend on a session go on with this one.
    fn inherit(&mut self, address: &Address, session: SessionId) {
        for id in self.lines.calls(address).to_vec() {
            if self.calls[&id].room().is_none() {
                continue;
            }
            let rings = !self.lines.sessions(&self.calls[&id].callee.address).is_empty();
            self.update(id, |call| {
                if call.caller.address == *address {
                    call.caller.session = Some(session);
                } else if call.accepted {
                    call.callee.session = Some(session);
                }
                let callee_is_there = if call.accepted {
                    call.callee.session.is_some()
                } else {
                    rings
                };
                if call.caller.session.is_some() && callee_is_there {
                    call.wait_until = None;
                }
            });
        }
    }

    fn invite(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        to: Address,
        media: CallMedia,
        when_busy: WhenBusy,
    ) -> Result<Vec<Effect>, Refusal> {
        let from = self.lines.address_of(session).ok_or(Refusal::NotRegistered)?.clone();
        let begun = self.begun_by(session);
        let client = rooms.quotas.client_of(session);
        self.check_invitation(now, client, &from, &to, &begun, when_busy)?;
        let allowed = rooms.quotas.calls.allows(client, 1);
        if begun.is_empty() && allowed.is_err() {
            return Err(Refusal::TooManyCalls);
        }

        let mut effects = Vec::new();
        for call in begun {
            effects.extend(self.end(now, rooms, call, CallEnd::GivenUp, Some(session)));
        }
        let id = CallId(rooms.next());
        let (caller, callee) = (Some(session), None);
        let call = Call {
            caller: Party {
                address: from,
                session: caller,
            },
            callee: Party {
                address: to,
                session: callee,
            },
            media: match media {
                CallMedia::Carried(offer) => Media::Offered(offer),
                CallMedia::Elsewhere(room) => Media::Elsewhere(room),
            },
            begun_from: client,
            accepted: false,
            ring_until: Some(now + self.limits.ring_for),
            wait_until: None,
            empty_until: None,
            is_met: false,
            idle_from: None,
        };
        let rung = self.lines.sessions(&call.callee.address);
        effects.extend(rung.iter().map(|session| incoming(id, &call, *session)));
        rooms.quotas.calls.count(client, 1);
        self.insert(id, call);
        Ok(effects)
    }

    fn check_invitation(
        &self,
        now: Instant,
        client: ClientAddress,
        from: &Address,
        to: &Address,
        begun: &[CallId],
        when_busy: WhenBusy,
    ) -> Result<(), Refusal> {
        if to == from {
            return Err(Refusal::CallsItself);
        }
        if begun.iter().any(|call| self.calls[call].accepted) {
            return Err(Refusal::InCall);
        }
        if self.lines.sessions(to).is_empty() {
            return Err(Refusal::NotReachable);
        }
        // An invitation that this one takes the place of does not make its callee busy, nor does a call that is idle.
        let counts = |id: &&CallId| !begun.contains(id) && !self.calls[*id].is_idle(now);
        let theirs = || self.lines.calls(to).iter().filter(counts);
        if theirs().count() >= self.limits.calls_per_address || theirs().count() > 0 && when_busy == WhenBusy::Refuse {
            return Err(Refusal::Busy);
        }
        let from_one = theirs().filter(|call| self.calls[call].begun_from == client).count();
        if !client.is_this_machine() && from_one >= self.limits.calls_per_address_from_one {
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    fn accept(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        id: CallId,
        offer: Option<Offer>,
    ) -> Result<Vec<Effect>, Refusal> {
        let call = &self.calls[&id];
        if matches!(call.media, Media::Offered(_)) && offer.is_none() {
            return Err(Refusal::BadOffer);
        }
        let Some(caller) = call.caller.session else {
            return Ok(self.end(now, rooms, id, CallEnd::Lost, None));
        };
        let with = call.caller.address.clone();
        let mut effects = self.end_others(now, rooms, session, &with);
        let rung = self.lines.sessions(&self.calls[&id].callee.address);
        let others = rung.iter().filter(|other| **other != session);
        let call = &self.calls[&id];
        effects.extend(others.map(|other| over(id, call, Side::Callee, *other, CallEnd::AnsweredElsewhere)));
        let idle_from = now + self.limits.room_entered_within;
        self.update(id, |call| {
            call.accepted = true;
            call.callee.session = Some(session);
            call.ring_until = None;
            call.idle_from = (call.room().is_some() && !call.is_met).then_some(idle_from);
        });
        effects.extend(self.connect(now, rooms, id, (caller, session), offer));
        Ok(effects)
    }

    /// What an accepted call needs: a room for its media, or that the caller knows.
    fn connect(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: CallId,
        (caller, callee): (SessionId, SessionId),
        offer: Option<Offer>,
    ) -> Vec<Effect> {
        let Some(call) = self.calls.get_mut(&id) else {
            return Vec::new();
        };
        let callers_offer = match &mut call.media {
            Media::Offered(offer) => std::mem::take(offer),
            Media::Carried(_) => return Vec::new(),
            Media::Elsewhere(room) => {
                let (by, room) = (call.callee.address.clone(), room.clone());
                let event = Event::Call(CallEvent::Accepted { call: id, by, room });
                return vec![Effect::Tell { session: caller, event }];
            }
        };
        let guests = [
            guest(callee, Side::Callee, &call.callee.address, offer.unwrap_or_default()),
            guest(caller, Side::Caller, &call.caller.address, callers_offer),
        ];
        match rooms.seat_pair(id, guests) {
            Ok((room, effects)) => {
                call.media = Media::Carried(room);
                self.carried.insert(room, id);
                effects
            }
            Err(_) => self.end(now, rooms, id, CallEnd::Failed, None),
        }
    }

    fn renew(&self, now: Instant, rooms: &mut Rooms, session: SessionId, offer: Offer) -> Result<Vec<Effect>, Refusal> {
        let carried = |id: &CallId| matches!(self.calls[id].media, Media::Carried(_));
        let id = self.begun_by(session).into_iter().find(carried);
        let id = id.ok_or(Refusal::NoSuchCall)?;
        let side = self.calls[&id].side_of(session).ok_or(Refusal::NoSuchCall)?;
        rooms.renew_pair(now, session, Subject::Call { call: id, side }, offer)
    }

    fn insert(&mut self, id: CallId, call: Call) {
        self.lines.add_call(&call.caller.address, id);
        self.lines.add_call(&call.callee.address, id);
        self.due.extend(call.due().map(|due| (due, id)));
        if let Media::Elsewhere(room) = &call.media {
            self.meeting.insert(room.clone(), id);
        }
        self.calls.insert(id, call);
    }

    /// Changes a call, and with it when it is due.
    fn update(&mut self, id: CallId, change: impl FnOnce(&mut Call)) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(due) = call.due() {
            self.due.remove(&(due, id));
        }
        change(call);
        self.due.extend(call.due().map(|due| (due, id)));
    }

    /// The call that rings at the session and comes from `from`, to meet in `room` where one is named: the one that has
    /// rung longest.
    fn ringing(&self, session: SessionId, from: &Address, room: Option<&RoomName>) -> Result<CallId, Refusal> {
        let address = self.lines.address_of(session).ok_or(Refusal::NotRegistered)?;
        let is_meant = |id: &&CallId| {
            let call = &self.calls[*id];
            call.rings_at(address) && call.caller.address == *from && (room.is_none() || call.room() == room)
        };
        let mut meant = self.lines.calls(address).iter().filter(is_meant);
        meant.next().copied().ok_or(Refusal::NoSuchCall)
    }

    /// The calls that the session is in or has begun.
    fn begun_by(&self, session: SessionId) -> Vec<CallId> {
        let address = self.lines.address_of(session);
        let calls = address.map_or(&[][..], |address| self.lines.calls(address));
        let is_in = |id: &&CallId| self.calls[*id].side_of(session).is_some();
        calls.iter().filter(is_in).copied().collect()
    }
}

fn incoming(call: CallId, of: &Call, session: SessionId) -> Effect {
    let event = Event::Call(CallEvent::Incoming {
        call,
        from: of.caller.address.clone(),
        to: of.callee.address.clone(),
        room: of.room().cloned(),
    });
    Effect::Tell { session, event }
}

fn guest(session: SessionId, side: Side, address: &Address, offer: Offer) -> Guest {
    let person = Person::unnamed(UserId::from(address.to_string().as_str()));
    Guest {
        session,
        side,
        person,
        offer,
    }
}

#[cfg(test)]
mod tests;
