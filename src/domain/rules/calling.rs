//! Commands about calls, and what is done in rooms for what calls have decided.

use std::time::Instant;

use super::Rules;
use crate::domain::calls::{CallRequest, Decision, Requester};
use crate::domain::{
    CallAnswer, CallCommand, CallEnd, CallMedia, Effect, Offer, Refusal, Subject, WhenAbsent, WhenBusy,
};
use crate::ids::{CallId, PeerId, SessionId};

impl Rules {
    pub(super) fn call(
        &mut self,
        now: Instant,
        session: SessionId,
        command: CallCommand,
    ) -> Result<Vec<Effect>, Refusal> {
        let requester = self.requester(session);
        let calls = &mut self.calls;
        let decisions = match command {
            CallCommand::Invite {
                to,
                media,
                when_busy,
                when_absent,
            } => {
                let request = CallRequest {
                    to,
                    media,
                    when_busy,
                    when_absent,
                    message: None,
                };
                calls.invite(now, requester?, request, &self.register)
            }
            CallCommand::InviteByMessage { to, room, message } => {
                let request = CallRequest {
                    to: vec![to],
                    media: CallMedia::Elsewhere(room),
                    when_busy: WhenBusy::Ring,
                    when_absent: WhenAbsent::LeaveOut,
                    message: Some(message),
                };
                calls.invite(now, requester?, request, &self.register)
            }
            CallCommand::Answer { from, room, answer } => match answer {
                CallAnswer::Accept(offer) => calls.accept(now, &requester?, &from, room.as_ref(), offer),
                CallAnswer::Decline(why) => calls.decline(now, &requester?, &from, room.as_ref(), why),
            },
            CallCommand::HangUp { with, room } => calls.hang_up(now, &requester?, with.as_ref(), room.as_ref()),
            CallCommand::Renew { offer } => return self.renew(now, session, offer),
        }?;
        Ok(self.carry_out(now, decisions))
    }

    fn requester(&self, session: SessionId) -> Result<Requester, Refusal> {
        let address = self.register.address_of(session).ok_or(Refusal::NotRegistered)?;
        Ok(Requester {
            session,
            address: address.clone(),
            client: self.rooms.quotas.client_of(session),
            only_requests: self.register.only_requests(address, session),
        })
    }

    fn renew(&mut self, now: Instant, session: SessionId, offer: Offer) -> Result<Vec<Effect>, Refusal> {
        let subject = self.call_of(session).ok_or(Refusal::NoSuchCall)?;
        self.rooms.renew_call(now, session, subject, offer)
    }

    /// The call that the session is in, if this server carries it.
    pub(super) fn call_of(&self, session: SessionId) -> Option<Subject> {
        let (call, side) = self.calls.carried_by(session, self.register.address_of(session))?;
        Some(Subject::Call { call, side })
    }

    /// Carries out what calls have decided, with its consequences in rooms.
    pub(super) fn carry_out(&mut self, now: Instant, decisions: Vec<Decision>) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(decisions.len());
        for decision in decisions {
            match decision {
                Decision::Effect(effect) => effects.push(effect),
                Decision::Close(room) => effects.extend(self.rooms.close(room)),
                Decision::Seat(call, guests) => match self.rooms.seat_pair(now, call, *guests) {
                    Ok((room, seated)) => {
                        self.calls.seated(call, room);
                        effects.extend(seated);
                    }
                    Err(_) => effects.extend(self.end_call(now, call, CallEnd::Failed)),
                },
                Decision::SeatInMeeting(call, room, guest) => {
                    let (side, claim) = (guest.side, self.register.claim_of(guest.session));
                    match self.rooms.seat_in_meeting(now, call, room, *guest, claim) {
                        Ok(seated) => {
                            self.calls.seated_in_meeting(call, side);
                            effects.extend(seated);
                        }
                        Err(undone) => {
                            effects.extend(undone);
                            effects.extend(self.end_call(now, call, CallEnd::Failed));
                        }
                    }
                }
                Decision::Unseat(session) => effects.extend(self.rooms.leave(session)),
            }
        }
        effects
    }

    /// The call whose media this connection carries.
    pub(super) fn call_over(&self, peer: PeerId) -> Option<CallId> {
        let session = self.rooms.session_of_peer(peer)?;
        let (call, _) = self.calls.carried_by(session, self.register.address_of(session))?;
        Some(call)
    }

    pub(super) fn end_call(&mut self, now: Instant, call: CallId, reason: CallEnd) -> Vec<Effect> {
        let decisions = self.calls.end(now, call, reason, None);
        self.carry_out(now, decisions)
    }
}
