//! Stays that end, rights to publish, and participants whom nobody sees.

use std::time::Duration;

use super::*;
use crate::ids::{Feed, FeedRef, SlotId};

const AUDIO_ALONE: PublishRights = PublishRights {
    audio: true,
    video: false,
};

fn enter(rules: &mut Rules, session: u64, kind: RoomKind, name: &str, stay: Stay) -> Result<Vec<Effect>, Refusal> {
    let join = joining((kind, "r"), name, Claim::Proven, stay);
    rules.handle(now(), SessionId(session), join)
}

fn stays(rules: &mut Rules, session: u64, name: &str, stay: Stay) -> Vec<Effect> {
    enter(rules, session, RoomKind::Group, name, stay).unwrap()
}

fn until(end: Instant) -> Stay {
    Stay {
        until: Some(end),
        ..Stay::default()
    }
}

fn unseen(rules: &mut Rules, session: u64, name: &str) -> Vec<Effect> {
    stays(rules, session, name, Stay::UNSEEN)
}

fn negotiated(effects: Vec<Effect>) -> Negotiation {
    let negotiations = effects.into_iter().find_map(|effect| match effect {
        Effect::Negotiate(negotiations) => Some(negotiations),
        _ => None,
    });
    negotiations.unwrap().remove(0)
}

#[test]
fn at_its_end_a_stay_is_over_and_the_others_go_on() {
    let start = now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", until(at(10)));
    stays(&mut rules, 2, "ben", until(at(20)));
    stays(&mut rules, 3, "carl", Stay::default());
    offer(&mut rules, 1, "anna", 1).unwrap();
    assert_eq!(rules.poll_timeout(), Some(at(10)));
    assert_eq!(rules.handle_timeout(at(9)), []);
    let expected = [
        "dismiss 1: StayOver",
        "close peer",
        "send 2: anna left",
        "send 3: anna left",
    ];
    assert_eq!(outline(&rules.handle_timeout(at(10))), expected);
    assert_eq!(rules.poll_timeout(), Some(at(20)));
    rules.leave(start, SessionId(2));
    assert_eq!(
        rules.poll_timeout(),
        None,
        "nobody waits for the end of somebody who has left"
    );
    assert_eq!(rules.handle_timeout(at(30)), []);
    stays(&mut rules, 4, "dora", until(at(40)));
    rules.leave(start, SessionId(3));
    let expected = ["dismiss 4: StayOver", "close room"];
    assert_eq!(outline(&rules.handle_timeout(at(40))), expected);
    assert_eq!(rules.participant_count(), 0);
}

#[test]
fn a_stay_in_a_room_of_two_ends_as_well() {
    let start = now();
    let mut rules = Rules::new(Limits::default());
    let end = start + Duration::from_secs(10);
    enter(&mut rules, 1, RoomKind::Pair, "anna", until(end)).unwrap();
    assert_eq!(
        outline(&rules.handle_timeout(end)),
        ["dismiss 1: StayOver", "close room"]
    );
}

#[test]
fn a_newer_token_moves_the_end_and_nothing_else_happens() {
    let start = now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", until(at(10)));
    stays(&mut rules, 2, "ben", Stay::default());
    let published = opened(&offer(&mut rules, 1, "anna", 1).unwrap());
    assert_eq!(stays(&mut rules, 1, "anna", until(at(20))), []);
    assert_eq!(rules.poll_timeout(), Some(at(20)), "the first end has been forgotten");
    assert_eq!(connection(&rules, 1, "anna"), Ok(Some(published)));
    assert_eq!(rules.handle_timeout(at(10)), []);
    assert_eq!(outline(&rules.handle_timeout(at(20)))[0], "dismiss 1: StayOver");
}

#[test]
fn a_join_that_is_no_renewal_enters_anew() {
    let start = now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let anew = ["send 2: anna left", "send 2: anna arrived", "send 1: joined 1"];
    let restricted = Stay {
        publishes: AUDIO_ALONE,
        ..until(at(20))
    };
    for (stay, what) in [
        (until(at(10)), "the same end"),
        (until(at(5)), "an earlier end"),
        (restricted, "other rights"),
        (Stay::default(), "no end"),
    ] {
        let mut rules = Rules::new(Limits::default());
        stays(&mut rules, 1, "anna", until(at(10)));
        stays(&mut rules, 2, "ben", Stay::default());
        assert_eq!(outline(&stays(&mut rules, 1, "anna", stay)), anew, "{what}");
        assert_eq!(rules.poll_timeout(), stay.until, "{what}");
    }
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", until(at(10)));
    stays(&mut rules, 2, "ben", Stay::default());
    let other_name = outline(&stays(&mut rules, 1, "dora", until(at(20))));
    assert_eq!(other_name[..2], ["send 2: anna left", "send 2: dora arrived"]);
    let other_session = outline(&stays(&mut rules, 3, "dora", until(at(30))));
    assert_eq!(other_session[0], "dismiss 1: Replaced");
}

