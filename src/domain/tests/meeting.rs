//! Meetings: who may command, what is carried out of it, and who is sent what.

use super::*;
use crate::ids::{Feed, SlotId};
use crate::sound::Recording;

/// A host by a client that sees what happens in the meeting.
pub const HOST: Stay = Stay {
    publishes: PublishRights::ALL,
    until: None,
    visible: true,
    role: Role::Host,
    without_host: WithoutHost::Enter,
    invited: false,
    sees_meeting: true,
    understands: Features::NONE,
};
/// A guest by such a client.
pub const GUEST: Stay = Stay {
    role: Role::Guest,
    ..HOST
};

pub fn enter(rules: &mut Rules, session: u64, name: &str, stay: Stay) -> Result<Vec<String>, Refusal> {
    let command = joining((RoomKind::Group, "r"), name, Claim::Unproven, stay);
    Ok(lines(&rules.handle(now(), SessionId(session), command)?))
}

/// Rooms in which sessions 1, 2, ... have entered room "r" one after the other.
pub fn room_of(people: &[(&str, Stay)]) -> Rules {
    let mut rules = Rules::new(Limits::default());
    for (session, (name, stay)) in (1..).zip(people) {
        enter(&mut rules, session, name, *stay).unwrap();
    }
    rules
}

pub fn command(rules: &mut Rules, session: u64, command: MeetingCommand) -> Result<Vec<String>, Refusal> {
    let effects = rules.handle(now(), SessionId(session), Command::Meeting(command))?;
    Ok(lines(&effects))
}

/// The effects, each with whom it concerns.
pub fn lines(effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| match effect {
        Effect::Send {
            session,
            event: Event::Meeting(event),
        } => vec![format!("send {session}: {}", news(event))],
        Effect::SendEach {
            sessions,
            event: Event::Meeting(event),
        } => {
            let to: Vec<String> = sessions.iter().map(SessionId::to_string).collect();
            vec![format!("send {}: {}", to.join(","), news(event))]
        }
        Effect::SendEach {
            sessions,
            event: event @ Event::ParticipantLeft { .. },
        } => {
            let send = |session: &SessionId| Effect::Send {
                session: *session,
                event: event.clone(),
            };
            outline(&sessions.iter().map(send).collect::<Vec<_>>())
        }
        other => outline(std::slice::from_ref(other)),
    };
    effects.iter().flat_map(line).collect()
}

fn news(event: &MeetingEvent) -> String {
    let words = |words: &[(bool, &str)]| {
        let said = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word);
        said.collect::<Vec<_>>().join(", ")
    };
    match event {
        MeetingEvent::Waiting => "wait".to_owned(),
        MeetingEvent::Changed(state) => {
            let words = words(&[
                (state.locked, "locked"),
                (state.guests_muted, "guests muted"),
                (state.started, "started"),
            ]);
            format!("meeting [{words}]")
        }
        MeetingEvent::Participant(state) => {
            let words = words(&[
                (state.role == Role::Host, "host"),
                (state.muted, "muted"),
                (state.video_muted, "camera muted"),
                (state.reported.muted, "microphone off"),
                (state.reported.video_muted, "camera off"),
                (state.spotlit.is_some(), "spotlit"),
                (state.waiting, "waits"),
            ]);
            format!("{} [{words}]", state.person.user)
        }
        MeetingEvent::Own(state) => {
            let words = words(&[
                (state.role == Role::Host, "host"),
                (state.muted_by_host.sound, "muted"),
                (state.muted_by_host.camera, "camera muted"),
            ]);
            format!("you are [{words}]")
        }
        MeetingEvent::Referred(to) => format!("go to {} as {:?} with {:?}", to.alias, to.role, to.pin),
    }
}

pub fn mute(user: &str, muted: bool) -> MeetingCommand {
    MeetingCommand::Mute {
        user: user.into(),
        media: MediaKind::Audio,
        muted,
    }
}

