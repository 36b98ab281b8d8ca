//! Meetings that are locked, or wait for a host, and those who wait at their doors.

use super::meeting::{GUEST, HOST, command, enter, lines, remove, room_of, set_role};
use super::*;

/// A guest who waits for a host.
const WAITS: Stay = Stay {
    without_host: WithoutHost::Wait,
    ..GUEST
};

fn admit(user: &str) -> MeetingCommand {
    MeetingCommand::Admit { user: user.into() }
}

fn proven(rules: &mut Rules, session: u64, name: &str, stay: Stay) -> Result<Vec<String>, Refusal> {
    let command = joining((RoomKind::Group, "r"), name, Claim::Proven, stay);
    Ok(lines(&rules.handle(now(), SessionId(session), command)?))
}

/// Sessions that enter by these effects, in their order.
fn entered(lines: &[String]) -> Vec<&str> {
    let joined = lines.iter().filter_map(|line| line.split_once(": joined"));
    joined.map(|(to, _)| to.trim_start_matches("send ")).collect()
}

#[test]
fn those_who_wait_for_a_host_are_let_in_in_their_order_when_one_comes() {
    let mut rules = Rules::new(Limits::default());
    assert_eq!(enter(&mut rules, 1, "anna", WAITS).unwrap(), ["send 1: wait"]);
    let refuses = Stay {
        without_host: WithoutHost::Refuse,
        ..Stay::default()
    };
    assert_eq!(enter(&mut rules, 2, "ben", refuses), Err(Refusal::HostAbsent));
    assert_eq!(
        (rules.room_count(), rules.participant_count(), rules.waiting_count()),
        (0, 0, 1)
    );
    // A guest who need not wait is no host.
    enter(&mut rules, 3, "carl", GUEST).unwrap();
    let second = enter(&mut rules, 4, "dora", WAITS).unwrap();
    assert_eq!(second, ["send 4: wait", "send 3: dora [waits]"]);
    let host = enter(&mut rules, 5, "emil", HOST).unwrap();
    let expected = [
        "send 3: emil arrived",
        "send 5: joined 1",
        "send 3: emil [host]",
        "send 5: meeting [started]",
        "send 5: carl []",
        "send 5: emil [host]",
        "send 5: anna [waits]",
        "send 5: dora [waits]",
        "send 3: meeting [started]",
        "send 3: anna arrived",
        "send 5: anna arrived",
        "send 1: joined 2",
        "send 3,5: anna []",
    ];
    assert_eq!(host[..expected.len()], expected);
    assert_eq!(entered(&host), ["5", "1", "4"]);
    assert_eq!(rules.waiting_count(), 0);
    assert_eq!(entered(&enter(&mut rules, 2, "ben", refuses).unwrap()), ["2"]);
}

#[test]
fn a_meeting_goes_on_without_a_host_only_if_one_has_said_so() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    rules.leave(now(), SessionId(1));
    assert_eq!(enter(&mut rules, 3, "carl", WAITS).unwrap()[0], "send 3: wait");
    let again = enter(&mut rules, 4, "anna", HOST).unwrap();
    assert_eq!(entered(&again), ["4", "3"]);
    assert_eq!(
        command(&mut rules, 4, MeetingCommand::Start).unwrap(),
        [""; 0],
        "it has"
    );
    rules.leave(now(), SessionId(4));
    assert_eq!(entered(&enter(&mut rules, 5, "dora", WAITS).unwrap()), ["5"]);
    for session in [2, 3, 5] {
        rules.leave(now(), SessionId(session));
    }
    let anew = enter(&mut rules, 6, "emil", WAITS).unwrap();
    assert_eq!(anew, ["send 6: wait"], "another evening is another meeting");
}

#[test]
fn whoever_becomes_a_host_lets_in_those_who_wait() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    enter(&mut rules, 3, "carl", WAITS).unwrap();
    command(&mut rules, 1, set_role("anna", Role::Guest)).unwrap();
    assert_eq!(
        command(&mut rules, 1, MeetingCommand::Lock(false)),
        Err(Refusal::NotAllowed)
    );
    rules.leave(now(), SessionId(2));
    assert_eq!(rules.waiting_count(), 1);
    let host = enter(&mut rules, 4, "dora", HOST).unwrap();
    assert_eq!(entered(&host), ["4"], "it is still locked");
    assert_eq!(
        entered(&command(&mut rules, 4, MeetingCommand::Lock(false)).unwrap()),
        ["3"]
    );
}

