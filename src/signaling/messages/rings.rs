//! Calls of the server that ring at one client, as invitations to a room.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::super::reaction::Reaction;
use super::wire::{self, Incoming, Outgoing};
use crate::domain::{Address, CallAnswer, CallCommand, CallEvent, Decline};
use crate::ids::{CallId, RoomName, UserId};

/// Calls that ring and are remembered; the rules let no more ring at one address. Of one too many the oldest is forgotten: its
/// client cannot answer it. As many are remembered that have just ended.
const RINGS_MAX: usize = 16;

/// Time for which an answer to a call that has ended is still taken for one. It was on its way when the call ended, so it comes
/// within seconds; longer would only take what is meant for somebody.
const LATE_WITHIN: Duration = Duration::from_secs(30);

/// Calls that ring at the client, the one that it has accepted, and those that have just ended.
#[derive(Default)]
pub struct Rings {
    rings: Vec<Ring>,
    over: VecDeque<(SystemTime, Ring)>,
}

struct Ring {
    call: CallId,
    from: Address,
    room: RoomName,
    is_accepted: bool,
    /// Whether the caller has invited by a message.
    is_by_message: bool,
}

impl Ring {
    /// Whether a message to somebody is about this call: to the caller, with the call's room or none.
    fn is_meant(&self, message: &Incoming) -> bool {
        let room = message.vagroup_id.as_str();
        self.from.to_string() == message.receiver && (room.is_empty() || room == self.room.as_str())
    }

    fn is_named(&self, message: &Incoming) -> bool {
        !message.vagroup_id.is_empty() && self.is_meant(message)
    }
}

impl Rings {
    /// What the client is to be sent about a call. `time_stamp` is `now` as the client reads it.
    pub fn send(&mut self, user: &UserId, event: CallEvent, now: SystemTime, time_stamp: String) -> Reaction {
        match event {
            CallEvent::Incoming {
                call,
                from,
                room: Some(room),
                message,
                ..
            } => {
                let is_by_message = message.is_some();
                let invitation = message.unwrap_or_else(|| invitation(&from, user, time_stamp, &room).bytes());
                let rings = self.rings.iter().enumerate();
                let mut ringing = rings.filter(|(_, ring)| !ring.is_accepted).map(|(index, _)| index);
                if let Some(oldest) = ringing.next().filter(|_| ringing.count() + 1 >= RINGS_MAX) {
                    self.rings.remove(oldest);
                }
                let is_accepted = false;
                self.rings.push(Ring {
                    call,
                    from,
                    room,
                    is_accepted,
                    is_by_message,
                });
                Reaction::bytes(invitation)
            }
            CallEvent::Over(over) => {
                let Some(Ring { from, room, .. }) = self.rings.iter().find(|ring| ring.call == over.call) else {
                    return Reaction::none();
                };
                let cancel = Outgoing {
                    res_sign: wire::CANCEL.to_owned(),
                    call_type: from.to_string(),
                    ..about(from, user, time_stamp, room)
                };
                self.end(now, |ring| ring.call == over.call);
                Reaction::bytes(cancel.bytes())
            }
            _ => Reaction::none(),
        }
    }

    /// The command in a message about one of these calls. `None` if the message is about none of them. Only a call that rings can
    /// be answered. If several calls are meant, the oldest is taken.
    pub fn command(&self, message: &Incoming) -> Option<(CallId, CallCommand)> {
        let meant = |is_accepted: bool| {
            let mut rings = self.rings.iter().filter(|ring| ring.is_accepted == is_accepted);
            rings.find(|ring| ring.is_meant(message))
        };
        let answer = match message.answer()? {
            wire::AGREE => CallAnswer::Accept(None),
            wire::REFUSE => CallAnswer::Decline(Decline::Unwilling),
            wire::CANCEL => {
                let ring = meant(true).or_else(|| meant(false))?;
                let (with, room) = (Some(ring.from.clone()), Some(ring.room.clone()));
                return Some((ring.call, CallCommand::HangUp { with, room }));
            }
            _ => return None,
        };
        let ring = meant(false)?;
        let (from, room) = (ring.from.clone(), Some(ring.room.clone()));
        Some((ring.call, CallCommand::Answer { from, room, answer }))
    }

    /// Whether a message answers a call by its room that waits for no answer here: the client has accepted it, or it has just ended.
    pub(crate) fn is_late(&self, message: &Incoming, now: SystemTime) -> bool {
        let answers = [wire::AGREE, wire::REFUSE, wire::CANCEL];
        let is_answer = message.answer().is_some_and(|answer| answers.contains(&answer));
        let has_just = |ended: SystemTime| now.duration_since(ended).unwrap_or_default() <= LATE_WITHIN;
        let ended = self
            .over
            .iter()
            .filter(|(ended, _)| has_just(*ended))
            .map(|(_, ring)| ring);
        is_answer && self.rings.iter().chain(ended).any(|ring| ring.is_named(message))
    }

    /// The client has accepted a call. By that it has ended the one that it had accepted before.
    pub fn accepted(&mut self, now: SystemTime, call: CallId) {
        self.end(now, |ring| ring.is_accepted);
        let ring = self.rings.iter_mut().find(|ring| ring.call == call);
        ring.into_iter().for_each(|ring| ring.is_accepted = true);
    }

