//! What viewers want of videos, as the media workers are sent it.

use super::*;
use crate::domain::{Heights, VideoWants};
use crate::video::Want;

fn heights(of_users: &[(&str, u16)], of_others: Option<u16>) -> Heights {
    Heights {
        of_users: of_users
            .iter()
            .map(|(user, height)| (UserId::from(*user), *height))
            .collect(),
        of_others,
    }
}

/// A room in which the first session watches so many others, who all publish.
fn room(others: u64) -> Rules {
    let limits = Limits {
        peers_per_participant: 100,
        peers: 1_000,
        ..Limits::default()
    };
    let mut rules = Rules::new(limits);
    join(&mut rules, 1, "r", "viewer").unwrap();
    for other in 2..2 + others {
        let name = format!("p{other}");
        join(&mut rules, other, "r", &name).unwrap();
        offer(&mut rules, other, &name, other as u32).unwrap();
        let peer = connection(&rules, other, &name).unwrap().unwrap();
        rules.peer_connected(peer);
    }
    rules
}

fn watch(rules: &mut Rules, other: u64) -> Vec<Effect> {
    let effects = offer(rules, 1, &format!("p{other}"), 1_000 + other as u32).unwrap();
    let wants = effects
        .into_iter()
        .filter(|effect| matches!(effect, Effect::Want { .. }));
    wants.collect()
}

fn say(rules: &mut Rules, wanted: VideoWants) -> Vec<String> {
    let effects = rules.handle(now(), SessionId(1), Command::Want(Box::new(wanted)));
    let mut lines = lines(rules, &effects.unwrap());
    lines.sort();
    lines
}

/// What is wanted of which publisher, where that has changed.
fn lines(rules: &Rules, effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| {
        let Effect::Want { peer, wants } = effect else {
            return None;
        };
        let other = (2..100).find(|other| connection(rules, 1, &format!("p{other}")) == Ok(Some(*peer)))?;
        let want = wants.first().map_or(Want::default(), |(_, want)| *want);
        let stage = if want.on_stage { " on stage" } else { "" };
        Some(format!("p{other} {:?}{stage}", want.height))
    };
    effects.iter().filter_map(line).collect()
}

fn speaks(rules: &mut Rules, other: u64, speaks: bool) -> Vec<String> {
    let peer = connection(rules, other, &format!("p{other}")).unwrap().unwrap();
    let effects = rules.speech_changed(now(), peer, speaks);
    let mut lines = lines(rules, &effects);
    lines.sort();
    lines
}

#[test]
fn a_height_is_for_the_connection_that_carries_the_video_and_is_sent_once_and_to_whoever_comes_later() {
    let mut rules = room(3);
    watch(&mut rules, 2);
    watch(&mut rules, 3);
    let wanted = || VideoWants {
        on_stage: vec!["p3".into()],
        cameras: heights(&[("p3", 720)], Some(180)),
        ..VideoWants::default()
    };
    assert_eq!(say(&mut rules, wanted()), ["p2 Some(180)", "p3 Some(720) on stage"]);
    assert_eq!(say(&mut rules, wanted()), [""; 0], "it is known already");
    let later = watch(&mut rules, 4);
    assert_eq!(lines(&rules, &later), ["p4 Some(180)"]);
    assert_eq!(
        say(&mut rules, VideoWants::default()),
        ["p2 None", "p3 None", "p4 None"]
    );
}

#[test]
fn beyond_the_number_that_is_wanted_nothing_is_sent_and_speakers_come_before_those_who_are_silent() {
    let mut rules = room(4);
    for other in 2..6 {
        watch(&mut rules, other);
    }
    let wanted = VideoWants {
        last_n: 2,
        on_stage: vec!["p5".into()],
        cameras: heights(&[], Some(180)),
        ..VideoWants::default()
    };
    let expected = ["p2 Some(180)", "p3 Some(0)", "p4 Some(0)", "p5 Some(180) on stage"];
    assert_eq!(say(&mut rules, wanted), expected);
    assert_eq!(speaks(&mut rules, 4, true), ["p2 Some(0)", "p4 Some(180)"]);
    assert_eq!(speaks(&mut rules, 4, false), [""; 0], "who spoke last stays");
    let nothing = VideoWants {
        last_n: 0,
        ..VideoWants::default()
    };
    assert_eq!(say(&mut rules, nothing), ["p4 Some(0)", "p5 Some(0)"]);
}

