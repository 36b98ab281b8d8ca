//! A registered account: a user without a socket, at whom people on `/ws` let calls ring by invitations. It answers as apps do, by
//! another session than the one that is registered. Here is what it is sent, what its callers are, and why each of it must be so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use patchbay::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallEvent, Claim, Command, Decline, Event, Newcomer, Refusal,
    Registration,
};
use patchbay::hub::{Events, HubHandle, Session};
use patchbay::ids::{CallId, RoomName};
use patchbay::shares::ClientAddress;
use serde_json::Value;

use super::person::Person;
use super::plan::Role;
use super::run::Run;
use super::surroundings::Surroundings;

/// The name of the account.
pub const NAME: &str = "account";

const APP: Abilities = Abilities {
    rings_elsewhere: true,
    ..Abilities::NONE
};

#[derive(Default)]
pub struct Account {
    registered: Option<(Session, Events)>,
    /// The session that has accepted a call.
    talking: Option<(Session, Events)>,
    /// Calls that ring.
    rings: BTreeSet<CallId>,
    /// Calls that are to be answered.
    unanswered: VecDeque<(Address, RoomName)>,
    /// The number of calls so far.
    calls: u32,
    /// Whether it accepts every call.
    pub accepts_all: bool,
}

/// The answers to the invitations of one socket, by their rooms. `None`: there is none yet.
pub type Invitations = BTreeMap<String, Option<String>>;

async fn connect(hub: &HubHandle, abilities: Abilities) -> (Session, Events) {
    let place = hub.connect(ClientAddress::THIS_MACHINE).await;
    let (session, events) = place.expect("the server is not full");
    let registration = Registration {
        address: Address::Name(NAME.into()),
        newcomer: Newcomer::Joins,
        claim: Claim::Proven,
        abilities,
    };
    session.request(Command::Register(registration)).await.expect("a place");
    (session, events)
}

impl Account {
    /// Takes the events that have come.
    pub fn hear(&mut self, at: &mut Surroundings) {
        let Some((_, events)) = &mut self.registered else {
            return;
        };
        while let Some(event) = events.try_next() {
            at.note(format!("{NAME} < {event:?}"));
            match event {
                Event::Call(CallEvent::Incoming { call, from, room, .. }) => {
                    assert!(self.rings.insert(call), "{call} rings twice");
                    at.tally.calls_across += 1;
                    self.unanswered.push_back((from, room.expect("the two meet in a room")));
                }
                Event::Call(CallEvent::Over(over)) => {
                    assert!(self.rings.remove(&over.call), "{} is over, and never rang", over.call);
                }
                other => panic!("not about a call: {other:?}"),
            }
        }
        let Some((_, events)) = &mut self.talking else { return };
        let mut is_over = false;
        while let Some(event) = events.try_next() {
            at.note(format!("{NAME} in a call < {event:?}"));
            assert!(
                matches!(&event, Event::Call(CallEvent::Over(over)) if over.accepted),
                "{event:?}"
            );
            is_over = true;
        }
        if is_over {
            self.talking = None;
            at.tally.calls_across_over += 1;
        }
    }

    pub fn leave(&mut self) {
        *self = Account::default();
    }
}

impl Run {
    pub async fn account_comes(&mut self) {
        if self.people.iter().any(|person| matches!(person.role, Role::Writer(_))) {
            self.account.registered = Some(connect(&self.hub, APP).await);
        }
    }

    /// Answers a call that rings: it accepts, declines, or does nothing. Returns whether there was one.
    pub async fn answer_as_account(&mut self) -> bool {
        let Some((from, room)) = self.account.unanswered.pop_front() else {
            return false;
        };
        self.account.calls += 1;
        let answer = match self.account.calls % 3 {
            _ if self.account.accepts_all => CallAnswer::Accept(None),
            0 => CallAnswer::Accept(None),
            1 => CallAnswer::Decline(Decline::Unwilling),
            _ => return false,
        };
        self.at.note(format!("{NAME} answers {from} about {room}: {answer:?}"));
        let (session, events) = connect(&self.hub, Abilities::NONE).await;
        let accepts = matches!(answer, CallAnswer::Accept(_));
        let room = Some(room);
        let done = session.request(CallCommand::Answer { from, room, answer }.into()).await;
        match done {
            Ok(()) if accepts => self.account.talking = Some((session, events)),
            // It has been taken back meanwhile.
            Ok(()) | Err(Refusal::NoSuchCall) => {}
            Err(other) => panic!("{NAME} may not answer: {other:?}"),
        }
        true
    }

    /// Everybody on `/ws` invites the account.
    pub fn invite_account(&mut self) {
        self.account.accepts_all = true;
        for person in &mut self.people {
            if person.is_in && matches!(person.role, Role::Writer(_)) {
                person.invite_account(&self.at);
            }
        }
    }

    /// People whose newest invitation the account should have accepted and has not.
    pub fn not_agreed(&self) -> Vec<String> {
        let writers = self.people.iter().filter(|one| matches!(one.role, Role::Writer(_)));
        let agreed = |one: &Person| {
            one.invitations
                .values()
                .any(|answer| answer.as_deref() == Some("agree"))
        };
        let waiting = writers.filter(|one| one.is_in && !agreed(one));
        waiting
            .map(|one| format!("{NAME} does not accept the call of {}", one.name))
            .collect()
    }
}

impl Person {
    pub fn invitation(&mut self) -> Value {
        let room = format!("of {} {}", self.name, self.written);
        self.invitations.insert(room.clone(), None);
        serde_json::json!({"cmd": 5, "msgtype": 4, "groupId": "video", "reqType": "group", "sender": self.name,
            "receiver": NAME, "vagroupId": room})
    }

    pub fn taking_back(&self) -> Value {
        serde_json::json!({"cmd": 5, "msgtype": 4, "sender": self.name, "receiver": NAME, "resSign": "cancel"})
    }

    /// The account has answered, or the server in its name. Only the socket that has invited it is sent that, and once.
    pub fn hear_account(&mut self, at: &mut Surroundings, message: &Value) {
        let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        let (room, answer) = (text("vagroupId"), text("resSign"));
        assert!(["agree", "refuse"].contains(&answer.as_str()), "an answer: {message}");
        let Some(known) = self.invitations.get_mut(&room) else {
            panic!("{} has not invited {NAME} to {room}: {message}", self.name);
        };
        assert_eq!(*known, None, "{} is answered twice about {room}", self.name);
        match answer.as_str() {
            "agree" => at.tally.agreed_across += 1,
            _ => at.tally.refused_across += 1,
        }
        *known = Some(answer);
    }
}
