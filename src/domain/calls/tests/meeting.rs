//! Calls whose parties meet in a room of their own: which call an answer means, and what happens to a call when its parties
//! leave the room.

use super::*;
use crate::domain::tests::joining;
use crate::domain::{RoomKind, Stay};

impl Exchange {
    fn answer_in(&mut self, session: u64, from: &str, room: &str, answer: CallAnswer) -> Result<Vec<String>, Refusal> {
        let (from, room) = (device(from), Some(RoomName::from(room)));
        self.send(session, CallCommand::Answer { from, room, answer })
    }

    /// Somebody's page enters a room of two.
    fn enter(&mut self, session: u64, room: &str) {
        let name = session.to_string();
        let join = joining((RoomKind::Pair, room), &name, Claim::Unproven, Stay::default());
        self.rules.handle(self.now, SessionId(session), join).unwrap();
    }

    /// The page of a session is closed.
    fn close(&mut self, session: u64) {
        self.rules.leave(self.now, SessionId(session));
    }
}

fn dial_in(exchange: &mut Exchange, session: u64, to: &str, room: &str) {
    let (to, media) = (vec![device(to)], CallMedia::Elsewhere(room.into()));
    let when_busy = WhenBusy::Refuse;
    exchange.send(session, invite(to, media, when_busy)).unwrap();
}

/// 11 (1) and 22 (2), who have agreed to meet, and whose pages (11) and (22) are there.
fn two_who_meet() -> Exchange {
    let mut exchange = two_devices();
    exchange.dial(1, "22").unwrap();
    exchange.accept(2, device("11")).unwrap();
    exchange.enter(22, "meeting");
    exchange.enter(11, "meeting");
    exchange
}

const BOTH_SENT: [&str; 2] = [
    "send 1: call with 22/d over, RoomLeft",
    "send 2: call with 11/d over, RoomLeft",
];

#[test]
fn a_device_call_needs_no_media_here_and_the_caller_is_sent_where_to_meet() {
    let mut exchange = two_devices();
    assert_eq!(exchange.dial(1, "22").unwrap(), ["send 2: 11/d calls 22/d"]);
    assert_eq!(exchange.dial(2, "11"), Err(Refusal::Busy));
    let accepted = exchange.accept(2, device("11")).unwrap();
    assert_eq!(accepted, ["send 1: 22/d accepts for meeting"]);
    assert_eq!(exchange.counts(), [1, 2, 0, 0, 0]);
    let with = Some(device("11"));
    let ended = exchange.send(2, CallCommand::HangUp { with, room: None }).unwrap();
    assert_eq!(ended, ["send 1: call with 22/d over, HungUp"]);
}

#[test]
fn a_late_answer_to_an_older_call_neither_accepts_nor_declines_the_new_one() {
    let mut exchange = two_devices();
    dial_in(&mut exchange, 1, "22", "old");
    exchange.hang_up(1).unwrap();
    dial_in(&mut exchange, 1, "22", "new");
    for answer in [CallAnswer::Accept(None), CallAnswer::Decline(Decline::Unwilling)] {
        assert_eq!(exchange.answer_in(2, "11", "old", answer), Err(Refusal::NoSuchCall));
    }
    let accepted = exchange.answer_in(2, "11", "new", CallAnswer::Accept(None)).unwrap();
    assert_eq!(accepted, ["send 1: 22/d accepts for new"]);
    let again = exchange.answer_in(2, "11", "new", CallAnswer::Accept(None));
    assert_eq!(again, Err(Refusal::NoSuchCall));
}

fn hang_up_in(exchange: &mut Exchange, session: u64, with: &str, room: &str) -> Result<Vec<String>, Refusal> {
    let (with, room) = (Some(device(with)), Some(RoomName::from(room)));
    exchange.send(session, CallCommand::HangUp { with, room })
}

