//! Who is at which address, who gives way to whom, and how much there may be.

use super::*;
use crate::domain::some_instant as now;

const RINGS: Abilities = Abilities {
    rings_carried: true,
    ..Abilities::NONE
};
const MESSAGES: Abilities = Abilities {
    messages: true,
    ..Abilities::NONE
};

fn anna(abilities: Abilities, newcomer: Newcomer, claim: Claim) -> Registration {
    Registration {
        address: Address::Name("anna".into()),
        newcomer,
        claim,
        abilities,
    }
}

fn add(register: &mut Register, session: u64, registration: Registration) -> Result<Vec<SessionId>, Refusal> {
    let older = register.admit(&registration)?;
    register.add(SessionId(session), registration);
    for older in &older {
        register.remove(*older);
    }
    Ok(older)
}

fn targets(texts: &[&str]) -> Vec<PushTarget> {
    texts.iter().copied().map(PushTarget::from).collect()
}

fn address(number: u8) -> ClientAddress {
    ClientAddress::from_record(&format!("192.0.2.{number}"))
}

#[test]
fn sessions_that_can_be_sent_different_things_do_not_concern_each_other() {
    use Claim::{Proven, Unproven};
    use Newcomer::{Joins, Replaces};
    let mut register = Register::new(&Limits::default());
    assert_eq!(add(&mut register, 1, anna(MESSAGES, Joins, Proven)), Ok(vec![]));
    assert_eq!(add(&mut register, 2, anna(RINGS, Replaces, Unproven)), Ok(vec![]));
    assert_eq!(
        add(&mut register, 3, anna(RINGS, Replaces, Unproven)),
        Ok(vec![SessionId(2)])
    );
    let (name, user) = (Address::Name("anna".into()), "anna".into());
    assert_eq!(register.ringing_sessions_at(&name, Ring::Carried), [SessionId(3)]);
    assert_eq!(register.ringing_sessions_at(&name, Ring::Elsewhere), []);
    assert_eq!(register.messaged(&user), [SessionId(1)]);
    assert_eq!(register.ringing_session_count(), 1);
    assert!(register.remove(SessionId(3)).is_some_and(|left| !left.was_last));
    assert!(register.remove(SessionId(1)).is_some_and(|left| left.was_last));
    assert!(register.entries.is_empty() && register.addresses.is_empty());
}

#[test]
fn nobody_asks_in_the_name_of_somebody_who_has_proven_that_it_is_theirs() {
    use Claim::{Proven, Unproven};
    use Newcomer::Joins;
    let mut register = Register::new(&Limits::default());
    let asks = |claim| anna(Abilities::NONE, Joins, claim);
    assert_eq!(add(&mut register, 1, asks(Unproven)), Ok(vec![]));
    assert_eq!(add(&mut register, 2, anna(MESSAGES, Joins, Proven)), Ok(vec![]));
    assert_eq!(add(&mut register, 3, asks(Unproven)), Err(Refusal::NameTaken));
    assert_eq!(add(&mut register, 3, asks(Proven)), Ok(vec![]));
    assert_eq!(register.ringing_session_count(), 0);
}

#[test]
fn somebody_is_reached_by_push_who_has_no_session_until_they_want_it_no_longer() {
    let mut register = Register::new(&Limits::default());
    let here = ClientAddress::THIS_MACHINE;
    let set =
        |register: &mut Register, texts: &[&str]| register.set_push_targets(now(), SessionId(1), here, targets(texts));
    assert_eq!(set(&mut register, &["one"]), Err(Refusal::NotRegistered));
    let asks = || anna(Abilities::NONE, Newcomer::Joins, Claim::Unproven);
    add(&mut register, 1, asks()).unwrap();
    set(&mut register, &["one", "two"]).unwrap();
    assert!(register.remove(SessionId(1)).is_some_and(|left| left.was_last));
    let name = Address::Name("anna".into());
    assert_eq!(register.push_targets(&name), targets(&["one", "two"]));

    add(&mut register, 1, asks()).unwrap();
    set(&mut register, &["three"]).unwrap();
    assert_eq!(register.push_targets(&name), targets(&["three"]));
    assert_eq!(register.targets.taken(), 1);
    set(&mut register, &[]).unwrap();
    register.remove(SessionId(1));
    assert_eq!(register.push_targets(&name), []);
    assert_eq!(register.targets.taken(), 0);
    assert!(register.entries.is_empty());
}

