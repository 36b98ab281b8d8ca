//! How a call begins: whom it can ring at, and which calls it takes the place of.

use std::time::Instant;

use bytes::Bytes;

use super::decision::{Decision, send};
use super::entry::{Call, Party, State};
use super::{Calls, Requester, guest};
use crate::domain::register::Register;
use crate::domain::{Address, CallEnd, CallEvent, CallMedia, Decline, Offer, Refusal, Side, WhenAbsent, WhenBusy};
use crate::ids::{CallId, SessionId};
use crate::shares::ClientAddress;

/// Callees at whom a call does not ring, each with the reason.
type CalleesLeftOut = Vec<(Address, Refusal)>;

/// Who is to be called, and how.
pub(in crate::domain) struct CallRequest {
    pub to: Vec<Address>,
    pub media: CallMedia,
    pub when_busy: WhenBusy,
    pub when_absent: WhenAbsent,
    /// Message by which the caller invites. Such a call and others of its session go on beside one another.
    pub message: Option<Bytes>,
}

impl Calls {
    pub(in crate::domain) fn invite(
        &mut self,
        now: Instant,
        requester: Requester,
        request: CallRequest,
        register: &Register,
    ) -> Result<Vec<Decision>, Refusal> {
        let given_up = self.given_up_for(&requester, &request)?;
        if let Some((id, offer)) = self.taken_over(&requester, &request, register) {
            let offer = offer.clone();
            let mut decisions = self.give_up_all(now, given_up, requester.session);
            decisions.extend(self.take_over(id, &requester, offer));
            return Ok(decisions);
        }
        let (callees, left_out) = self.choose(now, &requester, &given_up, &request, register)?;
        if given_up.is_empty() && self.quota.allows(requester.client, 1).is_err() {
            return Err(Refusal::TooManyCalls);
        }
        let mut decisions = self.give_up_all(now, given_up, requester.session);
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
            is_beside_others: request.message.is_some(),
            message: request.message,
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

    /// The calls of the requester's session that are given up for a new one.
    fn given_up_for(&self, requester: &Requester, request: &CallRequest) -> Result<Vec<CallId>, Refusal> {
        if request.message.is_none() {
            let occupying = self.occupying(requester.session, &requester.address);
            return match occupying.iter().any(|id| self.is(id, Call::is_accepted)) {
                true => Err(Refusal::InCall),
                false => Ok(occupying),
            };
        }
        let begun = self.begun_by(requester.session, Some(&requester.address));
        let rings_there = |call: &Call| {
            let to = |address| call.ringing_callee(address).is_some();
            call.is_beside_others_of(requester.session) && request.to.iter().any(to)
        };
        let given_up: Vec<CallId> = begun.iter().copied().filter(|id| self.is(id, rings_there)).collect();
        match begun.len() - given_up.len() >= self.limits.calls_per_address {
            true => Err(Refusal::TooManyCalls),
            false => Ok(given_up),
        }
    }

    fn give_up_all(&mut self, now: Instant, calls: Vec<CallId>, session: SessionId) -> Vec<Decision> {
        let ends = calls
            .into_iter()
            .flat_map(|call| self.end(now, call, CallEnd::GivenUp, Some(session)));
        ends.collect()
    }

    /// The call that goes on with the requester's session, and the offer for it: they have invited the callee by a message, who has
    /// accepted and goes into the room. A callee who gets messages has read of what kind the call is, and waits to be called.
    fn taken_over<'a>(
        &self,
        requester: &Requester,
        request: &'a CallRequest,
        register: &Register,
    ) -> Option<(CallId, &'a Offer)> {
        let (CallMedia::Carried(offer) | CallMedia::Either { offer: Some(offer), .. }) = &request.media else {
            return None;
        };
        let [to] = &request.to[..] else { return None };
        let is_it = |call: &Call| {
            let callee = call.callee();
            let goes_into_room = callee.session().is_some_and(|session| !register.gets_messages(session));
            let waits = call.is_accepted() && call.is_beside_others && call.seated_session().is_none();
            waits && call.caller.address == requester.address && callee.address == *to && goes_into_room
        };
        let mut calls = self.by_address.calls(&requester.address).iter();
        let id = calls.find(|id| self.is(id, is_it))?;
        Some((*id, offer))
    }

    fn take_over(&mut self, id: CallId, requester: &Requester, offer: Offer) -> Vec<Decision> {
        let mut room = None;
        self.update(id, |call| {
            call.caller.sessions = vec![requester.session];
            call.is_beside_others = false;
            room = call.room().cloned();
        });
        let guest = guest(requester.session, Side::Caller, &requester.address, offer);
        let seat = room.map(|room| Decision::SeatInMeeting(id, room, Box::new(guest)));
        seat.into_iter().collect()
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
            message,
        } = request;
        if to.contains(&requester.address) {
            return Err(Refusal::CallsItself);
        }
        if to.len() > self.limits.callees_per_call {
            return Err(Refusal::TooManyCallees);
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
            let needs_call = message.is_none() || register.is_called_without_message(address, media.into());
            let refusal = match party.is_reachable() && needs_call {
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
        // The callee is not busy because of an invitation that this one replaces, nor because of a call that is idle, nor because of
        // those that they have begun beside others.
        let keeps_free = |call: &Call| call.is_idle(now) || call.is_beside_others && call.caller.address == *to;
        let counts = |id: &&CallId| !begun.contains(id) && !self.is(id, keeps_free);
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
}
