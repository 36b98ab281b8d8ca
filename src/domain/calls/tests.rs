//! At whom calls ring, and what each session is sent, in which order.

mod across;
mod any_order;
mod bounds;
mod by_message;
mod meeting;
mod several;

use std::time::Duration;

use super::*;
use crate::domain::{
    CallAnswer, CallCommand, CallMedia, Claim, Command, Effect, Event, Newcomer, Registration, Rules, Use, WhenAbsent,
    WhenBusy, some_instant,
};
use crate::ids::DeviceId;
use crate::media::description::Description;

/// Rules and a clock that only the test moves.
struct Exchange {
    rules: Rules,
    now: Instant,
}

fn name(name: &str) -> Address {
    Address::Name(name.into())
}

fn device(account: &str) -> Address {
    let (account, device) = (account.into(), DeviceId::from("d"));
    Address::Device { account, device }
}

/// A registration at which any call may ring.
fn registration(address: Address, newcomer: Newcomer) -> Registration {
    Registration {
        address,
        newcomer,
        claim: Claim::Unproven,
        abilities: Abilities {
            rings_carried: true,
            rings_elsewhere: true,
            messages: false,
        },
    }
}

fn answer_to(from: Address, answer: CallAnswer) -> CallCommand {
    let room = None;
    CallCommand::Answer { from, room, answer }
}

/// A call of these, without those who cannot be reached.
fn invite(to: Vec<Address>, media: CallMedia, when_busy: WhenBusy) -> CallCommand {
    let when_absent = WhenAbsent::LeaveOut;
    CallCommand::Invite {
        to,
        media,
        when_busy,
        when_absent,
    }
}

fn offer() -> Offer {
    Offer {
        description: Description::read("v=0"),
        ..Offer::default()
    }
}

impl Exchange {
    fn new(limits: Limits) -> Exchange {
        let (rules, now) = (Rules::new(limits), some_instant());
        Exchange { rules, now }
    }

    fn send(&mut self, session: u64, command: CallCommand) -> Result<Vec<String>, Refusal> {
        self.command(session, Command::Call(command))
    }

    fn command(&mut self, session: u64, command: Command) -> Result<Vec<String>, Refusal> {
        let effects = self.rules.handle(self.now, SessionId(session), command);
        effects.map(|effects| outline(&effects))
    }

    fn register(&mut self, session: u64, address: Address, newcomer: Newcomer) -> Vec<String> {
        let register = Command::Register(registration(address, newcomer));
        self.command(session, register).unwrap()
    }

    /// Begins a call that this server carries.
    fn call(&mut self, session: u64, to: &str) -> Result<Vec<String>, Refusal> {
        let (to, media) = (vec![name(to)], CallMedia::Carried(offer()));
        let when_busy = WhenBusy::Ring;
        self.send(session, invite(to, media, when_busy))
    }

    /// Begins a call from one device to another.
    fn dial(&mut self, session: u64, to: &str) -> Result<Vec<String>, Refusal> {
        let (to, media) = (vec![device(to)], CallMedia::Elsewhere("meeting".into()));
        let when_busy = WhenBusy::Refuse;
        self.send(session, invite(to, media, when_busy))
    }

    fn accept(&mut self, session: u64, from: Address) -> Result<Vec<String>, Refusal> {
        let answer = CallAnswer::Accept(Some(offer()));
        self.send(session, answer_to(from, answer))
    }

    fn decline(&mut self, session: u64, from: Address, why: Decline) -> Result<Vec<String>, Refusal> {
        let answer = CallAnswer::Decline(why);
        self.send(session, answer_to(from, answer))
    }

    fn hang_up(&mut self, session: u64) -> Result<Vec<String>, Refusal> {
        self.send(session, CallCommand::HangUp { with: None, room: None })
    }

    fn leave(&mut self, session: u64) -> Vec<String> {
        outline(&self.rules.leave(self.now, SessionId(session)))
    }

    fn pass(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        outline(&self.rules.handle_timeout(self.now))
    }