#[test]
fn a_locked_meeting_lets_in_hosts_and_whoever_is_there_already() {
    let mut rules = room_of(&[("anna", HOST), ("ben", Stay::default())]);
    proven(&mut rules, 3, "carl", Stay::default()).unwrap();
    let locked = command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    assert_eq!(locked, ["send 1: meeting [locked, started]"]);
    assert_eq!(command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap(), [""; 0]);
    assert_eq!(enter(&mut rules, 4, "dora", Stay::default()), Err(Refusal::Locked));
    assert_eq!(
        enter(&mut rules, 5, "ben", Stay::default()),
        Err(Refusal::Locked),
        "anybody can say it"
    );
    assert_eq!(enter(&mut rules, 4, "nobody", Stay::UNSEEN), Err(Refusal::Locked));
    let waits = enter(&mut rules, 6, "emil", GUEST).unwrap();
    assert_eq!(waits, ["send 6: wait", "send 1: emil [waits]"]);
    assert_eq!(
        entered(&enter(&mut rules, 2, "ben", Stay::default()).unwrap()),
        ["2"],
        "the same session"
    );
    assert_eq!(
        entered(&proven(&mut rules, 7, "carl", Stay::default()).unwrap()),
        ["7"],
        "the same person"
    );
    assert_eq!(entered(&enter(&mut rules, 8, "fred", HOST).unwrap()), ["8"]);
    let open = command(&mut rules, 1, MeetingCommand::Lock(false)).unwrap();
    assert_eq!(
        (open[0].as_str(), entered(&open)),
        ("send 1,8: meeting [started]", vec!["6"])
    );
}