#[test]
fn a_push_target_that_is_gone_is_forgotten_and_gives_its_place_back() {
    let mut register = Register::new(&Limits::default());
    let here = ClientAddress::THIS_MACHINE;
    add(
        &mut register,
        1,
        anna(Abilities::NONE, Newcomer::Joins, Claim::Unproven),
    )
    .unwrap();
    register
        .set_push_targets(now(), SessionId(1), here, targets(&["one", "two"]))
        .unwrap();
    register.remove(SessionId(1));
    let name = Address::Name("anna".into());
    let ben = Address::Name("ben".into());
    for (address, target, left) in [
        (&ben, "one", 2),
        (&name, "three", 2),
        (&name, "one", 1),
        (&name, "one", 1),
    ] {
        register.forget_push_target(address, &target.into());
        assert_eq!(register.targets.taken(), left, "{address} {target}");
    }
    assert_eq!(register.push_targets(&name), targets(&["two"]));
    register.forget_push_target(&name, &"two".into());
    assert_eq!(register.targets.taken(), 0);
    assert!(register.entries.is_empty() && register.poll_timeout().is_none());
}

#[test]
fn push_targets_are_bounded_and_not_taken_from_whoever_has_proven_theirs() {
    let mut register = Register::new(&Limits {
        push_targets: 100,
        ..Limits::default()
    });
    let mut set = |name: String, claim, client, texts: &[&str]| {
        let registration = Registration {
            address: Address::Name(name.as_str().into()),
            newcomer: Newcomer::Joins,
            claim,
            abilities: Abilities::NONE,
        };
        register.add(SessionId(1), registration);
        let set = register.set_push_targets(now(), SessionId(1), client, targets(texts));
        register.remove(SessionId(1));
        set
    };
    let anna = || "anna".to_owned();
    let too_many = Err(Refusal::TooManyPushTargets);
    assert_eq!(set(anna(), Claim::Unproven, address(1), &["x"; 17]), too_many);
    let long = "字".repeat(TARGET_CHARACTERS_MAX + 1);
    assert_eq!(set(anna(), Claim::Unproven, address(1), &[&long]), too_many);
    let longest = "字".repeat(TARGET_CHARACTERS_MAX);
    assert_eq!(set("字".to_owned(), Claim::Unproven, address(1), &[&longest]), Ok(()));
    assert_eq!(set("字".to_owned(), Claim::Unproven, address(1), &[]), Ok(()));
    assert_eq!(set(anna(), Claim::Proven, address(1), &["hers"]), Ok(()));
    assert_eq!(
        set(anna(), Claim::Unproven, address(2), &["his"]),
        Err(Refusal::NameTaken)
    );

    let many = (0..100).filter(|number| set(number.to_string(), Claim::Unproven, address(3), &["x"]).is_ok());
    assert_eq!(many.count(), 24, "a quarter of what is free");
    assert_eq!(set("ben".to_owned(), Claim::Unproven, address(2), &["his"]), Ok(()));
    let before = set("ben".to_owned(), Claim::Unproven, address(3), &["x"; 2]);
    assert_eq!(before, too_many);
    assert_eq!(
        register.push_targets(&Address::Name("ben".into())),
        targets(&["his"]),
        "as before"
    );
    assert_eq!(register.targets.taken(), 26);
}