    fn counts(&self) -> [usize; 5] {
        let rules = &self.rules;
        let calls = [rules.call_count(), rules.reachable_count()];
        let rooms = [rules.room_count(), rules.participant_count(), rules.peer_count()];
        [calls[0], calls[1], rooms[0], rooms[1], rooms[2]]
    }
}

fn outline(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(line).collect()
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::OpenRoom(_) => "open room".to_owned(),
        Effect::CloseRoom(_) => "close room".to_owned(),
        Effect::ClosePeer { .. } => "close peer".to_owned(),
        Effect::Negotiate(offers) => {
            let both_ways = |one: &super::super::Negotiation| matches!(one.uses[..], [Use::Publish(_), Use::Watch(_)]);
            assert!(offers.iter().all(both_ways));
            let sessions: Vec<_> = offers.iter().map(|one| one.session.to_string()).collect();
            format!("answer {}", sessions.join(", "))
        }
        Effect::Dismiss { session, .. } => format!("dismiss {session}"),
        Effect::Push(notice) => match &notice.event {
            CallEvent::Incoming { from, to, .. } => format!("push: {from} calls {to}"),
            CallEvent::Over(over) => format!("push: ringing with {} over, {:?}", over.other, over.reason),
            other => panic!("no news for a push target: {other:?}"),
        },
        Effect::Send { session, event } => match event {
            Event::Call(CallEvent::Incoming { from, to, .. }) => format!("send {session}: {from} calls {to}"),
            Event::Call(CallEvent::Accepted { by, room, .. }) => format!("send {session}: {by} accepts for {room}"),
            Event::Call(CallEvent::CalleeOut { callee, reason, .. }) => {
                format!("send {session}: without {callee}, {reason:?}")
            }
            Event::Call(CallEvent::Over(over)) => {
                let what = if over.accepted { "call" } else { "ringing" };
                format!("send {session}: {what} with {} over, {:?}", over.other, over.reason)
            }
            other => panic!("not about a call: {other:?}"),
        },
        other => panic!("not about a call: {other:?}"),
    }
}

/// Anna (1) and Ben (2), who take their addresses over.
fn two() -> Exchange {
    let mut exchange = Exchange::new(Limits::default());
    exchange.register(1, name("anna"), Newcomer::Replaces);
    exchange.register(2, name("ben"), Newcomer::Replaces);
    exchange
}

fn two_in_a_call() -> Exchange {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    exchange.accept(2, name("anna")).unwrap();
    exchange
}

/// Devices of 11 (1) and 22 (2), whose calls outlive their connections.
fn two_devices() -> Exchange {
    let mut exchange = Exchange::new(Limits::default());
    exchange.register(1, device("11"), Newcomer::Inherits);
    exchange.register(2, device("22"), Newcomer::Inherits);
    exchange
}

#[test]
fn a_call_rings_is_answered_on_both_sides_the_callees_first_and_ends_with_a_hang_up() {
    let mut exchange = two();
    assert_eq!(exchange.call(1, "ben").unwrap(), ["send 2: anna calls ben"]);
    let accepted = exchange.accept(2, name("anna")).unwrap();
    assert_eq!(accepted, ["open room", "answer 2, 1"]);
    assert_eq!(exchange.counts(), [1, 2, 1, 2, 2]);
    let over = "send 2: call with anna over, HungUp";
    assert_eq!(
        exchange.hang_up(1).unwrap(),
        ["close peer", "close peer", "close room", over]
    );
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);
    assert_eq!(exchange.hang_up(2), Err(Refusal::NoSuchCall));
}