#[test]
fn whoever_is_on_stage_is_sent_first_then_whoever_is_in_the_spotlight_and_nobody_unwanted_takes_a_place() {
    let mut rules = room(4);
    (2..6).for_each(|other| drop(watch(&mut rules, other)));
    let host = Stay {
        role: Role::Host,
        ..Stay::default()
    };
    let host = joining((RoomKind::Group, "r"), "host", Claim::Unproven, host);
    rules.handle(now(), SessionId(99), host).unwrap();
    speaks(&mut rules, 2, true);
    let wanted = |on_stage: &[&str], of_users: &[(&str, u16)]| VideoWants {
        last_n: 2,
        on_stage: on_stage.iter().map(|user| UserId::from(*user)).collect(),
        cameras: heights(of_users, Some(180)),
        ..VideoWants::default()
    };
    let first = ["p2 Some(180)", "p3 Some(180)", "p4 Some(0)", "p5 Some(0)"];
    assert_eq!(say(&mut rules, wanted(&[], &[])), first);
    let user = "p4".into();
    let spotlight = Command::Meeting(MeetingCommand::Spotlight { user, on: true });
    let effects = rules.handle(now(), SessionId(99), spotlight).unwrap();
    assert_eq!(
        lines(&rules, &effects),
        ["p3 Some(0)", "p4 Some(180)"],
        "before who spoke, too"
    );
    let staged = wanted(&["p5", "p3"], &[]);
    let expected = [
        "p2 Some(0)",
        "p3 Some(180) on stage",
        "p4 Some(0)",
        "p5 Some(180) on stage",
    ];
    assert_eq!(say(&mut rules, staged), expected);
    // On stage, but not to be seen: the place is free for another one.
    let hidden = wanted(&["p5", "p3"], &[("p5", 0)]);
    assert_eq!(say(&mut rules, hidden), ["p4 Some(180)", "p5 Some(0) on stage"]);
}

/// Somebody shares their screen, and the viewer watches it over a connection of its own. If it `is_announced`, it is known to arrive.
fn share(rules: &mut Rules, other: u64, is_announced: bool) {
    let subject = || UserFeed {
        user: format!("p{other}").as_str().into(),
        feed: Feed::Screen,
    };
    let numbers = [2_000 + other as u32, 3_000 + other as u32];
    for (session, number) in [other, 1].into_iter().zip(numbers) {
        let (subject, offer) = (subject(), offer_of(number));
        rules
            .handle(now(), SessionId(session), Command::Offer { subject, offer })
            .unwrap();
        if is_announced {
            rules.offer_answered(SessionId(session));
        }
    }
}

/// The heights that are wanted of screens, where that has changed, in the order of their publishers.
fn screens(rules: &mut Rules, wanted: VideoWants) -> Vec<Option<u16>> {
    let effects = rules.handle(now(), SessionId(1), Command::Want(Box::new(wanted)));
    let of = |effect: &Effect| match effect {
        Effect::Want { wants, .. } => wants.first().copied(),
        _ => None,
    };
    let mut found: Vec<_> = effects.unwrap().iter().filter_map(of).collect();
    found.retain(|(feed, _)| feed.feed == Feed::Screen);
    found.sort_by_key(|(feed, _)| feed.participant);
    found.into_iter().map(|(_, want)| want.height).collect()
}

