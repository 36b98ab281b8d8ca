//! Calls to several callees, and callers who are reachable nowhere themselves, such as those without a socket.

use super::*;

/// The session that calls in the name of the office.
const OFFICE: u64 = 9;

impl Exchange {
    /// Registers a session that sends commands in the name of an address and is sent nothing else.
    fn asks_for(&mut self, session: u64, address: Address) {
        let registration = Registration {
            abilities: Abilities::NONE,
            ..registration(address, Newcomer::Joins)
        };
        self.command(session, Command::Register(registration)).unwrap();
    }

    fn call_all(&mut self, to: &[&str], when_busy: WhenBusy) -> Result<Vec<String>, Refusal> {
        let to = to.iter().copied().map(name).collect();
        let media = CallMedia::Elsewhere("meeting".into());
        self.send(OFFICE, invite(to, media, when_busy))
    }

    fn reach_by_push(&mut self, who: &str) {
        self.asks_for(99, name(who));
        let targets = vec!["phone".into()];
        assert_eq!(self.command(99, Command::Push(targets)), Ok(vec![]));
        self.leave(99);
    }
}

/// Ben (2) and Carl (3), and somebody (9) who calls for the office.
fn office() -> Exchange {
    let mut exchange = Exchange::new(Limits::default());
    exchange.register(2, name("ben"), Newcomer::Joins);
    exchange.register(3, name("carl"), Newcomer::Joins);
    exchange.asks_for(OFFICE, name("office"));
    exchange
}

fn office_that_calls() -> Exchange {
    let mut exchange = office();
    let rings = ["send 2: office calls ben", "send 3: office calls carl"];
    assert_eq!(exchange.call_all(&["ben", "carl"], WhenBusy::Refuse).unwrap(), rings);
    exchange
}

#[test]
fn who_answers_first_has_the_call_it_rings_nowhere_else_and_a_hang_up_ends_it_for_both() {
    for hangs_up in [OFFICE, 3] {
        let mut exchange = office_that_calls();
        assert_eq!(exchange.counts(), [1, 2, 0, 0, 0], "who only asks cannot be called");
        exchange.register(4, name("ben"), Newcomer::Joins);
        let accepted = exchange.accept(3, name("office")).unwrap();
        let expected = [
            "send 2: ringing with office over, AnsweredElsewhere",
            "send 4: ringing with office over, AnsweredElsewhere",
            "send 9: carl accepts for meeting",
        ];
        assert_eq!(accepted, expected);
        assert_eq!(exchange.accept(2, name("office")), Err(Refusal::NoSuchCall));
        assert_eq!(exchange.hang_up(2), Err(Refusal::NoSuchCall));
        let over = exchange.hang_up(hangs_up).unwrap();
        let expected = match hangs_up {
            OFFICE => "send 3: call with office over, HungUp",
            _ => "send 9: call with carl over, HungUp",
        };
        assert_eq!(over, [expected]);
        assert_eq!(exchange.counts(), [0, 3, 0, 0, 0]);
        assert_eq!(exchange.rules.poll_timeout(), None);
    }
}

#[test]
fn a_call_to_several_that_this_server_carries_is_answered_to_who_answers_and_the_caller() {
    let mut exchange = office();
    let (to, media) = (vec![name("ben"), name("carl")], CallMedia::Carried(offer()));
    let when_busy = WhenBusy::Ring;
    exchange.send(OFFICE, invite(to, media, when_busy)).unwrap();
    let expected = [
        "send 3: ringing with office over, AnsweredElsewhere",
        "open room",
        "answer 2, 9",
    ];
    assert_eq!(exchange.accept(2, name("office")).unwrap(), expected);
    let expected = [
        "close peer",
        "close peer",
        "close room",
        "send 2: call with office over, HungUp",
    ];
    assert_eq!(exchange.hang_up(OFFICE).unwrap(), expected);
}

