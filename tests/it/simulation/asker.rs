//! Somebody who calls without a socket, as a request over HTTP does: several people at once, whose clients are on `/ws`. One of
//! these may accept. Here is what the caller is sent about that, and why each of it must be so.

use std::collections::BTreeSet;

use patchbay::domain::{
    Abilities, Address, CallCommand, CallEvent, CallMedia, Claim, Command, Event, Newcomer, Refusal, Registration,
    WhenAbsent, WhenBusy,
};
use patchbay::hub::{Events, Session};
use patchbay::shares::ClientAddress;

use super::plan::{Ask, Role};
use super::run::Run;
use super::surroundings::Surroundings;

/// The name in which it calls.
pub const NAME: &str = "asker";

#[derive(Default)]
pub struct Asker {
    session: Option<(Session, Events)>,
    /// The call that it has begun, and of which no end is known.
    call: Option<Call>,
    /// The number of calls so far.
    calls: u32,
}

struct Call {
    room: String,
    /// The people at whom it rings, as far as the caller knows.
    callees: BTreeSet<String>,
    accepted: bool,
}

impl Asker {
    /// Takes the events that have come.
    pub fn hear(&mut self, at: &mut Surroundings) {
        let Some((_, events)) = &mut self.session else { return };
        let mut heard = Vec::new();
        while let Some(event) = events.try_next() {
            heard.push(event);
        }
        for event in heard {
            self.hear_of_call(at, event);
        }
    }

    fn hear_of_call(&mut self, at: &mut Surroundings, event: Event) {
        at.note(format!("{NAME} < {event:?}"));
        let call = self.call.as_mut().expect("no event without a call");
        match event {
            Event::Call(CallEvent::Accepted { by, room, .. }) => {
                assert!(!call.accepted, "one of them accepts");
                assert_eq!(room.as_str(), call.room);
                assert!(
                    call.callees.contains(&by.to_string()),
                    "{by} accepts, where it does not ring"
                );
                call.accepted = true;
                at.tally.calls_accepted += 1;
            }
            Event::Call(CallEvent::CalleeOut { callee, .. }) => {
                assert!(!call.accepted, "those for whom it stops ringing then are not out");
                assert!(
                    call.callees.remove(&callee.to_string()),
                    "{callee} is out twice, or was never in"
                );
                assert!(!call.callees.is_empty(), "the last one's answer is the end of the call");
                at.tally.callees_out += 1;
            }
            Event::Call(CallEvent::Over(over)) => {
                assert_eq!(over.accepted, call.accepted);
                self.call = None;
            }
            other => panic!("not about a call: {other:?}"),
        }
    }
}

impl Run {
    /// The asker does something, and has the hub's answer.
    pub async fn ask(&mut self, ask: Ask) {
        self.at.note(format!("{NAME} is to {ask:?}"));
        self.asker.hear(&mut self.at);
        match ask {
            Ask::Call => {
                self.hang_up().await;
                self.call_all().await;
            }
            Ask::HangUp => self.hang_up().await,
            Ask::Leave => {
                self.asker.session = None;
                self.asker.call = None;
            }
        }
    }

    async fn hang_up(&mut self) {
        let Some((session, _)) = &self.asker.session else {
            return;
        };
        let hang_up = CallCommand::HangUp { with: None, room: None };
        let done = session.request(Command::Call(hang_up)).await;
        // Something may have come before the hub heard of this.
        self.asker.hear(&mut self.at);
        let had_call = self.asker.call.take().is_some();
        assert_eq!(
            done.is_ok(),
            had_call,
            "a call that is not over can be ended, and no other: {done:?}"
        );
    }

    async fn call_all(&mut self) {
        if self.asker.session.is_none() {
            let place = self.hub.connect(ClientAddress::THIS_MACHINE).await;
            let (session, events) = place.expect("the server is not full");
            let registration = Registration {
                address: Address::Name(NAME.into()),
                newcomer: Newcomer::Joins,
                claim: Claim::Unproven,
                abilities: Abilities::NONE,
            };
            session.request(Command::Register(registration)).await.expect("a name");
            self.asker.session = Some((session, events));
        }
        let is_callee = |role: Role| matches!(role, Role::Writer(_));
        let callees = self.people.iter().filter(|person| is_callee(person.role));
        let callees: BTreeSet<String> = callees.map(|person| person.name.clone()).collect();
        self.asker.calls += 1;
        let room = format!("call {}", self.asker.calls);
        let invite = CallCommand::Invite {
            to: callees.iter().map(|name| Address::Name(name.as_str().into())).collect(),
            media: CallMedia::Elsewhere(room.as_str().into()),
            when_busy: WhenBusy::Refuse,
            when_absent: WhenAbsent::LeaveOut,
        };
        let Some((session, _)) = &self.asker.session else {
            return;
        };
        match session.request(Command::Call(invite)).await {
            Ok(()) => {
                self.at.tally.calls_without_socket += 1;
                let accepted = false;
                self.asker.call = Some(Call {
                    room,
                    callees,
                    accepted,
                });
            }
            // They are away.
            Err(Refusal::NotReachable) => {}
            Err(other) => panic!("{NAME} may not call: {other:?}"),
        }
    }

    /// People who are there, and at whom the newest call should have rung and has not.
    pub fn not_rung(&self) -> Vec<String> {
        let newest = format!("call {}", self.asker.calls);
        let people = self
            .people
            .iter()
            .filter(|person| matches!(person.role, Role::Writer(_)));
        let silent = people.filter(|person| person.is_in && person.rung.as_ref() != Some(&newest));
        silent
            .map(|person| format!("{newest} does not ring at {}", person.name))
            .collect()
    }
}