#[test]
fn a_late_hang_up_of_an_older_call_does_not_end_the_new_one() {
    // The earlier call was given up, declined, or hung up; the late message comes from either side, while the new call rings or
    // once it is accepted.
    for ending in 0..3 {
        for (late, with) in [(1, "22"), (2, "11")] {
            for is_accepted in [false, true] {
                let mut exchange = two_devices();
                dial_in(&mut exchange, 1, "22", "old");
                match ending {
                    0 => exchange.hang_up(1),
                    1 => exchange.decline(2, device("11"), Decline::Unwilling),
                    _ => exchange
                        .accept(2, device("11"))
                        .and_then(|_| hang_up_in(&mut exchange, 1, "22", "old")),
                }
                .unwrap();
                dial_in(&mut exchange, 1, "22", "new");
                if is_accepted {
                    exchange.accept(2, device("11")).unwrap();
                }
                let refused = hang_up_in(&mut exchange, late, with, "old");
                assert_eq!(refused, Err(Refusal::NoSuchCall));
                assert_eq!(exchange.counts()[0], 1);
                assert!(hang_up_in(&mut exchange, late, with, "new").is_ok());
                assert_eq!(exchange.counts()[0], 0);
            }
        }
    }
}

#[test]
fn a_hang_up_that_names_any_other_room_or_none_ends_the_call() {
    let again = || {
        let mut exchange = two_devices();
        dial_in(&mut exchange, 1, "22", "old");
        exchange.hang_up(1).unwrap();
        exchange
    };
    for room in [Some("new"), Some("of nobody"), None] {
        let mut exchange = again();
        dial_in(&mut exchange, 1, "22", "new");
        let (with, room) = (Some(device("11")), room.map(RoomName::from));
        assert!(exchange.send(2, CallCommand::HangUp { with, room }).is_ok());
    }
    // A new call that meets in the same room.
    let mut exchange = again();
    dial_in(&mut exchange, 1, "22", "old");
    assert!(hang_up_in(&mut exchange, 2, "11", "old").is_ok());
    // The room of a call that ended long ago: no message is on its way for so long.
    let mut exchange = again();
    exchange.pass(30);
    dial_in(&mut exchange, 1, "22", "new");
    assert!(hang_up_in(&mut exchange, 2, "11", "old").is_ok());
    // The room of a call with somebody else.
    let mut exchange = again();
    exchange.register(3, device("33"), Newcomer::Inherits);
    dial_in(&mut exchange, 3, "22", "other");
    assert!(hang_up_in(&mut exchange, 2, "33", "old").is_ok());
}

#[test]
fn an_address_remembers_a_bounded_number_of_ended_calls() {
    let mut exchange = two_devices();
    for number in 0..17 {
        dial_in(&mut exchange, 1, "22", &number.to_string());
        exchange.hang_up(1).unwrap();
    }
    dial_in(&mut exchange, 1, "22", "new");
    assert_eq!(hang_up_in(&mut exchange, 2, "11", "1"), Err(Refusal::NoSuchCall));
    assert_eq!(hang_up_in(&mut exchange, 2, "11", "16"), Err(Refusal::NoSuchCall));
    assert!(hang_up_in(&mut exchange, 2, "11", "0").is_ok());
}

#[test]
fn an_answer_that_names_a_room_does_not_mean_a_call_that_has_none() {
    let mut exchange = two();
    exchange.call(1, "ben").unwrap();
    let (from, room) = (name("anna"), Some(RoomName::from("meeting")));
    let answer = CallAnswer::Accept(Some(offer()));
    let refused = exchange.send(2, CallCommand::Answer { from, room, answer });
    assert_eq!(refused, Err(Refusal::NoSuchCall));
}

#[test]
fn a_call_ends_some_time_after_both_have_left_the_room_and_both_can_be_called_again() {
    let mut exchange = two_who_meet();
    exchange.close(11);
    assert_eq!(exchange.pass(3_600), [""; 0], "while one is there");
    exchange.close(22);
    assert_eq!(exchange.pass(14), [""; 0]);
    assert_eq!(exchange.dial(2, "11"), Err(Refusal::InCall));
    assert_eq!(exchange.pass(1), BOTH_SENT);
    assert_eq!(exchange.rules.poll_timeout(), None);
    assert_eq!(exchange.counts()[0], 0);
    assert!(exchange.dial(2, "11").is_ok());
}