#[test]
fn what_a_client_understands_comes_with_each_of_its_offers() {
    let mut rules = Rules::new(Limits::default());
    let understands = Features {
        video_quality: true,
        send_layers: false,
    };
    let stay = Stay {
        understands,
        ..Stay::default()
    };
    stays(&mut rules, 1, "anna", stay);
    stays(&mut rules, 2, "ben", Stay::default());
    let [of_anna, of_ben] = [(1, "anna"), (2, "ben")].map(|(session, name)| {
        let effects = offer(&mut rules, session, name, session as u32).unwrap();
        negotiated(effects).understands
    });
    assert_eq!((of_anna, of_ben), (understands, Features::NONE));
}

#[test]
fn a_kind_that_may_not_be_published_is_withheld_from_the_offer_and_nothing_is_played_without_the_right() {
    let mut rules = Rules::new(Limits::default());
    let stay = |publishes| Stay {
        publishes,
        ..Stay::default()
    };
    stays(&mut rules, 1, "anna", stay(AUDIO_ALONE));
    let camera = vec![Use::Publish(Feed::Camera)];
    let negotiation = negotiated(offer(&mut rules, 1, "anna", 1).unwrap());
    assert_eq!((negotiation.publishes, negotiation.uses), (AUDIO_ALONE, camera));
    stays(&mut rules, 2, "ben", stay(PublishRights::NONE));
    let negotiation = negotiated(offer(&mut rules, 2, "ben", 2).unwrap());
    assert_eq!((negotiation.publishes, negotiation.uses), (PublishRights::NONE, vec![]));
    let screen = UserFeed {
        user: "ben".into(),
        feed: Feed::Screen,
    };
    let (subject, offer) = (screen, offer_of(3));
    rules
        .handle(now(), SessionId(2), Command::Offer { subject, offer })
        .unwrap();
    assert_eq!(
        rules.offer_answered(SessionId(2)),
        [],
        "a screen that nobody can send is not announced"
    );
    assert_eq!(playing::play(&mut rules, 2), Err(Refusal::NotAllowed));
    assert!(playing::play(&mut rules, 1).is_ok());
}

#[test]
fn nobody_sees_or_hears_of_a_participant_who_is_not_visible_and_they_see_the_others() {
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", Stay::default());
    assert_eq!(outline(&unseen(&mut rules, 2, "viewer")), ["send 2: joined 1"]);
    assert_eq!(
        outline(&unseen(&mut rules, 3, "viewer")),
        ["send 3: joined 1"],
        "the name is nobody's"
    );
    let expected = [
        "send 1: ben arrived",
        "send 2: ben arrived",
        "send 3: ben arrived",
        "send 4: joined 1",
    ];
    assert_eq!(outline(&stays(&mut rules, 4, "ben", Stay::default())), expected);
    assert_eq!(offer(&mut rules, 4, "viewer", 1), Err(Refusal::UnknownParticipant));
    let watching = opened(&offer(&mut rules, 2, "anna", 2).unwrap());
    let published = opened(&offer(&mut rules, 1, "anna", 3).unwrap());
    let text = || Command::SendText { text: "hello".into() };
    assert_eq!(rules.handle(now(), SessionId(2), text()), Err(Refusal::NotAllowed));
    let said = rules.handle(now(), SessionId(1), text()).unwrap();
    assert_eq!(said.len(), 4, "they read what the others write");
    assert_eq!(playing::play(&mut rules, 2), Err(Refusal::NotAllowed));
    let lost = rules.media_changed(published, MediaState::Back);
    assert_eq!(lost, []);
    let notice = rules.decoding_changed(watching, participant_of(&rules, published), MediaKind::Video, None);
    let sent = notice.into_iter().map(|effect| match effect {
        Effect::SendEach { sessions, .. } => sessions,
        other => panic!("{other:?}"),
    });
    assert_eq!(
        sent.collect::<Vec<_>>(),
        [[SessionId(2)]],
        "the publisher is sent nothing about them"
    );
    assert_eq!(
        outline(&rules.leave(now(), SessionId(2))),
        ["close peer"],
        "nobody sees them leave"
    );
    assert_eq!(
        outline(&rules.leave(now(), SessionId(1))).last().unwrap(),
        "send 4: anna left"
    );
}