#[test]
fn it_rings_at_the_others_when_one_declines_and_is_over_when_all_have() {
    let mut exchange = office_that_calls();
    exchange.register(4, name("ben"), Newcomer::Joins);
    let declined = exchange.decline(2, name("office"), Decline::Busy).unwrap();
    let expected = [
        "send 9: without ben, Declined(Busy)",
        "send 4: ringing with office over, Declined(Busy)",
    ];
    assert_eq!(declined, expected);
    assert_eq!(exchange.accept(4, name("office")), Err(Refusal::NoSuchCall));
    let declined = exchange.decline(3, name("office"), Decline::Unwilling).unwrap();
    assert_eq!(declined, ["send 9: ringing with carl over, Declined(Unwilling)"]);
    assert_eq!(exchange.counts()[0], 0);
    assert_eq!(exchange.rules.poll_timeout(), None);
}

#[test]
fn nobody_answers_in_time() {
    let mut exchange = office_that_calls();
    assert_eq!(exchange.pass(59), [""; 0]);
    let expected = [
        "send 9: ringing with ben over, TimedOut",
        "send 2: ringing with office over, TimedOut",
        "send 3: ringing with office over, TimedOut",
    ];
    assert_eq!(exchange.pass(1), expected);
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);
}

#[test]
fn a_caller_s_side_that_goes_away_stops_the_ringing_and_ends_the_call() {
    let mut exchange = office_that_calls();
    let expected = [
        "send 2: ringing with office over, Lost",
        "send 3: ringing with office over, Lost",
    ];
    assert_eq!(exchange.leave(OFFICE), expected);
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);

    let mut exchange = office_that_calls();
    exchange.accept(3, name("office")).unwrap();
    assert_eq!(exchange.leave(OFFICE), ["send 3: call with office over, Lost"]);
}

#[test]
fn callees_who_go_while_it_rings_are_left_out_and_the_last_one_ends_it() {
    let mut exchange = office_that_calls();
    assert_eq!(exchange.leave(2), ["send 9: without ben, Lost"]);
    assert_eq!(
        exchange.register(2, name("ben"), Newcomer::Joins),
        [""; 0],
        "it rings there no more"
    );
    assert_eq!(exchange.leave(3), ["send 9: ringing with carl over, Lost"]);
    assert_eq!(exchange.counts()[0], 0);
}

#[test]
fn a_caller_gives_up_one_of_several_or_all() {
    let mut exchange = office_that_calls();
    let with = Some(name("ben"));
    let given_up = exchange.send(OFFICE, CallCommand::HangUp { with, room: None }).unwrap();
    assert_eq!(given_up, ["send 2: ringing with office over, GivenUp"]);
    assert_eq!(
        exchange.hang_up(OFFICE).unwrap(),
        ["send 3: ringing with office over, GivenUp"]
    );
    assert_eq!(exchange.counts()[0], 0);
}

#[test]
fn a_callee_who_hangs_up_what_rings_at_several_declines_it_for_themselves() {
    let mut exchange = office_that_calls();
    assert_eq!(
        exchange.hang_up(2).unwrap(),
        ["send 9: without ben, Declined(Unwilling)"]
    );
    assert!(exchange.accept(3, name("office")).is_ok());
}

#[test]
fn those_who_are_busy_or_not_there_are_left_out_and_without_anybody_else_there_is_no_call() {
    let mut exchange = office();
    exchange.register(1, name("anna"), Newcomer::Joins);
    exchange.call(1, "ben").unwrap();
    let rings = exchange
        .call_all(&["ben", "carl", "dora", "carl", "dora", "ben"], WhenBusy::Refuse)
        .unwrap();
    let expected = [
        "send 3: office calls carl",
        "send 9: without ben, Declined(Busy)",
        "send 9: without dora, Lost",
    ];
    assert_eq!(rings, expected, "and once where somebody is named twice");
    exchange.hang_up(OFFICE).unwrap();
    let refused = |exchange: &mut Exchange, to: &[&str]| exchange.call_all(to, WhenBusy::Refuse);
    assert_eq!(refused(&mut exchange, &["ben", "dora"]), Err(Refusal::Busy));
    assert_eq!(refused(&mut exchange, &["dora", "emma"]), Err(Refusal::NotReachable));
    assert_eq!(refused(&mut exchange, &[]), Err(Refusal::NotReachable));
    assert_eq!(refused(&mut exchange, &["carl", "office"]), Err(Refusal::CallsItself));
    let many = vec!["carl"; Limits::default().callees_per_call + 1];
    assert_eq!(refused(&mut exchange, &many), Err(Refusal::TooManyCallees));
    assert_eq!(exchange.counts()[0], 1, "anna's");
    exchange.leave(OFFICE);
    assert_eq!(refused(&mut exchange, &["carl"]), Err(Refusal::NotRegistered));
}