#[test]
fn a_call_goes_on_when_somebody_is_back_in_time() {
    let mut exchange = two_who_meet();
    exchange.close(11);
    exchange.close(22);
    assert_eq!(exchange.pass(14), [""; 0]);
    exchange.enter(33, "another room");
    exchange.enter(23, "meeting");
    assert_eq!(exchange.pass(3_600), [""; 0]);
    exchange.enter(23, "meeting");
    assert_eq!(exchange.pass(3_600), [""; 0], "entering again is not leaving");
    exchange.enter(23, "another place");
    assert_eq!(exchange.pass(15), BOTH_SENT);
}

#[test]
fn a_call_whose_two_meet_in_no_room_of_this_server_lasts_until_somebody_hangs_up() {
    let mut exchange = two_devices();
    exchange.dial(1, "22").unwrap();
    exchange.enter(22, "meeting");
    exchange.close(22);
    assert_eq!(exchange.pass(16), [""; 0], "it rings");
    exchange.accept(2, device("11")).unwrap();
    assert_eq!(exchange.pass(3_600), [""; 0]);
    let with = Some(device("11"));
    let ended = exchange.send(2, CallCommand::HangUp { with, room: None }).unwrap();
    assert_eq!(ended, ["send 1: call with 22/d over, HungUp"]);
    exchange.enter(22, "meeting");
    exchange.close(22);
    assert_eq!(exchange.rules.poll_timeout(), None, "the call is forgotten");
}

/// Clients with pages of their own carry on their talk in this way, and devices leave a call in this way whose pages never
/// opened.
#[test]
fn a_call_whose_room_nobody_has_entered_for_a_minute_keeps_nobody_busy_and_cuts_nobody_off() {
    let mut exchange = two_devices();
    exchange.register(3, device("33"), Newcomer::Inherits);
    exchange.dial(1, "22").unwrap();
    exchange.accept(2, device("11")).unwrap();
    exchange.pass(59);
    for busy in ["11", "22"] {
        assert_eq!(exchange.dial(3, busy), Err(Refusal::Busy));
    }
    assert_eq!(exchange.pass(1), [""; 0], "nobody is cut off");
    assert_eq!(exchange.dial(3, "22").unwrap(), ["send 2: 33/d calls 22/d"]);
    exchange.decline(2, device("33"), Decline::Unwilling).unwrap();
    assert_eq!(exchange.counts()[0], 1, "who refuses another call stays in theirs");
    exchange.dial(3, "22").unwrap();
    assert_eq!(
        exchange.accept(2, device("33")).unwrap(),
        [
            "send 1: call with 22/d over, HungUp",
            "send 3: 22/d accepts for meeting"
        ]
    );
}

#[test]
fn a_call_whose_room_is_entered_late_keeps_its_two_busy_again() {
    let mut exchange = two_devices();
    exchange.register(3, device("33"), Newcomer::Inherits);
    exchange.dial(1, "22").unwrap();
    exchange.accept(2, device("11")).unwrap();
    exchange.pass(600);
    exchange.enter(22, "meeting");
    assert_eq!(exchange.dial(3, "11"), Err(Refusal::Busy));
}

#[test]
fn who_waits_in_the_room_since_before_the_call_was_accepted_counts_and_who_has_left_does_not() {
    for (stays, expected) in [(true, Err(Refusal::Busy)), (false, Ok(()))] {
        let mut exchange = two_devices();
        exchange.register(3, device("33"), Newcomer::Inherits);
        exchange.dial(1, "22").unwrap();
        exchange.enter(22, "meeting");
        if !stays {
            exchange.close(22);
        }
        exchange.accept(2, device("11")).unwrap();
        exchange.pass(60);
        assert_eq!(exchange.dial(3, "11").map(drop), expected);
    }
}

#[test]
fn a_call_whose_device_is_lost_ends_once() {
    let mut exchange = two_who_meet();
    exchange.close(11);
    exchange.close(22);
    exchange.leave(2);
    assert_eq!(exchange.pass(5), ["send 1: call with 22/d over, Lost"]);
    assert_eq!(exchange.pass(15), [""; 0]);
}
