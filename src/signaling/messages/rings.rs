//! Calls of the server that ring at one client, as invitations to a room.

use super::super::reaction::Reaction;
use super::wire::{self, Incoming, Outgoing};
use crate::domain::{Address, Answer, CallCommand, CallEvent, Decline};
use crate::ids::{CallId, RoomName, UserId};

/// Calls that are remembered. The rules let no more ring at one address. If there were one too many the oldest would be
/// forgotten, and its client could not answer it.
const RINGS_MAX: usize = 16;

/// The calls that ring at the client, and the one that it has accepted.
#[derive(Default)]
pub struct Rings(Vec<Ring>);

struct Ring {
    call: CallId,
    from: Address,
    room: RoomName,
}

impl Rings {
    /// What the client is to be sent about a call.
    pub fn tell(&mut self, user: &UserId, event: CallEvent, now: String) -> Reaction {
        match event {
            CallEvent::Incoming {
                call,
                from,
                room: Some(room),
                ..
            } => {
                let invitation = Outgoing {
                    group_id: wire::CALL_KINDS[0].to_owned(),
                    content: Some(wire::Content {
                        content: wire::CALL_KINDS[0].to_owned(),
                    }),
                    ..about(&from, user, now, &room)
                };
                if self.0.len() >= RINGS_MAX {
                    self.0.remove(0);
                }
                self.0.push(Ring { call, from, room });
                Reaction::bytes(invitation.bytes())
            }
            CallEvent::Over(over) => {
                let Some(index) = self.0.iter().position(|ring| ring.call == over.call) else {
                    return Reaction::none();
                };
                let Ring { from, room, .. } = self.0.remove(index);
                let cancel = Outgoing {
                    res_sign: wire::CANCEL.to_owned(),
                    call_type: from.to_string(),
                    ..about(&from, user, now, &room)
                };
                Reaction::bytes(cancel.bytes())
            }
            _ => Reaction::none(),
        }
    }

    /// The command that a message gives about one of these calls, if it does.
    pub fn command(&self, message: &Incoming) -> Option<CallCommand> {
        let ring = self.0.get(self.meant(message)?)?;
        let (from, room) = (ring.from.clone(), Some(ring.room.clone()));
        let answer = match message.answer()? {
            wire::AGREE => Answer::Accept(None),
            wire::REFUSE => Answer::Decline(Decline::Unwilling),
            wire::CANCEL => {
                let with = Some(from);
                return Some(CallCommand::HangUp { with, room });
            }
            _ => return None,
        };
        Some(CallCommand::Answer { from, room, answer })
    }

    /// Forgets the call that the message is about: the client has ended it.
    pub fn forget(&mut self, message: &Incoming) {
        if let Some(index) = self.meant(message) {
            self.0.remove(index);
        }
    }

    /// The oldest call from the receiver of the message; if the message names a room, in that room.
    fn meant(&self, message: &Incoming) -> Option<usize> {
        let room = message.vagroup_id.as_str();
        let is_meant =
            |ring: &Ring| ring.from.to_string() == message.receiver && (room.is_empty() || room == ring.room.as_str());
        self.0.iter().position(is_meant)
    }
}

fn about(from: &Address, user: &UserId, time_stamp: String, room: &RoomName) -> Outgoing {
    Outgoing {
        msgtype: wire::REPLY,
        sender: from.to_string(),
        receiver: user.as_str().to_owned(),
        time_stamp,
        req_type: "group".to_owned(),
        vagroup_id: room.as_str().to_owned(),
        ..Outgoing::of(wire::MESSAGE)
    }
}