pub fn remove(user: &str) -> MeetingCommand {
    MeetingCommand::Remove { user: user.into() }
}

pub fn set_role(user: &str, role: Role) -> MeetingCommand {
    MeetingCommand::SetRole {
        user: user.into(),
        role,
    }
}

fn spotlight(user: &str, on: bool) -> MeetingCommand {
    MeetingCommand::Spotlight { user: user.into(), on }
}

fn refer(user: &str, alias: &str) -> MeetingCommand {
    let to = Referral {
        alias: alias.to_owned(),
        role: Role::Guest,
        pin: Some(Pin("1234".to_owned())),
    };
    MeetingCommand::Refer { user: user.into(), to }
}

fn report(muted: bool) -> MeetingCommand {
    MeetingCommand::Report {
        muted: Some(muted),
        video_muted: None,
    }
}

/// Commands that only hosts may give, about somebody.
fn host_commands(user: &str) -> Vec<MeetingCommand> {
    let admit = MeetingCommand::Admit { user: user.into() };
    vec![
        MeetingCommand::Lock(true),
        MeetingCommand::MuteGuests(true),
        mute(user, true),
        mute(user, false),
        spotlight(user, true),
        MeetingCommand::Start,
        admit,
        remove(user),
        MeetingCommand::RemoveAll,
        set_role(user, Role::Host),
        refer(user, "s"),
    ]
}

#[test]
fn only_a_host_commands_and_only_people_who_are_there() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST), ("carl", Stay::default())]);
    for command in host_commands("anna") {
        let refused = self::command(&mut rules, 2, command.clone());
        assert_eq!(refused, Err(Refusal::NotAllowed), "{command:?}");
        let outside = self::command(&mut rules, 9, command.clone());
        assert_eq!(outside, Err(Refusal::NotInRoom), "{command:?}");
    }
    for command in [spotlight("ben", true), set_role("ben", Role::Host), refer("ben", "s")] {
        let about_oneself = self::command(&mut rules, 2, command.clone());
        assert_eq!(about_oneself, Err(Refusal::NotAllowed), "{command:?}");
    }
    let about_nobody = host_commands("zoe").into_iter().filter(|command| {
        !matches!(
            command,
            MeetingCommand::Lock(_) | MeetingCommand::MuteGuests(_) | MeetingCommand::Start | MeetingCommand::RemoveAll
        )
    });
    for command in about_nobody {
        let refused = self::command(&mut rules, 1, command.clone());
        assert_eq!(refused, Err(Refusal::UnknownParticipant), "{command:?}");
    }
    assert_eq!(rules.participant_count(), 3);
}

#[test]
fn whoever_sees_the_meeting_is_sent_all_of_it_and_others_nothing() {
    let mut rules = Rules::new(Limits::default());
    let first = enter(&mut rules, 1, "anna", HOST).unwrap();
    assert_eq!(
        first,
        [
            "open room",
            "send 1: joined 0",
            "send 1: meeting [started]",
            "send 1: anna [host]"
        ]
    );
    let second = enter(&mut rules, 2, "ben", Stay::default()).unwrap();
    assert_eq!(second, ["send 1: ben arrived", "send 2: joined 1", "send 1: ben []"]);
    let third = enter(&mut rules, 3, "carl", GUEST).unwrap();
    let expected = [
        "send 1: carl arrived",
        "send 2: carl arrived",
        "send 3: joined 2",
        "send 1: carl []",
        "send 3: meeting [started]",
        "send 3: anna [host]",
        "send 3: ben []",
        "send 3: carl []",
    ];
    assert_eq!(third, expected);
    let unseen = Stay {
        visible: false,
        ..GUEST
    };
    let fourth = enter(&mut rules, 4, "dora", unseen).unwrap();
    assert_eq!(fourth.len(), 5, "she sees them, and they do not see her: {fourth:?}");
    assert_eq!(command(&mut rules, 4, report(true)).unwrap(), [""; 0]);
    assert_eq!(
        command(&mut rules, 2, report(true)).unwrap(),
        ["send 1,3,4: ben [microphone off]"]
    );
    assert_eq!(command(&mut rules, 2, report(true)).unwrap(), [""; 0], "no news");
    let gone = lines(&rules.leave(now(), SessionId(1)));
    assert_eq!(gone.last().unwrap(), "send 3,4: meeting []", "no host is there");
}

