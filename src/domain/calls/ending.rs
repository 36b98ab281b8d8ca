//! Every way in which a call ends, or goes on without one of its callees, and what happens to the calls of a session that
//! leaves.

use std::time::Instant;

use super::decision::{Decision, send};
use super::entry::{Call, MediaRoute};
use super::{Calls, Requester};
use crate::domain::register::Left;
use crate::domain::{Address, CallEnd, CallEvent, Decline, Effect, Refusal, Side};
use crate::ids::{CallId, RoomName, SessionId};

/// How a session leaves its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Leaving {
    /// The session has ended. Its calls wait for the next session, if they may.
    HasEnded,
    /// The session leaves by its own wish, or gives way to another. Its calls are over, and it is sent that.
    GivesWay,
}

impl Calls {
    pub fn hang_up(
        &mut self,
        now: Instant,
        requester: &Requester,
        with: Option<&Address>,
        room: Option<&RoomName>,
    ) -> Result<Vec<Decision>, Refusal> {
        let (session, address) = (requester.session, &requester.address);
        let begun = self.begun_by(session, Some(address));
        let ringing = || {
            let calls = self.by_address.calls(address).iter().copied();
            calls
                .filter(|id| self.is(id, |call| call.rings_at(address, session)))
                .collect::<Vec<_>>()
        };
        let meant: Vec<CallId> = match with {
            Some(with) => {
                let is_with = |id: &CallId| self.is(id, |call| call.is_with(with));
                begun.into_iter().chain(ringing()).filter(is_with).collect()
            }
            None if begun.is_empty() => ringing(),
            None => begun,
        };
        let meant = self.of_several(meant, session, room);
        let is_late = |with: &Address, room: &RoomName| {
            let is_now = meant.iter().any(|id| self.is(id, |call| call.room() == Some(room)));
            !is_now && self.by_address.has_just_ended(now, address, with, room)
        };
        if meant.is_empty() || with.zip(room).is_some_and(|(with, room)| is_late(with, room)) {
            return Err(Refusal::NoSuchCall);
        }
        let mut decisions = Vec::new();
        for id in meant {
            let Some(call) = self.calls.get(&id) else { continue };
            let reason = hung_up(call, session);
            // Of several callees the caller gives up one, or one declines: the call goes on ringing at the others.
            let callee = match call.side_of(session) {
                Some(Side::Caller) => with.filter(|with| call.ringing_callee(with).is_some()),
                Some(Side::Callee) => None,
                None => Some(address),
            };
            decisions.extend(match callee {
                Some(callee) => self.give_up(now, id, callee, reason, Some(session)),
                None => self.end(now, id, reason, Some(session)),
            });
        }
        Ok(decisions)
    }

    /// Of several calls that the session has begun beside one another, only the one that meets in the named room is meant.
    fn of_several(&self, meant: Vec<CallId>, session: SessionId, room: Option<&RoomName>) -> Vec<CallId> {
        let is_named = |id: &CallId| self.is(id, |call| call.is_beside_others_of(session) && call.room() == room);
        match room.and_then(|_| meant.iter().copied().find(is_named)) {
            Some(named) => vec![named],
            None => meant,
        }
    }