#[test]
fn only_calls_that_its_family_can_carry_ring_at_a_session() {
    let mut exchange = office();
    let register = |abilities| Registration {
        abilities,
        ..registration(name("dora"), Newcomer::Joins)
    };
    let carried = Abilities {
        rings_carried: true,
        ..Abilities::NONE
    };
    let messages = Abilities {
        messages: true,
        ..Abilities::NONE
    };
    for (session, abilities) in [(4, carried), (5, messages)] {
        exchange
            .rules
            .handle(exchange.now, SessionId(session), Command::Register(register(abilities)))
            .unwrap();
    }
    assert_eq!(exchange.call_all(&["dora"], WhenBusy::Ring), Err(Refusal::NotReachable));
    exchange.reach_by_push("dora");
    let rings = exchange.call_all(&["dora"], WhenBusy::Ring).unwrap();
    assert_eq!(rings, ["push: office calls dora"]);
    exchange.register(6, name("dora"), Newcomer::Joins);
    assert_eq!(exchange.accept(4, name("office")), Err(Refusal::NoSuchCall));
    assert!(exchange.accept(6, name("office")).is_ok());
}

#[test]
fn somebody_who_has_no_session_is_reached_by_push_and_answers_when_they_have_come() {
    let mut exchange = office();
    exchange.reach_by_push("dora");
    let rings = exchange.call_all(&["carl", "dora"], WhenBusy::Refuse).unwrap();
    assert_eq!(rings, ["send 3: office calls carl", "push: office calls dora"]);
    assert_eq!(exchange.leave(3), ["send 9: without carl, Lost"]);
    assert_eq!(exchange.pass(30), [""; 0], "dora may still come");
    assert_eq!(
        exchange.register(4, name("dora"), Newcomer::Inherits),
        ["send 4: office calls dora"]
    );
    assert_eq!(exchange.leave(4), [""; 0]);
    assert_eq!(
        exchange.pass(10),
        [""; 0],
        "and again, without a deadline before that of the ringing"
    );
    assert_eq!(
        exchange.register(4, name("dora"), Newcomer::Inherits),
        ["send 4: office calls dora"]
    );
    let expected = [
        "push: ringing with office over, AnsweredElsewhere",
        "send 9: dora accepts for meeting",
    ];
    assert_eq!(exchange.accept(4, name("office")).unwrap(), expected);

    let mut exchange = office();
    exchange.reach_by_push("dora");
    exchange.call_all(&["dora"], WhenBusy::Refuse).unwrap();
    let expected = [
        "send 9: ringing with dora over, TimedOut",
        "push: ringing with office over, TimedOut",
    ];
    assert_eq!(exchange.pass(60), expected);
}

#[test]
fn a_device_that_vanishes_while_it_rings_at_several_may_come_back_and_is_left_out_otherwise() {
    let mut exchange = office();
    exchange.register(4, name("dora"), Newcomer::Inherits);
    exchange.call_all(&["carl", "dora"], WhenBusy::Refuse).unwrap();
    assert_eq!(exchange.leave(4), [""; 0]);
    assert_eq!(exchange.pass(4), [""; 0]);
    let rings = exchange.register(4, name("dora"), Newcomer::Inherits);
    assert_eq!(rings, ["send 4: office calls dora"]);
    exchange.leave(4);
    assert_eq!(exchange.pass(5), ["send 9: without dora, Lost"]);
    assert!(exchange.accept(3, name("office")).is_ok());
}

#[test]
fn a_device_that_comes_does_not_take_over_what_somebody_else_began_in_its_name() {
    let mut exchange = office();
    exchange.register(4, name("office"), Newcomer::Inherits);
    exchange.call_all(&["carl"], WhenBusy::Refuse).unwrap();
    exchange.register(5, name("office"), Newcomer::Inherits);
    let accepted = exchange.accept(3, name("office")).unwrap();
    assert_eq!(accepted, ["send 9: carl accepts for meeting"]);
}