#[test]
fn a_user_with_several_sessions_rings_on_all_of_them_until_one_answers() {
    let mut exchange = two();
    for session in [3, 4] {
        exchange.register(session, name("carl"), Newcomer::Joins);
    }
    let rings = ["send 3: anna calls carl", "send 4: anna calls carl"];
    assert_eq!(exchange.call(1, "carl").unwrap(), rings);
    let late = exchange.register(5, name("carl"), Newcomer::Joins);
    assert_eq!(late, ["send 5: anna calls carl"], "whoever comes while it rings");

    let elsewhere = |session| format!("send {session}: ringing with anna over, AnsweredElsewhere");
    let expected = [&elsewhere(3), &elsewhere(5), "open room", "answer 4, 1"];
    assert_eq!(exchange.accept(4, name("anna")).unwrap(), expected);
    assert_eq!(exchange.accept(3, name("anna")), Err(Refusal::NoSuchCall));
    assert_eq!(exchange.hang_up(3), Err(Refusal::NoSuchCall), "not in this call");
    assert_eq!(exchange.leave(5), [""; 0]);
    let ended = exchange.leave(4);
    assert_eq!(ended[3..], ["send 1: call with carl over, Lost"]);
}

#[test]
fn a_refusal_anywhere_ends_the_ringing_everywhere_and_says_why() {
    let mut exchange = two();
    for session in [3, 4] {
        exchange.register(session, name("carl"), Newcomer::Joins);
    }
    exchange.call(1, "carl").unwrap();
    let why = "ringing with carl over, Declined(Busy)";
    let expected = [
        format!("send 1: {why}"),
        "send 4: ringing with anna over, Declined(Busy)".to_owned(),
    ];
    assert_eq!(exchange.decline(3, name("anna"), Decline::Busy).unwrap(), expected);
    assert_eq!(exchange.counts()[0], 0);
    let again = exchange.decline(3, name("anna"), Decline::Busy);
    assert_eq!(again, Err(Refusal::NoSuchCall));
}

#[test]
fn ringing_ends_by_itself_after_its_time_and_not_before() {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    assert_eq!(exchange.pass(59), [""; 0]);
    let expected = [
        "send 1: ringing with ben over, TimedOut",
        "send 2: ringing with anna over, TimedOut",
    ];
    assert_eq!(exchange.pass(1), expected);
    assert_eq!(exchange.rules.poll_timeout(), None);
    assert_eq!(exchange.accept(2, name("anna")), Err(Refusal::NoSuchCall));

    let mut exchange = two_in_a_call();
    assert_eq!(exchange.pass(3_600), [""; 0], "a call may last");
}

#[test]
fn who_gives_up_or_vanishes_while_it_rings_stops_the_ringing() {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    let given_up = exchange.hang_up(1).unwrap();
    assert_eq!(given_up, ["send 2: ringing with anna over, GivenUp"]);

    exchange.call(1, "ben").unwrap();
    assert_eq!(exchange.leave(1), ["send 2: ringing with anna over, Lost"]);

    exchange.register(1, name("anna"), Newcomer::Replaces);
    exchange.call(1, "ben").unwrap();
    assert_eq!(exchange.leave(2), ["send 1: ringing with ben over, Lost"]);
    assert_eq!(exchange.counts(), [0, 1, 0, 0, 0]);
}

#[test]
fn a_callee_who_hangs_up_what_only_rings_declines_it() {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    let declined = exchange.hang_up(2).unwrap();
    assert_eq!(declined, ["send 1: ringing with ben over, Declined(Unwilling)"]);
}

#[test]
fn a_sudden_loss_of_session_or_media_ends_a_call_for_the_other_side() {
    let mut exchange = two_in_a_call();
    let lost = exchange.leave(2);
    let expected = [
        "close peer",
        "close peer",
        "close room",
        "send 1: call with ben over, Lost",
    ];
    assert_eq!(lost, expected);

    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    let command = Command::Call(answer_to(name("anna"), CallAnswer::Accept(Some(offer()))));
    let effects = exchange.rules.handle(exchange.now, SessionId(2), command).unwrap();
    let Some(Effect::Negotiate(offers)) = effects.last() else {
        panic!("two offers are to be answered")
    };
    let ended = outline(&exchange.rules.peer_lost(exchange.now, offers[0].peer, false));
    let expected = [
        "close peer",
        "close room",
        "send 1: call with ben over, Lost",
        "send 2: call with anna over, Lost",
    ];
    assert_eq!(ended, expected);
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);
}

