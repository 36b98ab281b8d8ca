//! All calls: who calls whom, for how long a call rings, who is in a call with whom, and how each call ends.
//!
//! A call has a caller and one or several callees. The caller's side is one session, which may have come by a socket or
//! without. A session has one call at a time. Only calls that it begins by messages go on beside one another. A callee is an address: while the call rings there, all its sessions may answer, also those that come meanwhile;
//! with push targets the call rings where no session is. The first callee who answers has the call, and it stops ringing
//! everywhere else. A party whose session has ended may wait for the next one
//! ([`Newcomer::Inherits`](super::Newcomer::Inherits)).
//!
//! This module decides what is to be done about rooms, and the rules do it ([`Decision`]).

mod by_address;
mod by_room;
mod decision;
mod ending;
mod entry;
mod inviting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use self::by_address::CallsByAddress;
use self::by_room::CallsByRoom;
pub(super) use self::decision::Decision;
use self::decision::send;
pub(super) use self::ending::Leaving;
use self::entry::{Call, MediaRoute, Party, State};
pub(super) use self::inviting::CallRequest;
use super::register::Abilities;
use super::rooms::Guest;
use super::{Address, CallEnd, CallEvent, Decline, Limits, Offer, Person, Refusal, Side};
use crate::ids::{CallId, RoomId, RoomName, SessionId, UserId};
use crate::shares::{ClientAddress, Pot};

/// Calls that a client address may have in any case.
pub(super) const CALLS_AT_LEAST: u64 = 4;

/// The state of all calls. It has one owner; each call of a method returns what is to be done about it.
pub(super) struct Calls {
    limits: Limits,
    by_address: CallsByAddress,
    calls: BTreeMap<CallId, Call>,
    by_room: CallsByRoom,
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

impl Calls {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            by_address: CallsByAddress::new(limits.calls_per_address),
            calls: BTreeMap::new(),
            by_room: CallsByRoom::default(),
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
        !self.by_room.calls(room).is_empty()
    }

    /// Whether a device and somebody who is no device are in an accepted call whose parties meet in this room: people meet in group
    /// rooms. Devices open a page for rooms of two, whomever they talk to.
    pub(crate) fn device_meets_people_in(&self, room: &RoomName) -> bool {
        let mut calls = self.by_room.calls(room).iter().filter_map(|id| self.calls.get(id));
        calls.any(|call| {
            let caller = &call.caller.address;
            let callee = &call.callee().address;
            call.is_accepted() && caller.user().is_some() != callee.user().is_some()
        })
    }

    /// Somebody has entered the room where the parties of a call meet.
    pub(crate) fn room_entered(&mut self, room: &RoomName) {
        for id in self.by_room.calls(room).to_vec() {
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
        for id in self.by_room.calls(room).to_vec() {
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
            call.message = None;
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
                if let Some(meeting) = meeting {
                    self.by_room.remove(&meeting.room, id);
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
            self.by_room.add(room, id);
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

    /// The calls of the session that a new one takes the place of. Those that go on beside others are not among them.
    fn occupying(&self, session: SessionId, address: &Address) -> Vec<CallId> {
        let begun = self.begun_by(session, Some(address)).into_iter();
        let occupies = |id: &CallId| !self.is(id, |call| call.is_beside_others_of(session));
        begun.filter(occupies).collect()
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