    /// Ends the calls that keep a session from others, because it accepts a call of `caller`. If two call one another at the
    /// same time, the caller's session is not sent that the other of these calls is over: a client that knows only one call
    /// would take it for the call that has just been accepted. Other sessions at which the other call rings are sent its end.
    pub(super) fn end_others(&mut self, now: Instant, requester: &Requester, caller: SessionId) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for id in self.occupying(requester.session, &requester.address) {
            let Some(call) = self.calls.get(&id) else { continue };
            let reason = hung_up(call, requester.session);
            let rings = !call.is_accepted();
            let is_spared = |decision: &Decision| matches!(decision, Decision::Effect(Effect::Send { session, .. }) if rings && *session == caller);
            let ending = self.end(now, id, reason, Some(requester.session));
            decisions.extend(ending.into_iter().filter(|decision| !is_spared(decision)));
        }
        decisions
    }

    /// A session has left its address.
    pub fn left(&mut self, now: Instant, left: &Left, leaving: Leaving) -> Vec<Decision> {
        let (session, address) = (left.session, &left.address);
        let has_ended = leaving == Leaving::HasEnded;
        let by = has_ended.then_some(session);
        let until = (has_ended && left.keeps_calls).then(|| now + self.limits.reconnect_within);
        let mut decisions = Vec::new();
        for id in self.by_address.calls(address).to_vec() {
            let Some(call) = self.calls.get(&id) else { continue };
            let side = call.side_of(session);
            if side.is_none() && !call.rings_at(address, session) {
                continue;
            }
            let until = until.filter(|_| side.map_or(call.room().is_some(), |side| call.outlives_session_of(side)));
            if side.is_some() && until.is_none() {
                decisions.extend(self.end(now, id, CallEnd::Lost, by));
                continue;
            }
            let mut is_lost = false;
            self.update(id, |call| {
                let party = match side {
                    Some(side) => call.party_mut(side),
                    None => call.ringing_callee_mut(address),
                };
                if let Some(party) = party {
                    party.sessions.retain(|other| *other != session);
                    if party.sessions.is_empty() && party.targets.is_empty() {
                        party.wait_until = until;
                    }
                    is_lost = !party.is_reachable();
                }
            });
            if is_lost {
                decisions.extend(self.give_up(now, id, address, CallEnd::Lost, by));
            }
        }
        if left.was_last {
            self.by_address.attend(address, false);
        }
        decisions
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Decision> {
        let mut decisions = Vec::new();
        while let Some((due, id)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            let Some(call) = self.calls.get(&id) else {
                self.due.remove(&(due, id));
                continue;
            };
            let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
            let given_up = call.callees.iter().find(|callee| is_over(callee.wait_until));
            let given_up = given_up.map(|callee| callee.address.clone());
            decisions.extend(if is_over(call.ring_until()) {
                self.end(now, id, CallEnd::TimedOut, None)
            } else if is_over(call.empty_until()) {
                self.end(now, id, CallEnd::RoomLeft, None)
            } else if let Some(callee) = given_up.filter(|_| !is_over(call.caller.wait_until)) {
                self.give_up(now, id, &callee, CallEnd::Lost, None)
            } else {
                self.end(now, id, CallEnd::Lost, None)
            });
        }
        decisions
    }

    pub fn shut_down(&mut self) {
        *self = Calls::new(self.limits);
    }

    /// Gives up one callee: the call goes on ringing without them, or ends if there is no other.
    pub(super) fn give_up(
        &mut self,
        now: Instant,
        id: CallId,
        address: &Address,
        reason: CallEnd,
        by: Option<SessionId>,
    ) -> Vec<Decision> {
        let Some(call) = self.calls.get(&id) else {
            return Vec::new();
        };
        if call.callees.len() == 1 || call.ringing_callee(address).is_none() {
            return self.end(now, id, reason, by);
        }
        let caller = call.caller.session().filter(|caller| Some(*caller) != by);
        let over = call.over(id, Side::Callee, &call.caller, reason);
        let callee = address.clone();
        let out = CallEvent::CalleeOut {
            call: id,
            callee,
            reason,
        };
        let mut decisions: Vec<Decision> = caller.map(|session| send(session, out)).into_iter().collect();
        self.update(id, |call| {
            let given_up = call.callees.extract_if(.., |callee| callee.address == *address);
            decisions.extend(given_up.flat_map(|callee| callee.stop(&over, by)));
        });
        self.note_parted(now, id, address);
        decisions
    }

    /// Notes that somebody at that address is no longer in the call.
    pub(super) fn note_parted(&mut self, now: Instant, id: CallId, address: &Address) {
        if let Some(call) = self.calls.get(&id)
            && let Some(room) = call.room()
        {
            let until = now + self.limits.late_within;
            self.by_address
                .note_ended(now, [&call.caller.address, address], room, until);
        }
        self.by_address.remove_call(address, id);
    }

    /// Ends a call and forgets it. All its sessions are sent that, except the one by which it ends.
    pub fn end(&mut self, now: Instant, id: CallId, reason: CallEnd, by: Option<SessionId>) -> Vec<Decision> {
        let Some(call) = self.calls.remove(&id) else {
            return Vec::new();
        };
        if let Some(due) = call.due() {
            self.due.remove(&(due, id));
        }
        self.quota.give_back(call.begun_from, 1);
        let mut decisions = Vec::new();
        if let MediaRoute::Carried(room) = call.media {
            decisions.push(Decision::Close(room));
        }
        if let Some(room) = call.room() {
            self.by_room.remove(room, id);
        }
        decisions.extend(call.seated_session().map(Decision::Unseat));
        if let Some(session) = call.caller.session().filter(|caller| Some(*caller) != by) {
            decisions.push(send(session, call.over(id, Side::Caller, call.callee(), reason)));
        }
        let event = call.over(id, Side::Callee, &call.caller, reason);
        for callee in &call.callees {
            decisions.extend(callee.stop(&event, by));
            if let Some(room) = call.room() {
                let until = now + self.limits.late_within;
                let pair = [&call.caller.address, &callee.address];
                self.by_address.note_ended(now, pair, room, until);
            }
        }
        for party in call.parties() {
            self.by_address.remove_call(&party.address, id);
        }
        decisions
    }
}

/// The reason for the other side when this session hangs up.
fn hung_up(call: &Call, session: SessionId) -> CallEnd {
    match call.side_of(session) {
        _ if call.is_accepted() => CallEnd::HungUp,
        Some(_) => CallEnd::GivenUp,
        None => CallEnd::Declined(Decline::Unwilling),
    }
}