#[test]
fn a_screen_has_a_height_of_its_own_and_comes_before_those_who_speak_but_not_while_nothing_is_shared() {
    let mut rules = room(3);
    (2..5).for_each(|other| drop(watch(&mut rules, other)));
    share(&mut rules, 2, true);
    share(&mut rules, 3, true);
    speaks(&mut rules, 4, true);
    let wanted = |last_n, screens: Heights| VideoWants {
        last_n,
        cameras: heights(&[("p3", 360)], Some(180)),
        screens,
        ..VideoWants::default()
    };
    let own = heights(&[], Some(1_080));
    assert_eq!(screens(&mut rules, wanted(9, own.clone())), [Some(1_080), Some(1_080)]);
    assert_eq!(
        screens(&mut rules, wanted(9, Heights::default())),
        [Some(180), Some(360)],
        "as the camera"
    );
    assert_eq!(
        say(&mut rules, wanted(2, Heights::default())),
        ["p2 Some(0)", "p3 Some(0)", "p4 Some(0)"],
        "both screens, and no camera"
    );
    assert_eq!(screens(&mut rules, wanted(1, own.clone())), [Some(1_080), Some(0)]);
    share(&mut rules, 4, false);
    assert_eq!(
        screens(&mut rules, wanted(3, own)),
        [Some(1_080)],
        "the third comes to nobody yet"
    );
}

#[test]
fn somebody_who_says_nothing_is_sent_twenty_five_videos() {
    let mut rules = room(26);
    for other in 2..27 {
        assert_eq!(watch(&mut rules, other), []);
    }
    let last = watch(&mut rules, 27);
    assert_eq!(lines(&rules, &last), ["p27 Some(0)"]);
    assert_eq!(speaks(&mut rules, 27, true), ["p26 Some(0)", "p27 None"]);
    // One of those who are sent leaves: the last wish that was sent is taken back.
    let effects = rules.handle(now(), SessionId(5), Command::Leave).unwrap();
    assert_eq!(lines(&rules, &effects), ["p26 None"]);
}

/// What is wanted of whom over a connection, by the newest effect about it.
fn wanted_over(effects: &[Effect], of: PeerId) -> Option<Vec<(u64, Option<u16>)>> {
    let wants = effects.iter().rev().find_map(|effect| match effect {
        Effect::Want { peer, wants } if *peer == of => Some(wants),
        _ => None,
    });
    let lines = wants?.iter().map(|(feed, want)| (feed.participant.0, want.height));
    Some(lines.collect())
}

#[test]
fn slots_count_as_other_videos_do_and_have_what_is_wanted_of_whom_they_show() {
    let mut rules = room(4);
    let conference = Conference {
        picture_slots: 3,
        ..Conference::default()
    };
    let offer = offer_of(90);
    let command = Command::OfferConference { conference, offer };
    let effects = rules.handle(now(), SessionId(1), command).unwrap();
    let negotiated = effects.iter().find_map(|effect| match effect {
        Effect::Negotiate(negotiations) => negotiations.first(),
        _ => None,
    });
    let peer = negotiated.unwrap().peer;
    let publishing = |other: u64| connection(&rules, other, &format!("p{other}")).unwrap().unwrap();
    let ids = [2, 3, 4, 5].map(|other| rules.participant_of(publishing(other)).unwrap().0);
    let wanted = VideoWants {
        last_n: 2,
        cameras: heights(&[("p3", 720)], Some(180)),
        ..VideoWants::default()
    };
    let effects = rules
        .handle(now(), SessionId(1), Command::Want(Box::new(wanted)))
        .unwrap();
    let expected = [(ids[0], Some(180)), (ids[1], Some(720)), (ids[2], Some(0))];
    assert_eq!(wanted_over(&effects, peer).unwrap(), expected);
    let speaker = connection(&rules, 5, "p5").unwrap().unwrap();
    let effects = rules.speech_changed(now(), speaker, true);
    let expected = [(ids[0], Some(180)), (ids[1], Some(0)), (ids[3], Some(180))];
    assert_eq!(wanted_over(&effects, peer).unwrap(), expected);
    let effects = rules.peer_lost(now(), speaker, true);
    let expected = [(ids[0], Some(180)), (ids[1], Some(720)), (ids[2], Some(0))];
    assert_eq!(wanted_over(&effects, peer).unwrap_or_default(), expected);
}
