//! Calls of the server that one client has begun by invitations.

use super::super::reaction::Reaction;
use super::wire::{self, Incoming, Outgoing};
use crate::domain::{Address, CallCommand, CallEnd, CallEvent};
use crate::ids::{RoomName, UserId};

/// Calls that are remembered; the rules let one session have no more. Of one too many the oldest is forgotten.
const CALLS_MAX: usize = 16;

/// Calls that ring at others, and those that they have accepted.
#[derive(Default)]
pub(super) struct Begun {
    calls: Vec<BegunCall>,
}

struct BegunCall {
    to: UserId,
    /// Room where the two meet, for the server.
    room: RoomName,
    /// `groupId`, `reqType` and `vagroupId` of the invitation.
    kind: String,
    way: String,
    named: String,
    is_accepted: bool,
}

impl BegunCall {
    fn is_with(&self, other: &Address, room: Option<&RoomName>) -> bool {
        other.user() == Some(&self.to) && room == Some(&self.room)
    }

    /// An answer to the invitation, as from the callee.
    fn answer(&self, user: &UserId, answer: &str, content: &str, time_stamp: String) -> Outgoing {
        Outgoing {
            msgtype: wire::REPLY,
            sender: self.to.as_str().to_owned(),
            receiver: user.as_str().to_owned(),
            group_id: self.kind.clone(),
            time_stamp,
            sign: answer.to_owned(),
            content: Some(wire::Content {
                content: content.to_owned(),
            }),
            res_sign: answer.to_owned(),
            req_type: self.way.clone(),
            vagroup_id: self.named.clone(),
            ..Outgoing::of(wire::MESSAGE)
        }
    }
}

impl Begun {
    /// The client has invited somebody. An older invitation that they have not answered is given up by that.
    pub fn add(&mut self, invitation: &Incoming, room: RoomName) {
        let to = UserId::from(invitation.receiver.as_str());
        self.calls.retain(|call| call.is_accepted || call.to != to);
        if self.calls.len() >= CALLS_MAX {
            self.calls.remove(0);
        }
        self.calls.push(BegunCall {
            to,
            room,
            kind: invitation.group_id.clone(),
            way: invitation.req_type.clone(),
            named: invitation.vagroup_id.clone(),
            is_accepted: false,
        });
    }

    /// The command in a message that takes an invitation back, or ends the call. The call is forgotten by that. `None` if the message
    /// is about none of these calls. Where several are meant, the newest is taken.
    pub fn take_back(&mut self, message: &Incoming) -> Option<CallCommand> {
        let named = message.vagroup_id.as_str();
        let is_meant = |call: &BegunCall| {
            call.to.as_str() == message.receiver
                && (named.is_empty() || named == call.named || named == call.room.as_str())
        };
        if message.answer() != Some(wire::CANCEL) {
            return None;
        }
        let index = self.calls.iter().rposition(is_meant)?;
        let call = self.calls.remove(index);
        let (with, room) = (Some(Address::Name(call.to)), Some(call.room));
        Some(CallCommand::HangUp { with, room })
    }

    /// What the client is sent about such a call. The end of one that was accepted shows where the two have met.
    pub fn send(&mut self, user: &UserId, event: &CallEvent, time_stamp: String) -> Reaction {
        match event {
            CallEvent::Accepted { by, room, .. } => {
                let mut calls = self.calls.iter_mut();
                let Some(call) = calls.find(|call| !call.is_accepted && call.is_with(by, Some(room))) else {
                    return Reaction::none();
                };
                call.is_accepted = true;
                Reaction::bytes(call.answer(user, wire::AGREE, &call.kind, time_stamp).bytes())
            }
            CallEvent::Over(over) => {
                let is_it = |call: &BegunCall| {
                    call.is_accepted == over.accepted && call.is_with(&over.other, over.room.as_ref())
                };
                let Some(index) = self.calls.iter().position(is_it) else {
                    return Reaction::none();
                };
                let call = self.calls.remove(index);
                if over.accepted {
                    return Reaction::none();
                }
                let content = match over.reason {
                    CallEnd::TimedOut | CallEnd::Lost => wire::NOT_ONLINE,
                    _ => &call.kind,
                };
                Reaction::bytes(call.answer(user, wire::REFUSE, content, time_stamp).bytes())
            }
            _ => Reaction::none(),
        }
    }
}
