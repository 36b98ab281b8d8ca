//! Calls that begin by messages: several of one session, beside one another.

use bytes::Bytes;

use super::*;

const MESSAGES: Abilities = Abilities {
    rings_elsewhere: true,
    messages: true,
    ..Abilities::NONE
};

impl Exchange {
    fn by_message(&mut self, session: u64, to: &str, room: &str) -> Result<Vec<String>, Refusal> {
        let (to, room, message) = (name(to), room.into(), Bytes::from_static(b"come"));
        self.send(session, CallCommand::InviteByMessage { to, room, message })
    }

    fn gets_messages(&mut self, session: u64, who: &str) {
        let register = Command::Register(Registration {
            abilities: MESSAGES,
            ..registration(name(who), Newcomer::Joins)
        });
        self.rules
            .handle(self.now, SessionId(session), register)
            .expect("a place");
    }

    fn cancel(&mut self, session: u64, with: &str, room: &str) -> Result<Vec<String>, Refusal> {
        let (with, room) = (Some(name(with)), Some(room.into()));
        self.send(session, CallCommand::HangUp { with, room })
    }
}

/// Anna gets messages (1), Ben (2) and Carl (3) do not.
fn three() -> Exchange {
    let mut exchange = Exchange::new(Limits::default());
    exchange.gets_messages(1, "anna");
    exchange.register(2, name("ben"), Newcomer::Joins);
    exchange.register(3, name("carl"), Newcomer::Joins);
    exchange
}

#[test]
fn calls_of_one_session_go_on_beside_one_another_and_end_each_by_its_room() {
    let mut exchange = three();
    assert_eq!(exchange.by_message(1, "ben", "r").unwrap(), ["send 2: anna calls ben"]);
    assert_eq!(
        exchange.by_message(1, "carl", "r").unwrap(),
        ["send 3: anna calls carl"]
    );
    let accepted = exchange.accept(2, name("anna")).unwrap();
    assert_eq!(accepted, ["send 1: ben accepts for r"]);
    assert_eq!(exchange.by_message(1, "ben", "s").unwrap(), ["send 2: anna calls ben"]);
    assert_eq!(exchange.rules.call_count(), 3);
    let over = exchange.cancel(1, "ben", "s").unwrap();
    assert_eq!(over, ["send 2: ringing with anna over, GivenUp"]);
    let over = exchange.cancel(1, "ben", "r").unwrap();
    assert_eq!(over, ["send 2: call with anna over, HungUp"]);
    exchange.rules.leave(exchange.now, SessionId(1));
    assert_eq!(exchange.rules.call_count(), 0);
}

#[test]
fn a_newer_invitation_of_the_same_callee_takes_the_place_of_one_that_rings() {
    let mut exchange = three();
    exchange.by_message(1, "ben", "r").unwrap();
    let again = exchange.by_message(1, "ben", "s").unwrap();
    assert_eq!(
        again,
        ["send 2: ringing with anna over, GivenUp", "send 2: anna calls ben"]
    );
    assert_eq!(exchange.rules.call_count(), 1);
}

#[test]
fn whoever_only_gets_messages_is_not_called_by_one() {
    let mut exchange = three();
    exchange.gets_messages(4, "dora");
    assert_eq!(exchange.by_message(1, "dora", "r"), Err(Refusal::NotReachable));
    exchange.gets_messages(5, "ben");
    let rings = ["send 2: anna calls ben", "send 5: anna calls ben"];
    assert_eq!(exchange.by_message(1, "ben", "r").unwrap(), rings);
}

#[test]
fn a_session_has_a_bounded_number_of_calls_and_keeps_its_user_free_for_others() {
    let mut exchange = Exchange::new(Limits::default());
    exchange.gets_messages(1, "anna");
    let most = Limits::default().calls_per_address as u64;
    for number in 0..=most {
        let callee = format!("c{number}");
        exchange.register(10 + number, name(&callee), Newcomer::Joins);
        let begun = exchange.by_message(1, &callee, "r");
        assert_eq!(begun.err(), (number == most).then_some(Refusal::TooManyCalls));
    }
    let media = CallMedia::Elsewhere("meeting".into());
    let called = exchange.send(10, invite(vec![name("anna")], media, WhenBusy::Refuse));
    assert_eq!(called.unwrap(), ["send 1: c0 calls anna"]);
}

#[test]
fn an_accepted_call_is_taken_over_by_the_session_from_which_the_caller_calls() {
    let mut exchange = three();
    exchange.by_message(1, "ben", "r").unwrap();
    exchange.register(4, name("anna"), Newcomer::Joins);
    exchange.accept(2, name("anna")).unwrap();
    let (room, offer) = ("of her page".into(), Some(offer()));
    let call = invite(vec![name("ben")], CallMedia::Either { offer, room }, WhenBusy::Ring);
    let effects = exchange.rules.handle(exchange.now, SessionId(4), call.into());
    let is_news = |effect: &Effect| {
        matches!(
            effect,
            Effect::Send {
                event: Event::Call(_),
                ..
            }
        )
    };
    assert!(!effects.unwrap().iter().any(is_news), "nothing rings once more");
    assert_eq!(exchange.rules.call_count(), 1, "no other call");
    assert_eq!(
        exchange.cancel(1, "ben", "r"),
        Err(Refusal::NoSuchCall),
        "not with it any more"
    );
    exchange.rules.leave(exchange.now, SessionId(4));
    assert_eq!(exchange.rules.call_count(), 0);
}