#[test]
fn somebody_visible_and_somebody_unseen_of_one_name_do_not_get_in_one_anothers_way() {
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", Stay::default());
    assert_eq!(outline(&unseen(&mut rules, 2, "anna")), ["send 2: joined 1"]);
    let watching = negotiated(offer(&mut rules, 2, "anna", 1).unwrap());
    assert!(
        matches!(watching.uses[..], [Use::Watch(_)]),
        "they watch the one who is visible"
    );
    assert_eq!(outline(&rules.leave(now(), SessionId(2))), ["close peer"]);
    assert!(matches!(connection(&rules, 1, "anna"), Ok(None)), "she is still there");
    unseen(&mut rules, 3, "anna");
    rules.leave(now(), SessionId(1));
    assert_eq!(offer(&mut rules, 3, "anna", 2), Err(Refusal::UnknownParticipant));
    let again = outline(&stays(&mut rules, 4, "anna", Stay::default()));
    assert_eq!(again, ["send 3: anna arrived", "send 4: joined 0"]);
}

#[test]
fn an_unseen_participant_watches_whoever_speaks_and_publishes_nothing() {
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", Stay::default());
    let published = opened(&offer(&mut rules, 1, "anna", 1).unwrap());
    unseen(&mut rules, 2, "viewer");
    let conference = Conference {
        publish: Some(Feed::Camera),
        speaker_slots: vec![MediaKind::Audio],
        ..Conference::default()
    };
    let offer = offer_of(2);
    let command = Command::OfferConference { conference, offer };
    let negotiation = negotiated(rules.handle(now(), SessionId(2), command).unwrap());
    assert_eq!(negotiation.uses, [Use::Slot(SlotId(0), MediaKind::Audio)]);
    assert_eq!(negotiation.publishes, PublishRights::NONE);
    let source = Some(FeedRef::camera(participant_of(&rules, published)));
    let fill = Effect::FillSlot {
        peer: negotiation.peer,
        slot: SlotId(0),
        source,
    };
    assert!(rules.speech_changed(now(), published, true).contains(&fill));
}

#[test]
fn unseen_participants_have_places_of_their_own_and_none_in_a_room_of_two() {
    let limits = |viewers_per_room| Limits {
        participants_per_room: 2,
        viewers_per_room,
        ..Limits::default()
    };
    let mut rules = Rules::new(limits(1));
    let comes = |rules: &mut Rules, session, name, stay| enter(rules, session, RoomKind::Group, name, stay).map(|_| ());
    unseen(&mut rules, 1, "viewer");
    assert_eq!(comes(&mut rules, 2, "other", Stay::UNSEEN), Err(Refusal::RoomFull));
    assert_eq!(comes(&mut rules, 3, "anna", Stay::default()), Ok(()));
    assert_eq!(
        comes(&mut rules, 4, "ben", Stay::default()),
        Ok(()),
        "they take no place of a participant"
    );
    assert_eq!(comes(&mut rules, 5, "carl", Stay::default()), Err(Refusal::RoomFull));
    assert_eq!(
        comes(&mut rules, 1, "carl", Stay::default()),
        Err(Refusal::RoomFull),
        "who was unseen"
    );
    assert_eq!(
        comes(&mut rules, 3, "anna", Stay::UNSEEN),
        Err(Refusal::RoomFull),
        "who was seen"
    );
    assert_eq!(comes(&mut rules, 1, "again", Stay::UNSEEN), Ok(()), "where they are");
    rules.leave(now(), SessionId(1));
    assert_eq!(comes(&mut rules, 2, "other", Stay::UNSEEN), Ok(()));
    let mut none = Rules::new(limits(0));
    assert_eq!(comes(&mut none, 1, "viewer", Stay::UNSEEN), Err(Refusal::RoomFull));
    let pair = enter(&mut rules, 6, RoomKind::Pair, "viewer", Stay::UNSEEN);
    assert_eq!(pair, Err(Refusal::NotAllowed));
}