/// Connections that an offer has opened.
fn opened(effects: &[Effect]) -> Negotiation {
    let negotiation = effects.iter().find_map(|effect| match effect {
        Effect::Negotiate(negotiations) => negotiations.first(),
        _ => None,
    });
    negotiation.expect("an offer to be answered").clone()
}

const SOUND: Muted = Muted {
    sound: true,
    camera: false,
};

#[test]
fn somebody_who_is_muted_stays_so_on_all_connections_until_they_are_unmuted() {
    let mut rules = room_of(&[("anna", HOST), ("ben", Stay::default())]);
    let camera = opened(&offer(&mut rules, 2, "ben", 1).unwrap());
    assert_eq!(camera.muted, Muted::default());
    let watching = opened(&offer(&mut rules, 2, "anna", 2).unwrap());
    let peer = camera.peer;
    let muted = command(&mut rules, 1, mute("ben", true)).unwrap();
    assert_eq!(
        muted,
        [
            format!("mute {peer}: {SOUND:?}"),
            "send 2: you are [muted]".to_owned(),
            "send 1: ben [muted]".to_owned()
        ]
    );
    assert_eq!(
        command(&mut rules, 1, mute("ben", true)).unwrap(),
        [""; 0],
        "he is already"
    );
    for again in [offer(&mut rules, 2, "ben", 1), offer(&mut rules, 2, "ben", 3)] {
        assert_eq!(
            opened(&again.unwrap()).muted,
            SOUND,
            "a new offer, and a new connection"
        );
    }
    let screen = UserFeed {
        user: "ben".into(),
        feed: Feed::Screen,
    };
    let (subject, offer) = (screen, offer_of(4));
    let screen = rules
        .handle(now(), SessionId(2), Command::Offer { subject, offer })
        .unwrap();
    assert_eq!(opened(&screen).muted, SOUND, "a screen has sound too");
    let unmuted = command(&mut rules, 1, mute("ben", false)).unwrap();
    assert_eq!(unmuted.len(), 4, "both connections: {unmuted:?}");
    assert!(
        unmuted.iter().all(|line| !line.contains(&watching.peer.to_string())),
        "{unmuted:?}"
    );
    let camera = MeetingCommand::Mute {
        user: "ben".into(),
        media: MediaKind::Video,
        muted: true,
    };
    let expected = "send 1: ben [camera muted]";
    assert_eq!(command(&mut rules, 1, camera).unwrap().last().unwrap(), expected);
}

#[test]
fn what_a_host_has_muted_only_a_host_unmutes() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    assert!(command(&mut rules, 2, mute("ben", true)).is_ok());
    assert!(command(&mut rules, 2, mute("ben", false)).is_ok(), "his own");
    assert!(command(&mut rules, 1, mute("ben", true)).is_ok());
    assert!(command(&mut rules, 2, mute("ben", true)).is_ok());
    assert_eq!(command(&mut rules, 2, mute("ben", false)), Err(Refusal::NotAllowed));
    assert!(command(&mut rules, 2, mute("ben", true)).is_ok());
    assert!(command(&mut rules, 1, set_role("ben", Role::Host)).is_ok());
    let unmuted = command(&mut rules, 2, mute("ben", false)).unwrap();
    assert_eq!(unmuted, ["send 1,2: ben [host]"]);
}