#[test]
fn push_targets_that_are_not_set_again_are_forgotten_after_their_time() {
    let limits = Limits::default();
    let (mut register, start, lasts) = (Register::new(&limits), now(), limits.push_targets_last);
    let here = ClientAddress::THIS_MACHINE;
    let name = Address::Name("anna".into());
    let set = |register: &mut Register, now, texts: &[&str]| {
        add(register, 1, anna(Abilities::NONE, Newcomer::Joins, Claim::Unproven)).unwrap();
        register
            .set_push_targets(now, SessionId(1), here, targets(texts))
            .unwrap();
        register.remove(SessionId(1));
    };
    set(&mut register, start, &["one"]);
    assert_eq!(register.poll_timeout(), Some(start + lasts));
    set(&mut register, start + lasts / 2, &["one", "two"]);
    register.handle_timeout(start + lasts);
    assert_eq!(
        register.push_targets(&name),
        targets(&["one", "two"]),
        "they were set again"
    );
    assert_eq!(register.poll_timeout(), Some(start + lasts / 2 + lasts));
    register.handle_timeout(start + lasts / 2 + lasts);
    assert_eq!(register.push_targets(&name), []);
    assert_eq!(register.targets.taken(), 0);
    assert!(register.entries.is_empty());
    assert_eq!(register.poll_timeout(), None);

    set(&mut register, start, &["one"]);
    set(&mut register, start, &["two"]);
    assert_eq!(
        register.poll_timeout(),
        Some(start + lasts),
        "set again at the same moment"
    );
    set(&mut register, start, &[]);
    assert_eq!(register.poll_timeout(), None, "nothing is left to be forgotten");
}

#[test]
fn push_targets_of_who_has_not_proven_the_name_are_forgotten_when_somebody_comes_who_has() {
    use Claim::{Proven, Unproven};
    let asks = |claim| anna(Abilities::NONE, Newcomer::Joins, claim);
    let name = Address::Name("anna".into());
    for proves_later in [false, true] {
        let mut register = Register::new(&Limits::default());
        let set = |register: &mut Register, session, text| {
            register.set_push_targets(now(), SessionId(session), address(1), targets(&[text]))
        };
        add(&mut register, 1, asks(Unproven)).unwrap();
        set(&mut register, 1, "his").unwrap();
        register.remove(SessionId(1));
        add(&mut register, 2, asks(Unproven)).unwrap();
        assert_eq!(
            register.push_targets(&name),
            targets(&["his"]),
            "nobody has proven the name"
        );
        if proves_later {
            register.prove(SessionId(2));
        } else {
            add(&mut register, 3, asks(Proven)).unwrap();
        }
        assert_eq!(register.push_targets(&name), []);
        assert_eq!(register.targets.taken(), 0);
        assert_eq!(register.poll_timeout(), None);
        assert_eq!(add(&mut register, 4, asks(Unproven)), Err(Refusal::NameTaken));

        let proven = if proves_later { 2 } else { 3 };
        set(&mut register, proven, "hers").unwrap();
        add(&mut register, 5, asks(Proven)).unwrap();
        assert_eq!(
            register.push_targets(&name),
            targets(&["hers"]),
            "she has proven the name"
        );
        assert_eq!(register.targets.taken(), 1);
        for session in [2, 3, 5] {
            register.remove(SessionId(session));
        }
        register.handle_timeout(now() + Limits::default().push_targets_last);
        assert!(register.entries.is_empty() && register.expiries.is_empty());
    }
}

#[test]
fn nobody_sets_push_targets_beside_a_session_that_has_proven_that_the_name_is_theirs() {
    let mut register = Register::new(&Limits::default());
    let here = ClientAddress::THIS_MACHINE;
    add(&mut register, 1, anna(MESSAGES, Newcomer::Joins, Claim::Unproven)).unwrap();
    add(&mut register, 2, anna(MESSAGES, Newcomer::Joins, Claim::Proven)).unwrap();
    let mut set = |session, text| register.set_push_targets(now(), SessionId(session), here, targets(&[text]));
    assert_eq!(set(1, "his"), Err(Refusal::NameTaken));
    assert_eq!(set(2, "hers"), Ok(()));
}
