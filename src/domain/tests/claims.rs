//! Names that somebody has proven to be theirs, and names without a proof.

use super::*;
use crate::shares::ClientAddress;

fn enter(rules: &mut Rules, session: u64, kind: RoomKind, name: &str, claim: Claim) -> Result<Vec<Effect>, Refusal> {
    let join = joining((kind, "r"), name, claim, Stay::default());
    rules.handle(now(), SessionId(session), join)
}

fn register(rules: &mut Rules, session: u64, address: Address, claim: Claim) -> Result<Vec<Effect>, Refusal> {
    let newcomer = match address {
        Address::Name(_) => Newcomer::Replaces,
        Address::Device { .. } => Newcomer::Inherits,
    };
    let register = Command::Register(Registration {
        address,
        newcomer,
        claim,
        abilities: RINGS,
    });
    rules.handle(now(), SessionId(session), register)
}

#[test]
fn nobody_takes_a_place_in_a_room_from_somebody_who_has_proven_who_they_are() {
    use Claim::{Proven, Unproven};
    for kind in [RoomKind::Group, RoomKind::Pair] {
        let mut rules = Rules::new(Limits::default());
        enter(&mut rules, 1, kind, "anna", Unproven).unwrap();
        let replaced = enter(&mut rules, 2, kind, "anna", Proven).unwrap();
        assert!(outline(&replaced)[0].starts_with("dismiss 1"), "{replaced:?}");
        assert_eq!(enter(&mut rules, 3, kind, "anna", Unproven), Err(Refusal::NameTaken));
        assert!(enter(&mut rules, 3, kind, "ben", Unproven).is_ok());
        assert!(enter(&mut rules, 2, kind, "anna", Unproven).is_ok(), "by herself");
        enter(&mut rules, 2, kind, "anna", Proven).unwrap();
        let reloaded = enter(&mut rules, 4, kind, "anna", Proven).unwrap();
        assert!(outline(&reloaded)[0].starts_with("dismiss 2"), "{reloaded:?}");
        rules.leave(now(), SessionId(4));
        assert!(
            enter(&mut rules, 5, kind, "anna", Unproven).is_ok(),
            "the place is free"
        );
    }
}

#[test]
fn a_reserved_name_is_taken_from_nobody_and_by_nobody_in_whatever_order_they_come() {
    use Claim::{Proven, Reserved, Unproven};
    for turn in [0, 1] {
        let enter = |rules: &mut Rules, session, turn, claim| {
            let join = Command::Join {
                turn: Turn(turn),
                kind: RoomKind::Group,
                room: "r".into(),
                person: person("robot"),
                claim,
                stay: Stay::default(),
                connects: false,
            };
            rules.handle(now(), SessionId(session), join)
        };
        for other in [Unproven, Proven, Reserved] {
            let mut rules = Rules::new(Limits::default());
            enter(&mut rules, 1, turn, Reserved).unwrap();
            assert_eq!(
                enter(&mut rules, 2, 1 - turn, other),
                Err(Refusal::NameTaken),
                "{other:?}"
            );
            assert!(enter(&mut rules, 1, turn, Reserved).is_ok(), "by itself");
            rules.leave(now(), SessionId(1));
            assert!(enter(&mut rules, 2, 1 - turn, other).is_ok(), "the name is free");
            assert_eq!(
                enter(&mut rules, 1, turn, Reserved),
                Err(Refusal::NameTaken),
                "{other:?}"
            );
            assert_eq!(rules.participant_count(), 1);
        }
    }
}