#[test]
fn all_guests_are_muted_those_who_come_too_and_hosts_are_not() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST), ("carl", Stay::default())]);
    command(&mut rules, 3, mute("carl", true)).unwrap();
    let muted = command(&mut rules, 1, MeetingCommand::MuteGuests(true)).unwrap();
    assert_eq!(
        muted,
        [
            "send 1,2: meeting [guests muted, started]",
            "send 1,2: ben [muted]",
            "send 3: you are [muted]"
        ]
    );
    let newcomer = enter(&mut rules, 4, "dora", Stay::default()).unwrap();
    assert!(newcomer.contains(&"send 1,2: dora [muted]".to_owned()), "{newcomer:?}");
    assert_eq!(opened(&offer(&mut rules, 4, "dora", 1).unwrap()).muted, SOUND);
    let host = enter(&mut rules, 5, "emil", HOST).unwrap();
    assert!(host.contains(&"send 1,2: emil [host]".to_owned()), "{host:?}");
    assert_eq!(command(&mut rules, 4, mute("dora", false)), Err(Refusal::NotAllowed));
    let unmuted = command(&mut rules, 1, MeetingCommand::MuteGuests(false)).unwrap();
    assert_eq!(unmuted.first().unwrap(), "send 1,2,5: meeting [started]");
    for line in [
        "send 3: you are []",
        "send 1,2,5: carl []",
        "send 4: you are []",
        "send 1,2,5: dora []",
    ] {
        assert!(unmuted.contains(&line.to_owned()), "{line}: {unmuted:?}");
    }
    assert_eq!(unmuted.len(), 7, "{unmuted:?}");
}

#[test]
fn those_who_have_muted_themselves_stay_so_when_all_guests_are_unmuted() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    command(&mut rules, 2, mute("ben", true)).unwrap();
    let unmuted = command(&mut rules, 1, MeetingCommand::MuteGuests(false)).unwrap();
    assert_eq!(unmuted, [""; 0]);
    let later = enter(&mut rules, 3, "carl", GUEST).unwrap();
    assert!(later.contains(&"send 3: ben [muted]".to_owned()), "{later:?}");
}

#[test]
fn a_recording_that_somebody_muted_plays_is_muted() {
    let mut rules = room_of(&[("anna", HOST), ("robot", Stay::default())]);
    command(&mut rules, 1, mute("robot", true)).unwrap();
    let play = Play {
        feed: Feed::Camera,
        recording: Recording::read(include_bytes!("../../../tests/fixtures/tone.opus")).unwrap(),
        waits: false,
        repeats: false,
    };
    let effects = rules.handle(now(), SessionId(2), Command::Play(play)).unwrap();
    let Effect::Play(playback) = &effects[0] else {
        panic!("{effects:?}");
    };
    let (peer, muted) = (playback.peer, SOUND);
    assert_eq!(effects[1], Effect::Mute { peer, muted });
    let (peer, muted) = (playback.peer, Muted::default());
    let effects = rules.handle(now(), SessionId(1), Command::Meeting(mute("robot", false)));
    assert_eq!(effects.unwrap()[0], Effect::Mute { peer, muted });
}