#[test]
fn a_join_for_whose_connection_there_is_no_place_replaces_nobody() {
    let mut rules = Rules::new(Limits {
        peers: 2,
        ..Limits::default()
    });
    stays(&mut rules, 1, "anna", Stay::default());
    for (session, name) in [(2, "ben"), (3, "carl")] {
        stays(&mut rules, session, name, Stay::default());
        let published = opened(&offer(&mut rules, session, name, session as u32).unwrap());
        rules.peer_connected(published);
    }
    let comes = |rules: &mut Rules, session, name| {
        let join = Command::Join {
            turn: Turn(0),
            kind: RoomKind::Group,
            room: "r".into(),
            person: person(name),
            claim: Claim::Proven,
            stay: Stay::default(),
            connects: true,
        };
        rules.handle(now(), SessionId(session), join)
    };
    for name in ["anna", "dora"] {
        assert_eq!(comes(&mut rules, 4, name), Err(Refusal::TooManyPeers), "{name}");
    }
    assert_eq!(rules.participant_count(), 3);
    assert!(matches!(connection(&rules, 1, "anna"), Ok(None)), "she is still there");
    // Who gives way leaves the place of their connection, too.
    let effects = outline(&comes(&mut rules, 4, "ben").unwrap());
    assert!(effects.contains(&"close peer".to_owned()), "{effects:?}");
    assert!(offer(&mut rules, 4, "ben", 4).is_ok());
    stays(&mut rules, 5, "anna", Stay::default());
    assert_eq!(rules.participant_count(), 3, "without a connection she comes as ever");
}

#[test]
fn the_session_of_a_connection_that_has_ended_is_sent_which() {
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", Stay::default());
    stays(&mut rules, 2, "ben", Stay::default());
    let published = opened(&offer(&mut rules, 1, "anna", 1).unwrap());
    let watching = opened(&offer(&mut rules, 2, "anna", 2).unwrap());
    let camera = || UserFeed::camera("anna".into());
    assert_eq!(rules.peer_lost(now(), watching, false), [ended(2, camera())]);
    assert_eq!(rules.peer_lost(now(), watching, false), [], "it is known no more");
    assert_eq!(rules.peer_lost(now(), published, true), [ended(1, camera())]);
    let (conference, offer) = (Conference::default(), offer_of(3));
    let offered = rules.handle(now(), SessionId(1), Command::OfferConference { conference, offer });
    let conference = opened(&offered.unwrap());
    let event = Event::ConnectionEnded {
        subject: Subject::Conference,
    };
    assert_eq!(
        rules.peer_lost(now(), conference, false),
        [Effect::Send {
            session: SessionId(1),
            event
        }]
    );
}

fn participant_of(rules: &Rules, peer: PeerId) -> ParticipantId {
    rules.participant_of(peer).unwrap()
}

#[test]
fn the_stay_of_a_user_is_ended_on_all_their_sessions_in_one_room_and_nobody_else_s() {
    let mut rules = Rules::new(Limits::default());
    stays(&mut rules, 1, "anna", Stay::default());
    stays(&mut rules, 2, "ben", Stay::default());
    stays(&mut rules, 3, "anna", Stay::UNSEEN);
    enter(&mut rules, 4, RoomKind::Pair, "anna", Stay::default()).unwrap();
    let join = |claim| joining((RoomKind::Group, "r"), "robot", claim, Stay::default());
    rules.handle(now(), SessionId(5), join(Claim::Reserved)).unwrap();
    let room = RoomName::from("r");
    let (anna, robot) = (UserId::from("anna"), UserId::from("robot"));
    assert_eq!(
        rules.people_in(&room),
        [anna.clone(), "ben".into()],
        "no viewer, no robot"
    );
    assert_eq!(rules.people_in(&"elsewhere".into()), []);
    assert_eq!(rules.end_stay(now(), &"elsewhere".into(), &anna), []);
    assert_eq!(
        rules.end_stay(now(), &room, &robot),
        [],
        "a robot has a stay of its own kind"
    );
    let ended = rules.end_stay(now(), &room, &anna);
    let dismissed = |session| Effect::Dismiss {
        session: SessionId(session),
        reason: EndReason::StayOver,
    };
    let dismissals = ended.iter().filter(|effect| matches!(effect, Effect::Dismiss { .. }));
    assert_eq!(dismissals.collect::<Vec<_>>(), [&dismissed(1), &dismissed(3)]);
    let to_ben = |effect: &&Effect| matches!(effect, Effect::Send { session: SessionId(2), event: Event::ParticipantLeft { user } } if *user == anna);
    assert_eq!(ended.iter().filter(to_ben).count(), 1, "{ended:?}");
    assert_eq!(rules.people_in(&room), ["ben".into()]);
    assert_eq!(rules.end_stay(now(), &room, &anna), []);
}
