//! Every way in which a call ends, and what a session that goes does to the calls it is in.

use std::time::Instant;

use super::Calls;
use super::entry::{Media, over};
use crate::domain::rooms::Rooms;
use crate::domain::{Address, CallEnd, Effect, Refusal, Side};
use crate::ids::{CallId, RoomName, SessionId};

impl Calls {
    pub(super) fn hang_up(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        with: Option<&Address>,
        room: Option<&RoomName>,
    ) -> Result<Vec<Effect>, Refusal> {
        let address = self.lines.address_of(session).ok_or(Refusal::NotRegistered)?;
        let begun = self.begun_by(session);
        let ringing = || {
            let calls = self.lines.calls(address).iter().copied();
            calls.filter(|id| self.calls[id].rings_at(address)).collect::<Vec<_>>()
        };
        let meant: Vec<CallId> = match with {
            Some(with) => {
                let is_with = |id: &CallId| {
                    [Side::Caller, Side::Callee]
                        .iter()
                        .any(|side| self.calls[id].party(*side).address == *with)
                };
                begun.into_iter().chain(ringing()).filter(is_with).collect()
            }
            None if begun.is_empty() => ringing(),
            None => begun,
        };
        let is_late = |with: &Address, room: &RoomName| {
            let is_now = meant.iter().any(|id| self.calls[id].room() == Some(room));
            !is_now && self.lines.has_just_ended(now, address, with, room)
        };
        if meant.is_empty() || with.zip(room).is_some_and(|(with, room)| is_late(with, room)) {
            return Err(Refusal::NoSuchCall);
        }
        let mut effects = Vec::new();
        for id in meant {
            let reason = self.hung_up(id, session);
            effects.extend(self.end(now, rooms, id, reason, Some(session)));
        }
        Ok(effects)
    }

    /// What it is to the other side that this session hangs up.
    fn hung_up(&self, id: CallId, session: SessionId) -> CallEnd {
        let call = &self.calls[&id];
        match call.side_of(session) {
            _ if call.accepted => CallEnd::HungUp,
            Some(_) => CallEnd::GivenUp,
            None => CallEnd::Declined(crate::domain::Decline::Unwilling),
        }
    }

    /// Ends what a session is in or has begun, for it accepts a call of `with`. Two who call one another at the same
    /// time are spared the news that one of their calls is over: clients that know only one call would take it for
    /// the one that has just been accepted.
    pub(super) fn end_others(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        with: &Address,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for id in self.begun_by(session) {
            let reason = self.hung_up(id, session);
            let crossing = !self.calls[&id].accepted && self.calls[&id].callee.address == *with;
            let ending = self.end(now, rooms, id, reason, Some(session));
            effects.extend(ending.into_iter().filter(|_| !crossing));
        }
        effects
    }

    /// The session is at no address any more, by its own wish or for the sake of another: its calls are over.
    pub(super) fn unregister(&mut self, now: Instant, rooms: &mut Rooms, session: SessionId) -> Vec<Effect> {
        let mut effects = Vec::new();
        for id in self.let_go(session) {
            effects.extend(self.end(now, rooms, id, CallEnd::Lost, None));
        }
        effects
    }

    /// The session is gone. Calls that may wait for the next one do.
    pub fn leave(&mut self, now: Instant, rooms: &mut Rooms, session: SessionId) -> Vec<Effect> {
        let address = self.lines.address_of(session);
        let keeps_calls = address
            .and_then(|address| self.lines.get(address))
            .is_some_and(|line| line.keeps_calls);
        let until = now + self.limits.reconnect_within;
        let mut effects = Vec::new();
        for id in self.let_go(session) {
            if keeps_calls && self.calls[&id].room().is_some() {
                self.update(id, |call| {
                    if let Some(side) = call.side_of(session) {
                        call.party_mut(side).session = None;
                    }
                    call.wait_until = call.wait_until.or(Some(until));
                });
            } else {
                effects.extend(self.end(now, rooms, id, CallEnd::Lost, Some(session)));
            }
        }
        effects
    }

    /// Takes a session from its address. The calls that miss it: those that it is in or has begun, and those that now
    /// ring at nobody.
    fn let_go(&mut self, session: SessionId) -> Vec<CallId> {
        let begun = self.begun_by(session);
        let Some(address) = self.lines.remove_session(session) else {
            return Vec::new();
        };
        if !self.lines.sessions(&address).is_empty() {
            return begun;
        }
        let misses_it = |id: &&CallId| begun.contains(id) || self.calls[*id].rings_at(&address);
        self.lines.calls(&address).iter().filter(misses_it).copied().collect()
    }

    /// A media connection of the call is gone.
    pub fn lose(&mut self, now: Instant, rooms: &mut Rooms, id: CallId) -> Vec<Effect> {
        self.end(now, rooms, id, CallEnd::Lost, None)
    }

    /// The call's media could not be set up.
    pub fn fail(&mut self, now: Instant, rooms: &mut Rooms, id: CallId) -> Vec<Effect> {
        self.end(now, rooms, id, CallEnd::Failed, None)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    pub fn handle_timeout(&mut self, now: Instant, rooms: &mut Rooms) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((_, id)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            let call = &self.calls[&id];
            let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
            let reason = if is_over(call.ring_until) {
                CallEnd::TimedOut
            } else if is_over(call.empty_until) {
                CallEnd::RoomLeft
            } else {
                CallEnd::Lost
            };
            effects.extend(self.end(now, rooms, id, reason, None));
        }
        effects
    }

    pub fn shut_down(&mut self) {
        *self = Calls::new(self.limits);
    }

    /// Forgets a call, and tells everybody whom it concerns but the session by which it ends.
    pub(super) fn end(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: CallId,
        reason: CallEnd,
        by: Option<SessionId>,
    ) -> Vec<Effect> {
        let Some(call) = self.calls.remove(&id) else {
            return Vec::new();
        };
        if let Some(due) = call.due() {
            self.due.remove(&(due, id));
        }
        rooms.quotas.calls.give_back(call.begun_from, 1);
        let mut effects = Vec::new();
        if let Media::Carried(room) = call.media {
            self.carried.remove(&room);
            effects.extend(rooms.close(room));
        }
        if let Some(room) = call.room().filter(|room| self.meeting.get(*room) == Some(&id)) {
            self.meeting.remove(room);
        }
        let rung = match call.accepted {
            true => &[],
            false => self.lines.sessions(&call.callee.address),
        };
        let callers = call.caller.session.map(|session| (Side::Caller, session));
        let callees = call
            .callee
            .session
            .iter()
            .chain(rung)
            .map(|session| (Side::Callee, *session));
        let told = callers
            .into_iter()
            .chain(callees)
            .filter(|(_, session)| Some(*session) != by);
        effects.extend(told.map(|(side, session)| over(id, &call, side, session, reason)));
        if let Some(room) = call.room() {
            let until = now + self.limits.late_within;
            self.lines
                .note_ended(now, [&call.caller.address, &call.callee.address], room, until);
        }
        self.lines.remove_call(&call.caller.address, id);
        self.lines.remove_call(&call.callee.address, id);
        effects
    }
}