#[test]
fn who_calls_for_others_has_the_share_of_their_client_address() {
    let mut exchange = Exchange::new(Limits {
        calls: 40,
        ..Limits::default()
    });
    let client = ClientAddress::from_record("192.0.2.1");
    let mut begun = 0;
    for session in 0..40 {
        exchange.register(100 + session, name(&format!("callee {session}")), Newcomer::Joins);
        exchange.rules.arrive(SessionId(session), client);
        exchange.asks_for(session, name(&format!("caller {session}")));
        begun += usize::from(exchange.call(session, &format!("callee {session}")).is_ok());
    }
    assert_eq!(begun, 10, "a quarter");
}

#[test]
fn where_two_call_one_another_only_the_caller_is_spared_the_end_of_the_other_call() {
    let mut exchange = Exchange::new(Limits::default());
    for session in [1, 2] {
        exchange.register(session, name("anna"), Newcomer::Joins);
    }
    exchange.register(3, name("ben"), Newcomer::Joins);
    exchange.call(3, "anna").unwrap();
    exchange.call(1, "ben").unwrap();
    let accepted = exchange.accept(3, name("anna")).unwrap();
    let over = |session: u64| {
        let line = format!("send {session}: ringing");
        accepted.iter().filter(|event| event.starts_with(&line)).count()
    };
    assert_eq!([over(1), over(2)], [0, 1], "{accepted:?}");
}

impl Exchange {
    /// The office calls these, also those who are not there.
    fn call_absent(&mut self, to: &[&str]) -> Result<Vec<String>, Refusal> {
        let to = to.iter().copied().map(name).collect();
        let media = CallMedia::Elsewhere("meeting".into());
        let (when_busy, when_absent) = (WhenBusy::Ring, WhenAbsent::Ring);
        self.send(
            OFFICE,
            CallCommand::Invite {
                to,
                media,
                when_busy,
                when_absent,
            },
        )
    }
}

#[test]
fn a_call_that_rings_at_who_is_absent_rings_when_they_come_and_after_they_have_left() {
    let mut exchange = office();
    assert_eq!(exchange.call_absent(&["dora"]).unwrap(), [""; 0]);
    assert_eq!(exchange.counts()[0], 1);
    let rings = exchange.register(5, name("dora"), Newcomer::Joins);
    assert_eq!(rings, ["send 5: office calls dora"]);
    exchange.leave(5);
    assert_eq!(exchange.counts()[0], 1, "she may come again");
    exchange.now += Limits::default().ring_for;
    let over = outline(&exchange.rules.handle_timeout(exchange.now));
    assert_eq!(over, ["send 9: ringing with dora over, TimedOut"]);
    assert_eq!(exchange.rules.poll_timeout(), None);
}

#[test]
fn a_session_at_which_nothing_rings_answers_or_declines_for_its_address_what_rings_there() {
    let mut exchange = office();
    exchange.call_absent(&["ben", "dora"]).unwrap();
    exchange.asks_for(6, name("dora"));
    assert_eq!(
        exchange.decline(6, name("office"), Decline::Unwilling).unwrap(),
        ["send 9: without dora, Declined(Unwilling)"]
    );
    assert_eq!(exchange.accept(6, name("office")), Err(Refusal::NoSuchCall));
    exchange.asks_for(7, name("ben"));
    let expected = [
        "send 2: ringing with office over, AnsweredElsewhere",
        "send 9: ben accepts for meeting",
    ];
    assert_eq!(exchange.accept(7, name("office")).unwrap(), expected);
    assert_eq!(
        exchange.hang_up(OFFICE).unwrap(),
        ["send 7: call with office over, HungUp"]
    );
}

#[test]
fn a_session_at_which_nothing_rings_answers_no_call_that_this_server_carries() {
    let mut exchange = office();
    exchange.call(2, "carl").unwrap();
    exchange.asks_for(6, name("carl"));
    assert_eq!(exchange.accept(6, name("ben")), Err(Refusal::NoSuchCall));
    assert!(exchange.accept(3, name("ben")).is_ok());
}
