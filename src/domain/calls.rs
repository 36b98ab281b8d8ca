//! All calls: who calls whom, for how long a call rings, who is in a call with whom, and how each call ends.
//!
//! A call has a caller and one or several callees. The caller's side is one session, which may have come by a socket or
//! without. A callee is an address: while the call rings there, all its sessions may answer, also those that come meanwhile;
//! with push targets the call rings where no session is. The first callee who answers has the call, and it stops ringing
//! everywhere else. A party whose session has ended may wait for the next one
//! ([`Newcomer::Inherits`](super::Newcomer::Inherits)).
//!
//! This module decides what is to be done about rooms, and the rules do it ([`Decision`]).

mod by_address;
mod decision;
mod ending;
mod entry;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use self::by_address::CallsByAddress;
pub(super) use self::decision::Decision;
use self::decision::send;
pub(super) use self::ending::Leaving;
use self::entry::{Call, MediaRoute, Party, State};
use super::register::{Abilities, Register};
use super::rooms::Guest;
use super::{
    Address, CallEnd, CallEvent, CallMedia, Decline, Limits, Offer, Person, Refusal, Side, WhenAbsent, WhenBusy,
};
use crate::ids::{CallId, RoomId, RoomName, SessionId, UserId};
use crate::shares::{ClientAddress, Pot};

/// Calls that a client address may have in any case.
pub(super) const CALLS_AT_LEAST: u64 = 4;

/// The state of all calls. It has one owner; each call of a method returns what is to be done about it.
pub(super) struct Calls {
    limits: Limits,
    by_address: CallsByAddress,
    calls: BTreeMap<CallId, Call>,
    /// Calls whose parties meet elsewhere, by the room. If two calls have the same room, the newer one.
    meeting: HashMap<RoomName, CallId>,
    due: BTreeSet<(Instant, CallId)>,
    quota: Pot,
    last_id: u64,
}

/// The session that sends a command, and its address.
pub(super) struct Requester {
    pub session: SessionId,
    pub address: Address,
    /// Client address from which the session has come.
    pub client: ClientAddress,
    /// Whether no call rings at the session. Such a session only sends requests; its user learns of calls by other means.
    pub only_requests: bool,
}

/// Callees at whom a call does not ring, each with the reason.
type CalleesLeftOut = Vec<(Address, Refusal)>;

/// Who is to be called, and how.
pub(super) struct CallRequest {
    pub to: Vec<Address>,
    pub media: CallMedia,
    pub when_busy: WhenBusy,
    pub when_absent: WhenAbsent,
}

