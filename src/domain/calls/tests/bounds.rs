//! How much there may be of everything, and how much of it callers of one client address may use.

use super::*;
use crate::shares::ClientAddress;

fn address(number: u8) -> ClientAddress {
    ClientAddress::from_record(&format!("192.0.2.{number}"))
}

/// Registers a session under a name, which has come from a client address.
fn arrive(exchange: &mut Exchange, session: u64, who: &str, client: ClientAddress) {
    exchange.rules.arrive(SessionId(session), client);
    exchange.register(session, name(who), Newcomer::Joins);
}

#[test]
fn one_client_address_does_not_use_up_all_calls() {
    let mut exchange = Exchange::new(Limits {
        calls: 40,
        ..Limits::default()
    });
    for session in 0..40 {
        arrive(&mut exchange, session, &format!("caller {session}"), address(1));
        arrive(&mut exchange, 100 + session, &format!("callee {session}"), address(1));
    }
    let rings = |session: &u64| exchange.call(*session, &format!("callee {session}")).is_ok();
    assert_eq!((0..40).filter(rings).count(), 10, "a quarter");
    arrive(&mut exchange, 200, "anna", address(2));
    assert!(exchange.call(200, "callee 39").is_ok());
    // Calls that are over make room: the share is one of what is free, and Anna has one. A call in the place of another needs
    // no room.
    for session in [0, 1] {
        exchange.rules.leave(exchange.now, SessionId(session));
    }
    assert!(exchange.call(38, "callee 38").is_ok());
    assert!(exchange.call(38, "callee 37").is_ok());
    assert_eq!(exchange.call(36, "callee 36"), Err(Refusal::TooManyCalls));
}

#[test]
fn one_client_address_does_not_keep_somebody_busy_for_everybody_else() {
    let mut exchange = Exchange::new(Limits::default());
    arrive(&mut exchange, 1, "anna", address(2));
    for session in 10..30 {
        arrive(&mut exchange, session, &format!("stranger {session}"), address(1));
    }
    let rings = |session: &u64| exchange.call(*session, "anna").is_ok();
    assert_eq!((10..30).filter(rings).count(), 4);
    arrive(&mut exchange, 2, "friend", address(3));
    assert!(exchange.call(2, "anna").is_ok());
}

#[test]
fn everything_is_bounded() {
    let limits = Limits {
        calls: 3,
        calls_per_address: 2,
        sessions_per_address: 1,
        ..Limits::default()
    };
    let mut exchange = Exchange::new(limits);
    for (session, who) in (1..).zip(["anna", "ben", "carl", "dora", "emma"]) {
        exchange.register(session, name(who), Newcomer::Joins);
    }
    let second = Command::Register(registration(name("anna"), Newcomer::Joins));
    assert_eq!(exchange.command(9, second), Err(Refusal::TooManySessions));
    exchange.call(1, "emma").unwrap();
    exchange.call(2, "emma").unwrap();
    assert_eq!(exchange.call(3, "emma"), Err(Refusal::Busy));
    exchange.call(3, "dora").unwrap();
    assert_eq!(exchange.call(4, "anna"), Err(Refusal::TooManyCalls));
}

#[test]
fn somebody_busy_rings_or_not_as_the_caller_s_family_wants_it() {
    let mut exchange = two_in_a_call();
    exchange.register(3, name("carl"), Newcomer::Replaces);
    assert_eq!(exchange.call(3, "ben").unwrap(), ["send 2: carl calls ben"]);
    let (to, media) = (vec![name("ben")], CallMedia::Carried(offer()));
    let when_busy = WhenBusy::Refuse;
    let refused = exchange.send(3, invite(to, media, when_busy));
    assert_eq!(refused, Err(Refusal::Busy));
    assert_eq!(exchange.counts()[0], 2, "and her ringing goes on");

    let accepted = exchange.accept(2, name("carl")).unwrap();
    let first_over = "send 1: call with ben over, HungUp";
    assert_eq!(accepted[2..], ["close room", first_over, "open room", "answer 2, 3"]);
}