#[test]
fn media_that_cannot_be_set_up_ends_the_call_on_both_sides() {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    let command = Command::Call(answer_to(name("anna"), CallAnswer::Accept(Some(offer()))));
    let effects = exchange.rules.handle(exchange.now, SessionId(2), command).unwrap();
    let Some(Effect::Negotiate(offers)) = effects.last() else {
        panic!("two offers are to be answered")
    };
    let failed = outline(&exchange.rules.offer_failed(exchange.now, offers[1].peer));
    let sent = [
        "send 1: call with ben over, Failed",
        "send 2: call with anna over, Failed",
    ];
    assert_eq!(failed[2..], sent);

    let limits = Limits {
        rooms: 0,
        ..Limits::default()
    };
    let mut exchange = Exchange::new(limits);
    exchange.register(1, name("anna"), Newcomer::Replaces);
    exchange.register(2, name("ben"), Newcomer::Replaces);
    exchange.call(1, "ben").unwrap();
    assert_eq!(exchange.accept(2, name("anna")).unwrap(), sent);
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);
}

#[test]
fn expected_refusals_change_nothing() {
    let mut exchange = two();
    assert_eq!(exchange.call(3, "ben"), Err(Refusal::NotRegistered));
    assert_eq!(exchange.call(1, "anna"), Err(Refusal::CallsItself));
    assert_eq!(exchange.call(1, "carl"), Err(Refusal::NotReachable));
    assert_eq!(exchange.accept(2, name("anna")), Err(Refusal::NoSuchCall));
    exchange.call(1, "ben").unwrap();
    exchange.register(3, name("carl"), Newcomer::Replaces);
    assert_eq!(exchange.accept(3, name("anna")), Err(Refusal::NoSuchCall));
    assert_eq!(exchange.accept(1, name("anna")), Err(Refusal::NoSuchCall));
    let without = exchange.send(2, answer_to(name("anna"), CallAnswer::Accept(None)));
    assert_eq!(without, Err(Refusal::BadOffer(None)), "and it goes on ringing");
    exchange.accept(2, name("anna")).unwrap();
    assert_eq!(exchange.accept(2, name("anna")), Err(Refusal::NoSuchCall));
    assert_eq!(exchange.call(1, "carl"), Err(Refusal::InCall));
    assert_eq!(exchange.hang_up(3), Err(Refusal::NoSuchCall));
    let with = Some(name("ben"));
    assert_eq!(
        exchange.send(3, CallCommand::HangUp { with, room: None }),
        Err(Refusal::NoSuchCall)
    );
    let leave = exchange.rules.handle(exchange.now, SessionId(1), Command::Leave);
    assert_eq!(leave, Err(Refusal::InCall), "the room of a call is the call's");
    assert_eq!(exchange.counts(), [1, 3, 1, 2, 2]);
}

#[test]
fn a_second_call_gives_up_the_first_and_may_go_to_the_same_person() {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    exchange.register(3, name("carl"), Newcomer::Replaces);
    let expected = ["send 2: ringing with anna over, GivenUp", "send 3: anna calls carl"];
    assert_eq!(exchange.call(1, "carl").unwrap(), expected);
    let expected = ["send 3: ringing with anna over, GivenUp", "send 3: anna calls carl"];
    assert_eq!(exchange.call(1, "carl").unwrap(), expected);

    let mut exchange = two_devices();
    exchange.dial(1, "22").unwrap();
    assert!(
        exchange.dial(1, "22").is_ok(),
        "not busy by the call that it takes the place of"
    );
}

#[test]
fn two_who_call_one_another_get_one_call_and_no_news_of_the_other() {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    exchange.call(2, "anna").unwrap();
    assert_eq!(exchange.accept(1, name("ben")).unwrap(), ["open room", "answer 1, 2"]);
    assert_eq!(exchange.counts()[0], 1);
}