#[test]
fn whoever_is_spotlit_is_shown_in_the_place_of_the_speaker() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST), ("carl", GUEST), ("dora", GUEST)]);
    let publishing = [(1, "anna"), (2, "ben"), (3, "carl")].map(|(session, name)| {
        let negotiation = opened(&offer(&mut rules, session, name, session as u32).unwrap());
        (negotiation.peer, negotiation.participant)
    });
    let [anna, ben, carl] = publishing.map(|(_, participant)| participant);
    let conference = Conference {
        speaker_slots: vec![MediaKind::Video],
        ..Conference::default()
    };
    for (session, number) in [(4, 70), (2, 71)] {
        let (conference, offer) = (conference.clone(), offer_of(number));
        let command = Command::OfferConference { conference, offer };
        rules.handle(now(), SessionId(session), command).unwrap();
    }
    rules.speech_changed(now(), publishing[0].0, true);
    // What Ben's slot and Dora's show, where it changes.
    let mut give = |command| {
        let effects = rules.handle(now(), SessionId(1), Command::Meeting(command)).unwrap();
        let fill = |effect: &Effect| match effect {
            Effect::FillSlot { slot, source, .. } => Some((*slot, source.unwrap().participant)),
            _ => None,
        };
        effects.iter().filter_map(fill).collect::<Vec<_>>()
    };
    let slot = SlotId(0);
    assert_eq!(give(spotlight("ben", true)), [(slot, ben)], "Ben is not shown himself");
    assert_eq!(give(spotlight("carl", true)), [(slot, carl)], "Ben sees the next one");
    assert_eq!(give(spotlight("ben", true)), [], "he is already");
    assert_eq!(give(spotlight("ben", false)), [(slot, carl)]);
    assert_eq!(give(spotlight("carl", false)), [(slot, anna), (slot, anna)]);
    give(spotlight("carl", true));
    let gone = rules.leave(now(), SessionId(3));
    let shown = |effect: &&Effect| matches!(effect, Effect::FillSlot { source: Some(source), .. } if source.participant == anna);
    assert_eq!(gone.iter().filter(shown).count(), 2, "he has left: {gone:?}");
}

#[test]
fn whoever_is_removed_is_dismissed_and_the_others_see_them_leave() {
    let mut rules = room_of(&[("anna", HOST), ("ben", Stay::default()), ("carl", GUEST)]);
    offer(&mut rules, 2, "ben", 1).unwrap();
    let removed = command(&mut rules, 1, remove("ben")).unwrap();
    let expected = [
        "dismiss 2: Removed",
        "close peer",
        "send 1: ben left",
        "send 3: ben left",
    ];
    assert_eq!(removed, expected);
    assert_eq!(command(&mut rules, 3, remove("anna")), Err(Refusal::NotAllowed));
    assert_eq!(command(&mut rules, 3, remove("carl")).unwrap()[0], "dismiss 3: Removed");
    enter(&mut rules, 4, "dora", GUEST).unwrap();
    offer(&mut rules, 4, "dora", 2).unwrap();
    let ended = command(&mut rules, 1, MeetingCommand::RemoveAll).unwrap();
    let expected = ["dismiss 1: Removed", "dismiss 4: Removed", "close peer", "close room"];
    assert_eq!(ended, expected);
    assert_eq!(
        (rules.room_count(), rules.participant_count(), rules.peer_count()),
        (0, 0, 0)
    );
}

#[test]
fn a_host_makes_others_hosts_and_a_guest_of_themselves() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST)]);
    assert_eq!(command(&mut rules, 1, set_role("ben", Role::Guest)).unwrap(), [""; 0]);
    let promoted = command(&mut rules, 1, set_role("ben", Role::Host)).unwrap();
    assert_eq!(promoted, ["send 1,2: ben [host]"]);
    assert!(command(&mut rules, 2, MeetingCommand::Lock(true)).is_ok());
    assert!(command(&mut rules, 1, set_role("anna", Role::Guest)).is_ok());
    assert_eq!(
        command(&mut rules, 1, MeetingCommand::Lock(false)),
        Err(Refusal::NotAllowed)
    );
    let last = command(&mut rules, 2, set_role("ben", Role::Guest)).unwrap();
    assert_eq!(last, ["send 1,2: ben []", "send 1,2: meeting [locked]"]);
}

#[test]
fn a_referral_goes_to_one_participant_whose_client_knows_of_them_and_says_no_pin_in_the_log() {
    let mut rules = room_of(&[("anna", HOST), ("ben", GUEST), ("carl", Stay::default())]);
    let referred = command(&mut rules, 1, refer("ben", "s")).unwrap();
    assert_eq!(referred, ["send 2: go to s as Guest with Some(Pin)"]);
    assert_eq!(command(&mut rules, 1, refer("carl", "s")), Err(Refusal::NotAllowed));
    let long = "x".repeat(2_048);
    assert_eq!(command(&mut rules, 1, refer("ben", &long)), Err(Refusal::NotAllowed));
}