impl Calls {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            by_address: CallsByAddress::new(limits.calls_per_address),
            calls: BTreeMap::new(),
            meeting: HashMap::new(),
            due: BTreeSet::new(),
            quota: Pot::new(limits.calls as u64, limits.share(CALLS_AT_LEAST)),
            last_id: 0,
        }
    }

    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// The call of a session at that address whose media this server carries, with the session's side.
    pub(crate) fn carried_by(&self, session: SessionId, address: Option<&Address>) -> Option<(CallId, Side)> {
        let mut calls = self.begun_by(session, address).into_iter();
        calls.find_map(|id| {
            let call = self.calls.get(&id)?;
            let side = call.side_of(session).filter(|side| call.carries(*side))?;
            Some((id, side))
        })
    }

    /// Whether the parties of a call meet in this room.
    pub(crate) fn meets_in(&self, room: &RoomName) -> bool {
        self.meeting.contains_key(room)
    }

    /// Whether a device and somebody who is no device are in an accepted call whose parties meet in this room: people meet in group
    /// rooms. Devices open a page for rooms of two, whomever they talk to.
    pub(crate) fn device_meets_people_in(&self, room: &RoomName) -> bool {
        let call = self.meeting.get(room).and_then(|id| self.calls.get(id));
        call.is_some_and(|call| {
            let caller = &call.caller.address;
            let callee = &call.callee().address;
            call.is_accepted() && caller.user().is_some() != callee.user().is_some()
        })
    }

    /// Somebody has entered the room where the parties of a call meet.
    pub(crate) fn room_entered(&mut self, room: &RoomName) {
        if let Some(id) = self.meeting.get(room).copied() {
            self.update(id, |call| {
                if let Some(meeting) = call.meeting_mut() {
                    (meeting.empty_until, meeting.idle_from) = (None, None);
                    meeting.is_met = true;
                }
            });
        }
    }

    /// Everybody has left that room.
    pub(crate) fn room_emptied(&mut self, now: Instant, room: &RoomName) {
        let until = now + self.limits.room_empty_for;
        if let Some(id) = self.meeting.get(room).copied() {
            self.update(id, |call| {
                let is_accepted = call.is_accepted();
                if let Some(meeting) = call.meeting_mut() {
                    meeting.empty_until = is_accepted.then_some(until);
                    meeting.is_met = false;
                }
            });
        }
    }

    /// A session has come to an address: calls that ring there ring at this session, too.
    pub fn arrived(&mut self, session: SessionId, address: &Address, abilities: Abilities) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for id in self.by_address.calls(address).to_vec() {
            if !self.is(&id, |call| call.suits(abilities)) {
                continue;
            }
            self.update(id, |call| {
                if let Some(callee) = call.ringing_callee_mut(address) {
                    callee.sessions.push(session);
                    callee.wait_until = None;
                }
                let callee = call.ringing_callee(address);
                decisions.extend(callee.map(|callee| send(session, call.incoming(id, callee))));
            });
        }
        self.by_address.attend(address, true);
        decisions
    }

    /// Moves calls to this session: those of these older sessions at the address, and those that wait for somebody there. Calls
    /// that depend on their session are not moved.
    pub(crate) fn inherit(&mut self, session: SessionId, address: &Address, older: &[SessionId]) {
        for id in self.by_address.calls(address).to_vec() {
            self.update(id, |call| {
                let side = match call.caller.address == *address {
                    true => Side::Caller,
                    false if call.is_accepted() => Side::Callee,
                    false => return,
                };
                if !call.outlives_session_of(side) {
                    return;
                }
                if let Some(party) = call.party_mut(side)
                    && party.session().is_none_or(|before| older.contains(&before))
                {
                    party.sessions = vec![session];
                    party.wait_until = None;
                }
            });
        }
    }

    pub(crate) fn invite(
        &mut self,
        now: Instant,
        requester: Requester,
        request: CallRequest,
        register: &Register,
    ) -> Result<Vec<Decision>, Refusal> {
        let begun = self.begun_by(requester.session, Some(&requester.address));
        let (callees, left_out) = self.choose(now, &requester, &begun, &request, register)?;
        if begun.is_empty() && self.quota.allows(requester.client, 1).is_err() {
            return Err(Refusal::TooManyCalls);
        }
        let mut decisions = Vec::new();
        for call in begun {
            decisions.extend(self.end(now, call, CallEnd::GivenUp, Some(requester.session)));
        }
        self.last_id += 1;
        let id = CallId(self.last_id);
        let until = now + self.limits.ring_for;
        let call = Call {
            caller: Party {
                address: requester.address,
                sessions: vec![requester.session],
                targets: Vec::new(),
                is_awaited: false,
                wait_until: None,
            },
            callees,
            media: request.media.into(),
            begun_from: requester.client,
            state: State::Ringing { until },
        };
        for callee in &call.callees {
            decisions.extend(callee.ring(&call.incoming(id, callee), until));
        }
        decisions.extend(left_out.into_iter().map(|(callee, refusal)| {
            let reason = match refusal {
                Refusal::Busy => CallEnd::Declined(Decline::Busy),
                _ => CallEnd::Lost,
            };
            let event = CallEvent::CalleeOut {
                call: id,
                callee,
                reason,
            };
            send(requester.session, event)
        }));
        self.quota.count(requester.client, 1);
        self.insert(id, call);
        Ok(decisions)
    }

    /// The callees at whom the call can ring, and the others with the reason. Refused if it can ring nowhere.
    fn choose(
        &self,
        now: Instant,
        requester: &Requester,
        begun: &[CallId],
        request: &CallRequest,
        register: &Register,
    ) -> Result<(Vec<Party>, CalleesLeftOut), Refusal> {
        let CallRequest {
            to,
            media,
            when_busy,
            when_absent,
        } = request;
        if to.contains(&requester.address) {
            return Err(Refusal::CallsItself);
        }
        if to.len() > self.limits.callees_per_call {
            return Err(Refusal::TooManyCallees);
        }
        if begun.iter().any(|id| self.is(id, Call::is_accepted)) {
            return Err(Refusal::InCall);
        }
        let (mut callees, mut left_out) = (Vec::<Party>::new(), Vec::new());
        for (place, address) in to.iter().enumerate() {
            if to.iter().take(place).any(|before| before == address) {
                continue;
            }
            let party = Party {
                address: address.clone(),
                sessions: register.ringing_sessions_at(address, media.into()),
                targets: register.push_targets(address).to_vec(),
                is_awaited: *when_absent == WhenAbsent::Ring,
                wait_until: None,
            };
            let refusal = match party.is_reachable() {
                true => self.check_busy(now, requester.client, address, begun, *when_busy).err(),
                false => Some(Refusal::NotReachable),
            };
            match refusal {
                Some(refusal) => left_out.push((party.address, refusal)),
                None => callees.push(party),
            }
        }
        if callees.is_empty() {
            let is_busy = left_out.iter().any(|(_, refusal)| *refusal == Refusal::Busy);
            return Err(if is_busy { Refusal::Busy } else { Refusal::NotReachable });
        }
        Ok((callees, left_out))
    }

    fn check_busy(
        &self,
        now: Instant,
        client: ClientAddress,
        to: &Address,
        begun: &[CallId],
        when_busy: WhenBusy,
    ) -> Result<(), Refusal> {
        // The callee is not busy because of an invitation that this one replaces, nor because of a call that is idle.
        let counts = |id: &&CallId| !begun.contains(id) && !self.is(id, |call| call.is_idle(now));
        let theirs = || self.by_address.calls(to).iter().filter(counts);
        if theirs().count() >= self.limits.calls_per_address || theirs().count() > 0 && when_busy == WhenBusy::Refuse {
            return Err(Refusal::Busy);
        }
        let from_one = theirs()
            .filter(|id| self.is(id, |call| call.begun_from == client))
            .count();
        if !client.is_this_machine() && from_one >= self.limits.calls_per_address_from_one {
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    pub fn accept(
        &mut self,
        now: Instant,
        requester: &Requester,
        from: &Address,
        room: Option<&RoomName>,
        offer: Option<Offer>,
    ) -> Result<Vec<Decision>, Refusal> {
        let id = self.ringing(requester, from, room)?;
        let call = self.calls.get(&id).ok_or(Refusal::NoSuchCall)?;
        if matches!(call.media, MediaRoute::Offered(_, None)) && offer.is_none() {
            return Err(Refusal::BadOffer(None));
        }
        let Some(caller) = call.caller.session() else {
            return Ok(self.end(now, id, CallEnd::Lost, None));
        };
        let mut decisions = self.end_others(now, requester, caller);
        decisions.extend(self.stop_ringing(now, requester, id));
        decisions.extend(self.connect(id, (caller, requester.session), offer));
        Ok(decisions)
    }

    pub(crate) fn decline(
        &mut self,
        now: Instant,
        requester: &Requester,
        from: &Address,
        room: Option<&RoomName>,
        why: Decline,
    ) -> Result<Vec<Decision>, Refusal> {
        let id = self.ringing(requester, from, room)?;
        Ok(self.give_up(
            now,
            id,
            &requester.address,
            CallEnd::Declined(why),
            Some(requester.session),
        ))
    }

    /// A callee has answered: the call is theirs, and no longer rings elsewhere.
    fn stop_ringing(&mut self, now: Instant, requester: &Requester, id: CallId) -> Vec<Decision> {
        let idle_from = now + self.limits.room_entered_within;
        let (mut callees, mut over) = (Vec::new(), None);
        self.update(id, |call| {
            over = Some(call.over(id, Side::Callee, &call.caller, CallEnd::AnsweredElsewhere));
            let answered = Party {
                address: requester.address.clone(),
                sessions: vec![requester.session],
                targets: Vec::new(),
                is_awaited: false,
                wait_until: None,
            };
            callees = std::mem::replace(&mut call.callees, vec![answered]);
            call.state = State::Accepted;
            if let Some(meeting) = call.meeting_mut() {
                meeting.idle_from = (!meeting.is_met).then_some(idle_from);
            }
        });
        let mut decisions = Vec::new();
        for callee in callees {
            let over = over.iter();
            decisions.extend(over.flat_map(|over| callee.stop(over, Some(requester.session))));
            if callee.address != requester.address {
                self.note_parted(now, id, &callee.address);
            }
        }
        decisions
    }

    /// Gives an accepted call what it needs: a room for its media, or a caller who knows that it is accepted.
    fn connect(&mut self, id: CallId, (caller, callee): (SessionId, SessionId), offer: Option<Offer>) -> Vec<Decision> {
        let Some(call) = self.calls.get_mut(&id) else {
            return Vec::new();
        };
        let by = call.callee().address.clone();
        let called_from = call.caller.address.clone();
        let (callers_offer, meeting) = match &mut call.media {
            MediaRoute::Offered(offer, meeting) => (std::mem::take(offer), meeting.take()),
            MediaRoute::Carried(_) => return Vec::new(),
            MediaRoute::Elsewhere(meeting) => {
                let room = meeting.room.clone();
                let brought = offer.filter(|_| meeting.takes_offers);
                let accepted = CallEvent::Accepted {
                    call: id,
                    by: by.clone(),
                    room: room.clone(),
                };
                let brought = brought.map(|offer| Box::new(guest(callee, Side::Callee, &by, offer)));
                let seated = brought.map(|guest| Decision::SeatInMeeting(id, room, guest));
                return std::iter::once(send(caller, accepted)).chain(seated).collect();
            }
        };
        match (meeting, offer) {
            (Some(meeting), None) => {
                let room = meeting.room.clone();
                call.media = MediaRoute::Elsewhere(meeting);
                let guest = guest(caller, Side::Caller, &called_from, callers_offer);
                vec![Decision::SeatInMeeting(id, room, Box::new(guest))]
            }
            (meeting, offer) => {
                if let Some(room) = meeting.map(|meeting| meeting.room)
                    && self.meeting.get(&room) == Some(&id)
                {
                    self.meeting.remove(&room);
                }
                let guests = [
                    guest(callee, Side::Callee, &by, offer.unwrap_or_default()),
                    guest(caller, Side::Caller, &called_from, callers_offer),
                ];
                vec![Decision::Seat(id, Box::new(guests))]
            }
        }
    }

    /// The parties of a call have been brought into that room.
    pub(crate) fn seated(&mut self, id: CallId, room: RoomId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.media = MediaRoute::Carried(room);
        }
    }

    /// That side of a call has been brought into the room where the other one goes.
    pub(crate) fn seated_in_meeting(&mut self, id: CallId, side: Side) {
        self.update(id, |call| {
            if let Some(meeting) = call.meeting_mut() {
                (meeting.seated, meeting.is_met, meeting.idle_from) = (Some(side), true, None);
            }
        });
    }

    fn insert(&mut self, id: CallId, call: Call) {
        self.by_address.add_call(&call.caller.address, id, true);
        for callee in &call.callees {
            self.by_address
                .add_call(&callee.address, id, !callee.sessions.is_empty());
        }
        self.due.extend(call.due().map(|due| (due, id)));
        if let Some(room) = call.room() {
            self.meeting.insert(room.clone(), id);
        }
        self.calls.insert(id, call);
    }

    /// Changes a call, and with it the time at which it is due.
    fn update(&mut self, id: CallId, change: impl FnOnce(&mut Call)) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(due) = call.due() {
            self.due.remove(&(due, id));
        }
        change(call);
        self.due.extend(call.due().map(|due| (due, id)));
    }

    /// The call that the session may answer and that comes from `from`; if a room is named, only one whose parties meet in it. Of
    /// several, the one that has rung longest.
    fn ringing(&self, requester: &Requester, from: &Address, room: Option<&RoomName>) -> Result<CallId, Refusal> {
        let address = &requester.address;
        let is_meant = |call: &Call| {
            let requests_only =
                requester.only_requests && call.room().is_some() && call.ringing_callee(address).is_some();
            let rings = requests_only || call.rings_at(address, requester.session);
            rings && call.caller.address == *from && (room.is_none() || call.room() == room)
        };
        let mut meant = self.by_address.calls(address).iter().filter(|id| self.is(id, is_meant));
        meant.next().copied().ok_or(Refusal::NoSuchCall)
    }

    /// The calls that the session at that address is in or has begun.
    fn begun_by(&self, session: SessionId, address: Option<&Address>) -> Vec<CallId> {
        let calls = address.map_or(&[][..], |address| self.by_address.calls(address));
        let is_in = |id: &&CallId| self.is(id, |call| call.side_of(session).is_some());
        calls.iter().filter(is_in).copied().collect()
    }

    /// Whether `so` holds for a call. It does not hold for a call that is over.
    fn is(&self, id: &CallId, so: impl FnOnce(&Call) -> bool) -> bool {
        self.calls.get(id).is_some_and(so)
    }
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