#[test]
fn a_newer_session_takes_the_place_of_the_older_whose_call_is_over_and_what_rings_goes_on() {
    let mut exchange = two_in_a_call();
    let expected = [
        "close peer",
        "close peer",
        "close room",
        "send 1: call with ben over, Lost",
        "send 2: call with anna over, Lost",
        "dismiss 2",
    ];
    assert_eq!(exchange.register(3, name("ben"), Newcomer::Replaces), expected);
    assert_eq!(exchange.leave(2), [""; 0]);

    exchange.call(1, "ben").unwrap();
    let expected = ["dismiss 3", "send 4: anna calls ben"];
    assert_eq!(exchange.register(4, name("ben"), Newcomer::Replaces), expected);
    assert!(exchange.accept(4, name("anna")).is_ok());
    assert_eq!(
        exchange.register(4, name("ben"), Newcomer::Replaces),
        [""; 0],
        "it is there"
    );
    assert_eq!(exchange.counts(), [1, 2, 1, 2, 2]);
}

#[test]
fn a_session_that_registers_elsewhere_leaves_where_it_was() {
    let mut exchange = two_in_a_call();
    let moved = exchange.register(2, name("bert"), Newcomer::Replaces);
    assert_eq!(moved[3], "send 1: call with ben over, Lost");
    assert_eq!(exchange.call(1, "ben"), Err(Refusal::NotReachable));
    assert!(exchange.call(1, "bert").is_ok());
}

#[test]
fn a_device_call_goes_on_with_the_connection_that_replaces_one() {
    let mut exchange = two_devices();
    exchange.dial(1, "22").unwrap();
    let again = exchange.register(3, device("22"), Newcomer::Inherits);
    assert_eq!(again, ["dismiss 2", "send 3: 11/d calls 22/d"]);
    exchange.accept(3, device("11")).unwrap();
    assert_eq!(exchange.register(4, device("22"), Newcomer::Inherits), ["dismiss 3"]);
    assert_eq!(exchange.register(5, device("11"), Newcomer::Inherits), ["dismiss 1"]);
    let with = Some(device("22"));
    let ended = exchange.send(5, CallCommand::HangUp { with, room: None }).unwrap();
    assert_eq!(ended, ["send 4: call with 11/d over, HungUp"]);
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);
}

#[test]
fn a_device_that_vanishes_has_a_moment_to_come_back() {
    let mut exchange = two_devices();
    exchange.dial(1, "22").unwrap();
    exchange.accept(2, device("11")).unwrap();
    assert_eq!(exchange.leave(2), [""; 0]);
    assert_eq!(exchange.pass(4), [""; 0]);
    assert_eq!(exchange.register(3, device("22"), Newcomer::Inherits), [""; 0]);
    assert_eq!(exchange.pass(60), [""; 0], "it came in time");
    assert_eq!(exchange.leave(3), [""; 0]);
    assert_eq!(exchange.pass(5), ["send 1: call with 22/d over, Lost"]);

    exchange.register(3, device("22"), Newcomer::Inherits);
    exchange.dial(1, "22").unwrap();
    assert_eq!(exchange.leave(3), [""; 0], "while it rings as well");
    let rings = exchange.register(4, device("22"), Newcomer::Inherits);
    assert_eq!(rings, ["send 4: 11/d calls 22/d"]);
    assert_eq!(exchange.leave(1), [""; 0]);
    assert_eq!(exchange.leave(4), [""; 0]);
    exchange.register(5, device("22"), Newcomer::Inherits);
    assert_eq!(
        exchange.pass(5),
        ["send 5: ringing with 11/d over, Lost"],
        "both must come back"
    );
    assert_eq!(exchange.counts(), [0, 1, 0, 0, 0]);
}

#[test]
fn a_call_to_a_device_whose_caller_is_away_cannot_be_accepted() {
    let mut exchange = two_devices();
    exchange.dial(1, "22").unwrap();
    exchange.leave(1);
    let over = "send 2: ringing with 11/d over, Lost";
    assert_eq!(exchange.accept(2, device("11")).unwrap(), [over]);
}

#[test]
fn names_and_devices_do_not_mix() {
    let mut exchange = Exchange::new(Limits::default());
    exchange.register(1, device("11"), Newcomer::Inherits);
    assert_eq!(exchange.register(2, name("11/d"), Newcomer::Replaces), [""; 0]);
    assert!(exchange.dial(1, "11/d").is_err());
}