#[test]
fn nobody_takes_the_calls_of_somebody_who_has_proven_who_they_are() {
    use Claim::{Proven, Unproven};
    let anna = || Address::Name("anna".into());
    let mut rules = Rules::new(Limits::default());
    register(&mut rules, 1, anna(), Unproven).unwrap();
    let replaced = register(&mut rules, 2, anna(), Proven).unwrap();
    assert_eq!(outline(&replaced), ["dismiss 1: Replaced"]);
    assert_eq!(register(&mut rules, 3, anna(), Unproven), Err(Refusal::NameTaken));
    assert_eq!(register(&mut rules, 2, anna(), Unproven), Ok(vec![]), "by herself");
    let reloaded = register(&mut rules, 4, anna(), Proven).unwrap();
    assert_eq!(outline(&reloaded), ["dismiss 2: Replaced"]);
    rules.leave(now(), SessionId(4));
    assert!(register(&mut rules, 3, anna(), Unproven).is_ok());
}

#[test]
fn who_proves_their_name_after_they_have_come_is_believed_and_does_not_leave() {
    use Claim::{Proven, Unproven};
    let anna = || Address::Name("anna".into());
    let mut rules = Rules::new(Limits::default());
    register(&mut rules, 1, anna(), Unproven).unwrap();
    assert_eq!(register(&mut rules, 1, anna(), Proven), Ok(vec![]));
    assert_eq!(register(&mut rules, 2, anna(), Unproven), Err(Refusal::NameTaken));
}

#[test]
fn one_client_address_does_not_keep_others_from_asking_in_a_name() {
    use Claim::{Proven, Unproven};
    let asks = |rules: &mut Rules, session: u64, client: ClientAddress, claim| {
        rules.arrive(SessionId(session), client);
        let register = Command::Register(Registration {
            address: Address::Name("anna".into()),
            newcomer: Newcomer::Joins,
            claim,
            abilities: Abilities::NONE,
        });
        rules.handle(now(), SessionId(session), register)
    };
    let [eve, anna] = [1, 2].map(|last| ClientAddress::from_record(&format!("192.0.2.{last}")));
    let mut rules = Rules::new(Limits::default());
    for session in 1..=8 {
        asks(&mut rules, session, eve, Unproven).unwrap();
    }
    assert_eq!(asks(&mut rules, 9, eve, Unproven), Err(Refusal::TooManySessions));
    for session in 10..=17 {
        asks(&mut rules, session, anna, Unproven).unwrap();
    }
    assert_eq!(asks(&mut rules, 18, anna, Unproven), Err(Refusal::TooManySessions));
    let proven = asks(&mut rules, 9, eve, Proven).unwrap();
    assert_eq!(outline(&proven), ["dismiss 1: Replaced"], "a proof finds a place");

    // Where shares are switched off, and from this machine, there is no such bound.
    for (client, address_share_percent) in [(eve, 100), (ClientAddress::THIS_MACHINE, 25)] {
        let mut rules = Rules::new(Limits {
            address_share_percent,
            ..Limits::default()
        });
        let taken = (1..=20).filter(|session| asks(&mut rules, *session, client, Unproven).is_ok());
        assert_eq!(taken.count(), 16);
    }
}

#[test]
fn where_proof_is_required_a_room_of_two_is_for_the_two_of_its_call() {
    let limits = Limits {
        proof_required: true,
        ..Limits::default()
    };
    let mut rules = Rules::new(limits);
    let pair = |rules: &mut Rules, session, claim| enter(rules, session, RoomKind::Pair, &session.to_string(), claim);
    assert_eq!(pair(&mut rules, 9, Claim::Unproven), Err(Refusal::NotProven));
    assert!(pair(&mut rules, 9, Claim::Proven).is_ok());
    rules.leave(now(), SessionId(9));

    let device = |account: &str| Address::Device {
        account: account.into(),
        device: "d".into(),
    };
    register(&mut rules, 1, device("11"), Claim::Proven).unwrap();
    register(&mut rules, 2, device("22"), Claim::Proven).unwrap();
    let invite = CallCommand::Invite {
        to: vec![device("22")],
        media: CallMedia::Elsewhere("r".into()),
        when_busy: WhenBusy::Refuse,
        when_absent: WhenAbsent::LeaveOut,
    };
    rules.handle(now(), SessionId(1), Command::Call(invite)).unwrap();
    for page in [11, 22] {
        assert!(pair(&mut rules, page, Claim::Unproven).is_ok());
    }
    let hang_up = CallCommand::HangUp { with: None, room: None };
    rules.handle(now(), SessionId(1), Command::Call(hang_up)).unwrap();
    rules.leave(now(), SessionId(11));
    assert_eq!(
        pair(&mut rules, 11, Claim::Unproven),
        Err(Refusal::NotProven),
        "the call is over"
    );
}

