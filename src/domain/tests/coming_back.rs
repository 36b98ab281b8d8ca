//! People whom a host has muted, and who leave and come back.

use super::meeting::{GUEST, HOST, command, enter, mute, room_of};
use super::*;

fn leave(rules: &mut Rules, session: u64) {
    rules.handle(now(), SessionId(session), Command::Leave).unwrap();
}

#[test]
fn whom_a_host_has_muted_is_muted_again_when_they_come_back_until_everybody_may_speak_or_the_room_is_empty() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST), ("carl", GUEST), ("dora", GUEST)]);
    for name in ["ben", "carl"] {
        command(&mut rules, 1, mute(name, true)).unwrap();
    }
    command(&mut rules, 4, mute("dora", true)).unwrap();
    command(&mut rules, 1, mute("carl", false)).unwrap();
    for session in 2..=4 {
        leave(&mut rules, session);
    }
    let back = |rules: &mut Rules, session, name, stay| enter(rules, session, name, stay).unwrap();
    for (name, expected) in [
        ("ben", "send 1: ben [muted]"),
        ("carl", "send 1: carl []"),
        ("dora", "send 1: dora []"),
    ] {
        let lines = back(&mut rules, 2, name, Stay::default());
        assert!(lines.contains(&expected.to_owned()), "{lines:?}");
        assert_eq!(lines.contains(&"send 2: you are [muted]".to_owned()), name == "ben");
        leave(&mut rules, 2);
    }
    let newer = enter(&mut rules, 5, "ben", GUEST).unwrap();
    assert!(newer.contains(&"send 1: ben [muted]".to_owned()), "{newer:?}");
    let replaced = enter(&mut rules, 6, "ben", GUEST).unwrap();
    assert!(replaced.contains(&"send 1: ben [muted]".to_owned()), "{replaced:?}");
    assert_eq!(command(&mut rules, 6, mute("ben", false)), Err(Refusal::NotAllowed));
    leave(&mut rules, 6);
    let host = back(&mut rules, 2, "ben", HOST);
    assert!(
        host.contains(&"send 1: ben [host]".to_owned()),
        "hosts decide themselves: {host:?}"
    );
    leave(&mut rules, 2);
    command(&mut rules, 1, MeetingCommand::MuteGuests(false)).unwrap();
    let everybody = back(&mut rules, 2, "ben", GUEST);
    assert!(everybody.contains(&"send 1: ben []".to_owned()), "{everybody:?}");
    command(&mut rules, 1, mute("ben", true)).unwrap();
    leave(&mut rules, 2);
    leave(&mut rules, 1);
    room_is_new(&mut rules);
}

fn room_is_new(rules: &mut Rules) {
    enter(rules, 1, "anna", HOST).unwrap();
    let lines = enter(rules, 2, "ben", GUEST).unwrap();
    assert!(lines.contains(&"send 1: ben []".to_owned()), "{lines:?}");
}

/// Otherwise whoever comes and goes often enough while all guests are muted would have those forgotten who were muted alone.
#[test]
fn who_was_muted_with_all_guests_is_not_remembered() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    let camera = MeetingCommand::Mute {
        user: "ben".into(),
        media: MediaKind::Video,
        muted: true,
    };
    command(&mut rules, 1, camera).unwrap();
    leave(&mut rules, 2);
    command(&mut rules, 1, MeetingCommand::MuteGuests(true)).unwrap();
    for number in 0..300 {
        let guest = enter(&mut rules, 3, &format!("guest {number}"), GUEST).unwrap();
        assert!(guest.iter().any(|line| line.ends_with("[muted]")), "{guest:?}");
        leave(&mut rules, 3);
    }
    command(&mut rules, 1, MeetingCommand::MuteGuests(false)).unwrap();
    let lines = enter(&mut rules, 2, "ben", GUEST).unwrap();
    assert!(lines.contains(&"send 1: ben [camera muted]".to_owned()), "{lines:?}");
}