    /// What ends a call that the client has accepted, if the caller has invited by a message.
    pub(crate) fn hang_up_if_by_message(&self, call: CallId) -> Option<CallCommand> {
        let mut rings = self.rings.iter();
        let ring = rings.find(|ring| ring.call == call && ring.is_accepted && ring.is_by_message)?;
        let (with, room) = (Some(ring.from.clone()), Some(ring.room.clone()));
        Some(CallCommand::HangUp { with, room })
    }

    /// The client has declined or ended a call.
    pub fn ended(&mut self, now: SystemTime, call: CallId) {
        self.end(now, |ring| ring.call == call);
    }

    fn end(&mut self, now: SystemTime, is_over: impl Fn(&Ring) -> bool) {
        let over = self.rings.extract_if(.., |ring| is_over(ring));
        self.over.extend(over.map(|ring| (now, ring)));
        let too_many = self.over.len().saturating_sub(RINGS_MAX);
        self.over.drain(..too_many);
    }
}

/// The invitation to a call that was begun by other means than this socket.
fn invitation(from: &Address, user: &UserId, time_stamp: String, room: &RoomName) -> Outgoing {
    Outgoing {
        group_id: wire::CALL_KINDS[0].to_owned(),
        content: Some(wire::Content {
            content: wire::CALL_KINDS[0].to_owned(),
        }),
        ..about(from, user, time_stamp, room)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CallEnd, CallOver, Side};

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn desk() -> Address {
        Address::Name("desk".into())
    }

    fn ring(rings: &mut Rings, call: u64, room: &str) {
        let event = CallEvent::Incoming {
            call: CallId(call),
            from: desk(),
            to: Address::Name("carl".into()),
            room: Some(room.into()),
            message: None,
        };
        rings.send(&"carl".into(), event, START, String::new());
    }

    fn over(rings: &mut Rings, call: u64, room: &str) {
        let over = CallOver {
            call: CallId(call),
            side: Side::Callee,
            other: desk(),
            room: Some(room.into()),
            accepted: false,
            reason: CallEnd::GivenUp,
        };
        rings.send(&"carl".into(), CallEvent::Over(over), START, String::new());
    }

    fn message(answer: &str, room: &str) -> Incoming {
        Incoming {
            receiver: "desk".to_owned(),
            res_sign: answer.to_owned(),
            vagroup_id: room.to_owned(),
            ..Incoming::default()
        }
    }

    fn call_meant(rings: &Rings, answer: &str, room: &str) -> Option<u64> {
        rings.command(&message(answer, room)).map(|(call, _)| call.0)
    }

    #[test]
    fn a_call_that_was_accepted_can_only_be_ended() {
        let mut rings = Rings::default();
        ring(&mut rings, 1, "a");
        assert_eq!(call_meant(&rings, wire::AGREE, ""), Some(1));
        rings.accepted(START, CallId(1));
        assert_eq!(call_meant(&rings, wire::AGREE, ""), None, "it is about something else");
        assert!(!rings.is_late(&message(wire::AGREE, ""), START));
        assert!(
            rings.is_late(&message(wire::AGREE, "a"), START),
            "the same answer again"
        );
        ring(&mut rings, 2, "b");
        assert_eq!(call_meant(&rings, wire::REFUSE, ""), Some(2));
        assert_eq!(call_meant(&rings, wire::CANCEL, ""), Some(1));
        rings.accepted(START, CallId(2));
        assert_eq!(
            call_meant(&rings, wire::CANCEL, ""),
            Some(2),
            "which has ended the first"
        );
    }

    #[test]
    fn an_answer_that_comes_too_late_is_known_for_a_while() {
        let mut rings = Rings::default();
        ring(&mut rings, 1, "a");
        over(&mut rings, 1, "a");
        assert_eq!(call_meant(&rings, wire::AGREE, "a"), None);
        let is_late = |rings: &Rings, answer, room, after| rings.is_late(&message(answer, room), START + after);
        assert!(is_late(&rings, wire::AGREE, "a", LATE_WITHIN));
        assert!(!is_late(&rings, wire::AGREE, "a", LATE_WITHIN + Duration::from_secs(1)));
        assert!(!is_late(&rings, wire::AGREE, "b", Duration::ZERO));
        assert!(!is_late(&rings, wire::AGREE, "", Duration::ZERO));
        assert!(!is_late(&rings, "", "a", Duration::ZERO), "no answer");
        for call in 2..100 {
            ring(&mut rings, call, "b");
            over(&mut rings, call, "b");
        }
        assert_eq!((rings.rings.len(), rings.over.len()), (0, RINGS_MAX));
    }

    #[test]
    fn a_call_that_was_accepted_takes_no_place_of_one_that_rings() {
        let mut rings = Rings::default();
        ring(&mut rings, 1, "accepted");
        rings.accepted(START, CallId(1));
        (2..2 + RINGS_MAX as u64).for_each(|call| ring(&mut rings, call, &call.to_string()));
        assert_eq!(call_meant(&rings, wire::CANCEL, "accepted"), Some(1));
        assert_eq!(call_meant(&rings, wire::AGREE, "2"), Some(2));
        ring(&mut rings, 99, "99");
        assert_eq!(call_meant(&rings, wire::AGREE, "2"), None);
        assert_eq!(call_meant(&rings, wire::CANCEL, "accepted"), Some(1));
    }
}