#[test]
fn a_device_that_answers_somebody_who_is_no_device_meets_them_in_their_group_room_by_the_page_for_two() {
    let limits = Limits {
        proof_required: true,
        ..Limits::default()
    };
    let mut rules = Rules::new(limits);
    let device = Address::Device {
        account: "22".into(),
        device: "d".into(),
    };
    register(&mut rules, 1, Address::Name("anna".into()), Claim::Proven).unwrap();
    register(&mut rules, 2, device.clone(), Claim::Proven).unwrap();
    let invite = CallCommand::Invite {
        to: vec![device],
        media: CallMedia::Elsewhere("r".into()),
        when_busy: WhenBusy::Refuse,
        when_absent: WhenAbsent::LeaveOut,
    };
    rules.handle(now(), SessionId(1), Command::Call(invite)).unwrap();
    enter(&mut rules, 11, RoomKind::Group, "anna", Claim::Proven).unwrap();
    enter(&mut rules, 12, RoomKind::Pair, "early", Claim::Unproven).unwrap();
    assert_eq!(rules.people_in(&"r".into()), ["anna".into()], "it has not answered");
    let accept = CallCommand::Answer {
        from: Address::Name("anna".into()),
        room: Some("r".into()),
        answer: CallAnswer::Accept(None),
    };
    rules.handle(now(), SessionId(2), Command::Call(accept)).unwrap();
    let met = enter(&mut rules, 22, RoomKind::Pair, "page", Claim::Unproven).unwrap();
    assert!(met.contains(&Effect::Send {
        session: SessionId(22),
        event: Event::Joined {
            others: vec![Arc::new(person("anna"))]
        },
    }));
    assert_eq!(rules.people_in(&"r".into()), ["anna".into(), "page".into()]);
    let hang_up = CallCommand::HangUp { with: None, room: None };
    rules.handle(now(), SessionId(1), Command::Call(hang_up)).unwrap();
    let late = enter(&mut rules, 23, RoomKind::Pair, "late", Claim::Unproven);
    assert_eq!(late, Err(Refusal::NotProven), "the call is over");
}

/// The password of the first join is checked for so long that the other join has come in meanwhile.
#[test]
fn a_join_that_was_received_earlier_does_not_replace_a_later_one_by_taking_longer() {
    use Claim::{Proven, Unproven};
    for (later, earlier, stays) in [
        (Unproven, Unproven, 2),
        (Proven, Proven, 2),
        (Proven, Unproven, 2),
        // In their own order the later join would have been refused.
        (Unproven, Proven, 1),
    ] {
        let mut rules = Rules::new(Limits::default());
        let mut join = |session: u64, claim: Claim| {
            let command = Command::Join {
                turn: Turn(session),
                kind: RoomKind::Group,
                room: "r".into(),
                person: person("anna"),
                claim,
                stay: Stay::default(),
                connects: false,
            };
            rules.handle(now(), SessionId(session), command).unwrap()
        };
        let dismissed = |effects: Vec<Effect>| {
            let sessions = effects.into_iter().filter_map(|effect| match effect {
                Effect::Dismiss { session, reason } => Some((session.0, reason)),
                _ => None,
            });
            sessions.collect::<Vec<_>>()
        };
        assert_eq!(dismissed(join(2, later)), []);
        let leaves = 3 - stays;
        assert_eq!(dismissed(join(1, earlier)), [(leaves, EndReason::Replaced)]);
        assert_eq!(dismissed(join(3, Proven)), [(stays, EndReason::Replaced)]);
    }
}