#[test]
fn a_locked_meeting_lets_in_whom_a_host_has_invited() {
    let mut rules = room_of(&[("anna", HOST)]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    assert_eq!(entered(&enter(&mut rules, 2, "ben", GUEST).unwrap()), [""; 0]);
    let invited = Stay { invited: true, ..GUEST };
    assert_eq!(entered(&enter(&mut rules, 3, "carl", invited).unwrap()), ["3"]);
}

#[test]
fn a_lock_ends_with_the_room() {
    let mut rules = room_of(&[("anna", HOST)]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    enter(&mut rules, 2, "ben", GUEST).unwrap();
    enter(&mut rules, 3, "carl", WAITS).unwrap();
    let effects = lines(&rules.leave(now(), SessionId(1)));
    assert_eq!(effects[..2], ["close room", "open room"]);
    assert_eq!(
        (entered(&effects), rules.waiting_count()),
        (vec!["2"], 1),
        "Carl waits for a host"
    );
}

#[test]
fn a_host_lets_in_one_and_sends_another_away() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    for (session, name) in [(3, "carl"), (4, "dora"), (5, "emil")] {
        enter(&mut rules, session, name, GUEST).unwrap();
    }
    assert_eq!(entered(&command(&mut rules, 1, admit("dora")).unwrap()), ["4"]);
    assert_eq!(
        command(&mut rules, 1, admit("dora")),
        Err(Refusal::UnknownParticipant),
        "she is in"
    );
    assert_eq!(command(&mut rules, 2, admit("carl")), Err(Refusal::NotAllowed));
    assert_eq!(command(&mut rules, 2, remove("carl")), Err(Refusal::NotAllowed));
    let removed = command(&mut rules, 1, remove("carl")).unwrap();
    let expected = [
        "dismiss 3: Removed",
        "send 1: carl left",
        "send 2: carl left",
        "send 4: carl left",
    ];
    assert_eq!(removed, expected);
    let ended = command(&mut rules, 1, MeetingCommand::RemoveAll).unwrap();
    assert_eq!(
        ended.iter().filter(|line| line.ends_with("Removed")).count(),
        4,
        "{ended:?}"
    );
    assert_eq!(
        (rules.participant_count(), rules.waiting_count(), rules.room_count()),
        (0, 0, 0)
    );
}

#[test]
fn whoever_waits_is_in_no_room_and_may_go() {
    let mut rules = room_of(&[("anna", HOST), ("ben", Stay::default())]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    enter(&mut rules, 3, "carl", GUEST).unwrap();
    let text = Command::SendText { text: "hello".into() };
    assert_eq!(rules.handle(now(), SessionId(3), text), Err(Refusal::NotInRoom));
    assert_eq!(command(&mut rules, 3, remove("carl")), Err(Refusal::NotInRoom));
    let gone = rules.handle(now(), SessionId(3), Command::Leave).unwrap();
    assert_eq!(lines(&gone), ["send 1: carl left"], "Ben has never heard of him");
    assert_eq!(rules.waiting_count(), 0);
    enter(&mut rules, 3, "carl", GUEST).unwrap();
    let other = joining((RoomKind::Group, "s"), "carl", Claim::Unproven, GUEST);
    let moved = lines(&rules.handle(now(), SessionId(3), other).unwrap());
    assert_eq!(moved[0], "send 1: carl left");
    assert_eq!(rules.waiting_count(), 0);
}

#[test]
fn whoever_waits_at_another_door_has_left_the_room_where_they_were() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    let other = joining((RoomKind::Group, "s"), "ben", Claim::Unproven, WAITS);
    let moved = lines(&rules.handle(now(), SessionId(2), other).unwrap());
    assert_eq!(moved, ["send 1: ben left", "send 2: wait"]);
    assert_eq!((rules.participant_count(), rules.waiting_count()), (1, 1));
}

#[test]
fn nobody_is_sent_that_somebody_waits_whom_nobody_is_to_see() {
    let mut rules = room_of(&[("anna", HOST)]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    let unseen = Stay {
        sees_meeting: true,
        ..Stay::UNSEEN
    };
    assert_eq!(enter(&mut rules, 2, "ben", unseen).unwrap(), ["send 2: wait"]);
    let gone = rules.handle(now(), SessionId(2), Command::Leave).unwrap();
    assert_eq!(lines(&gone), Vec::<String>::new());
}

#[test]
fn a_name_has_one_holder_inside_or_at_the_door() {
    let mut rules = room_of(&[("anna", HOST)]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    enter(&mut rules, 2, "ben", GUEST).unwrap();
    let newer = enter(&mut rules, 3, "ben", GUEST).unwrap();
    let expected = [
        "dismiss 2: Replaced",
        "send 1: ben left",
        "send 3: wait",
        "send 1: ben [waits]",
    ];
    assert_eq!(newer, expected);
    assert_eq!(
        enter(&mut rules, 4, "ben", HOST).unwrap()[0],
        "dismiss 3: Replaced",
        "somebody enters"
    );
    assert_eq!(rules.waiting_count(), 0);
    proven(&mut rules, 5, "carl", GUEST).unwrap();
    assert_eq!(enter(&mut rules, 6, "carl", GUEST), Err(Refusal::NameTaken));
    assert_eq!(enter(&mut rules, 6, "carl", HOST), Err(Refusal::NameTaken));
    assert_eq!(rules.waiting_count(), 1);
    // Whoever asks again at the same door goes on waiting.
    let again = proven(&mut rules, 5, "carl", GUEST).unwrap();
    assert_eq!(
        again.iter().filter(|line| *line == "send 5: wait").count(),
        1,
        "{again:?}"
    );
    assert_eq!(rules.waiting_count(), 1);
}

#[test]
fn where_the_room_is_full_people_go_on_waiting_until_there_is_a_place() {
    let mut rules = Rules::new(Limits {
        participants_per_room: 2,
        waiting_per_room: 2,
        ..Limits::default()
    });
    enter(&mut rules, 1, "anna", HOST).unwrap();
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    enter(&mut rules, 2, "ben", GUEST).unwrap();
    enter(&mut rules, 3, "carl", GUEST).unwrap();
    assert_eq!(enter(&mut rules, 4, "dora", GUEST), Err(Refusal::RoomFull));
    let open = command(&mut rules, 1, MeetingCommand::Lock(false)).unwrap();
    assert_eq!(entered(&open), ["2"]);
    assert_eq!(command(&mut rules, 1, admit("carl")), Err(Refusal::RoomFull));
    assert_eq!(entered(&lines(&rules.leave(now(), SessionId(2)))), ["3"]);
}

#[test]
fn a_stay_that_is_ended_ends_at_the_door_too() {
    let mut rules = room_of(&[("anna", HOST)]);
    command(&mut rules, 1, MeetingCommand::Lock(true)).unwrap();
    enter(&mut rules, 2, "ben", GUEST).unwrap();
    let ended = lines(&rules.end_stay(now(), &"r".into(), &"ben".into()));
    assert_eq!(ended, ["dismiss 2: StayOver", "send 1: ben left"]);
    assert_eq!(rules.waiting_count(), 0);
}
