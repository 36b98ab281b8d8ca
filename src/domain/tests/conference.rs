//! Connections that carry several feeds, and slots that follow the speaker.

use super::*;
use crate::ids::{Feed, FeedRef, SlotId};

const NAMES: [&str; 7] = ["anna", "ben", "carl", "dora", "emil", "fred", "gina"];

fn room_of(names: &[&str]) -> Rules {
    let mut rules = Rules::new(Limits::default());
    for (session, name) in (1..).zip(names) {
        join(&mut rules, session, "r", name).unwrap();
    }
    rules
}

fn offer_conference(rules: &mut Rules, session: u64, conference: Conference) -> Result<Vec<Effect>, Refusal> {
    let offer = offer_of(70);
    let command = Command::OfferConference { conference, offer };
    rules.handle(now(), SessionId(session), command)
}

fn watching(names: &[&str], slots: usize) -> Conference {
    Conference {
        publish: None,
        watch: names.iter().map(|name| UserFeed::camera((*name).into())).collect(),
        speaker_slots: vec![MediaKind::Video; slots],
        ..Conference::default()
    }
}

fn negotiated(effects: &[Effect]) -> &Negotiation {
    let negotiation = effects.iter().find_map(|effect| match effect {
        Effect::Negotiate(negotiations) => negotiations.first(),
        _ => None,
    });
    negotiation.expect("the offer is to be answered")
}

/// What slots are filled with: the number of the connection, the slot, and the index of the source in [`NAMES`].
fn fills(effects: &[Effect], ids: &[ParticipantId]) -> Vec<(u64, u8, Option<usize>)> {
    let fill = |effect: &Effect| match effect {
        Effect::FillSlot { peer, slot, source } => {
            let index = source.map(|source| ids.iter().position(|id| *id == source.participant).unwrap());
            Some((peer.0, slot.0, index))
        }
        _ => None,
    };
    effects.iter().filter_map(fill).collect()
}

#[test]
fn one_connection_watches_six_and_whoever_speaks() {
    let mut rules = room_of(&NAMES);
    let publishing: Vec<Negotiation> = (1..)
        .zip(NAMES)
        .map(|(session, name)| negotiated(&offer(&mut rules, session, name, session as u32).unwrap()).clone())
        .collect();
    let ids: Vec<ParticipantId> = publishing.iter().map(|one| one.participant).collect();
    let effects = offer_conference(&mut rules, 7, watching(&NAMES[..6], 1)).unwrap();
    let negotiation = negotiated(&effects);
    let mut uses: Vec<Use> = ids[..6].iter().map(|id| Use::Watch(FeedRef::camera(*id))).collect();
    uses.push(Use::Slot(SlotId(0), MediaKind::Video));
    assert_eq!((&negotiation.uses, &negotiation.subject), (&uses, &Subject::Conference));
    let peer = negotiation.peer.0;
    assert_eq!(fills(&effects, &ids), [(peer, 0, None)], "nobody has spoken");

    let mut speech =
        |speaker: usize, speaks| fills(&rules.speech_changed(now(), publishing[speaker].peer, speaks), &ids);
    assert_eq!(speech(2, true), [(peer, 0, Some(2))]);
    assert_eq!(speech(2, false), [], "the last one who spoke stays");
    assert_eq!(speech(2, true), []);
    assert_eq!(speech(4, true), [(peer, 0, Some(4))]);
    assert_eq!(
        speech(6, true),
        [],
        "nobody is shown themselves, but the one who spoke before them"
    );
    let effects = rules.leave(now(), SessionId(5));
    assert_eq!(fills(&effects, &ids), [(peer, 0, None)], "who leaves is shown no more");
    assert_eq!(
        rules.peer_count(),
        7,
        "the connection stays, though one of those whom it watches has left"
    );
}

#[test]
fn where_two_take_turns_whoever_goes_on_is_shown_when_the_other_stops() {
    let mut rules = room_of(&NAMES[..3]);
    let publishing = [(1, "anna"), (2, "ben")]
        .map(|(session, name)| negotiated(&offer(&mut rules, session, name, session as u32).unwrap()).clone());
    let ids = publishing.each_ref().map(|one| one.participant);
    let peer = negotiated(&offer_conference(&mut rules, 3, watching(&[], 1)).unwrap())
        .peer
        .0;
    let mut speech =
        |speaker: usize, speaks| fills(&rules.speech_changed(now(), publishing[speaker].peer, speaks), &ids);
    assert_eq!(speech(0, true), [(peer, 0, Some(0))]);
    assert_eq!(speech(1, true), [(peer, 0, Some(1))]);
    assert_eq!(speech(1, false), [(peer, 0, Some(0))], "she goes on");
    assert_eq!(speech(0, false), []);
}

/// Anna, Ben and Carl publish, and Dora has a slot. The connections and the participants of the three, and her connection.
fn three_and_a_slot(rules: &mut Rules) -> ([PeerId; 3], [ParticipantId; 3], u64) {
    let publishing = [(1, "anna"), (2, "ben"), (3, "carl")]
        .map(|(session, name)| negotiated(&offer(rules, session, name, session as u32).unwrap()).clone());
    let slot = negotiated(&offer_conference(rules, 4, watching(&[], 1)).unwrap()).peer;
    let peers = publishing.each_ref().map(|one| one.peer);
    (peers, publishing.map(|one| one.participant), slot.0)
}

#[test]
fn where_the_speaker_who_is_shown_leaves_whoever_goes_on_speaking_is_shown() {
    let mut rules = room_of(&NAMES[..4]);
    let ([anna, ben, carl], ids, slot) = three_and_a_slot(&mut rules);
    for (peer, speaks) in [(anna, true), (carl, true), (ben, true), (carl, false)] {
        rules.speech_changed(now(), peer, speaks);
    }
    let effects = rules.leave(now(), SessionId(2));
    assert_eq!(
        fills(&effects, &ids),
        [(slot, 0, Some(0))],
        "Carl spoke later than Anna, and is silent"
    );
    let effects = rules.leave(now(), SessionId(3));
    assert_eq!(fills(&effects, &ids), [], "who is not shown leaves unnoticed");
    rules.speech_changed(now(), anna, false);
    let effects = rules.leave(now(), SessionId(1));
    assert_eq!(fills(&effects, &ids), [(slot, 0, None)]);
}

#[test]
fn where_the_connection_of_the_speaker_who_is_shown_ends_whoever_goes_on_speaking_is_shown() {
    type End = fn(&mut Rules, PeerId) -> Vec<Effect>;
    let ends: [End; 4] = [
        |rules, ben| rules.peer_lost(now(), ben, false),
        |rules, ben| rules.peer_lost(now(), ben, true),
        |rules, ben| rules.offer_failed(now(), ben),
        |rules, _| offer(rules, 2, "ben", 20).unwrap(),
    ];
    for (at, end) in ends.into_iter().enumerate() {
        let mut rules = room_of(&NAMES[..4]);
        let ([anna, ben, _], ids, slot) = three_and_a_slot(&mut rules);
        rules.speech_changed(now(), anna, true);
        rules.speech_changed(now(), ben, true);
        let effects = end(&mut rules, ben);
        assert_eq!(fills(&effects, &ids), [(slot, 0, Some(0))], "{at}");
    }
}

#[test]
fn where_nobody_goes_on_speaking_the_last_speaker_stays_shown_without_a_connection() {
    let mut rules = room_of(&NAMES[..4]);
    let ([anna, ben, carl], ids, slot) = three_and_a_slot(&mut rules);
    rules.speech_changed(now(), ben, true);
    let effects = rules.peer_lost(now(), ben, false);
    assert_eq!(fills(&effects, &ids), []);
    rules.speech_changed(now(), anna, true);
    let effects = rules.peer_lost(now(), carl, false);
    assert_eq!(
        fills(&effects, &ids),
        [],
        "the end of another connection changes nothing"
    );
    let effects = rules.leave(now(), SessionId(1));
    assert_eq!(fills(&effects, &ids), [(slot, 0, Some(1))]);
}

#[test]
fn where_nobody_has_spoken_whoever_publishes_is_shown() {
    let mut rules = room_of(&NAMES[..4]);
    let ([anna, ben, carl], ids, slot) = three_and_a_slot(&mut rules);
    let effects = rules.peer_connected(ben);
    assert_eq!(fills(&effects, &ids), [(slot, 0, Some(1))]);
    for peer in [anna, carl] {
        let effects = rules.peer_connected(peer);
        assert_eq!(fills(&effects, &ids), [], "one is shown already");
    }
    let effects = rules.leave(now(), SessionId(2));
    assert_eq!(fills(&effects, &ids), [(slot, 0, Some(0))]);
    let effects = rules.speech_changed(now(), carl, true);
    assert_eq!(fills(&effects, &ids), [(slot, 0, Some(2))], "who speaks goes first");
    rules.leave(now(), SessionId(1));
    let effects = rules.leave(now(), SessionId(3));
    assert_eq!(fills(&effects, &ids), [(slot, 0, None)]);
}

#[test]
fn whoever_comes_later_is_shown_the_speaker_at_once() {
    let mut rules = room_of(&NAMES[..3]);
    let speaker = negotiated(&offer(&mut rules, 1, "anna", 1).unwrap()).clone();
    rules.speech_changed(now(), speaker.peer, true);
    let effects = offer_conference(&mut rules, 2, watching(&[], 2)).unwrap();
    let ids = [speaker.participant];
    let peer = negotiated(&effects).peer.0;
    assert_eq!(fills(&effects, &ids), [(peer, 0, Some(0)), (peer, 1, Some(0))]);
}

#[test]
fn a_new_offer_of_the_connection_changes_whom_it_watches() {
    let mut rules = room_of(&NAMES[..3]);
    let first = offer_conference(&mut rules, 3, watching(&["anna"], 0)).unwrap();
    let more = Conference {
        publish: Some(Feed::Camera),
        ..watching(&["anna", "ben"], 0)
    };
    let second = offer_conference(&mut rules, 3, more).unwrap();
    let (first, second) = (negotiated(&first), negotiated(&second));
    assert_eq!(first.peer, second.peer);
    assert_eq!((first.uses.len(), second.uses.len()), (1, 3));
    // The connection now publishes, so the others are sent when its media are lost.
    rules.peer_connected(second.peer);
    let effects = rules.media_changed(second.peer, MediaState::Lost);
    assert!(matches!(&effects[..], [Effect::SendEach { .. }]), "{effects:?}");
}

#[test]
fn where_a_new_offer_cannot_be_answered_the_connection_is_what_it_was() {
    let mut rules = room_of(&NAMES[..3]);
    let publishing = Conference {
        publish: Some(Feed::Camera),
        ..watching(&["anna"], 1)
    };
    let peer = negotiated(&offer_conference(&mut rules, 3, publishing).unwrap()).peer;
    rules.peer_connected(peer);
    offer_conference(&mut rules, 3, watching(&[], 0)).unwrap();
    let filled = rules.offer_refused(peer);
    assert!(matches!(filled[..], [Effect::FillSlot { .. }]), "{filled:?}");
    let lost = rules.media_changed(peer, MediaState::Lost);
    assert!(
        matches!(lost[..], [Effect::SendEach { .. }]),
        "it still publishes: {lost:?}"
    );
    assert_eq!(rules.offer_refused(PeerId(999)), []);
}

#[test]
fn a_connection_for_too_much_or_for_nobody_is_refused_and_changes_nothing() {
    let mut rules = room_of(&NAMES[..2]);
    let refused = [
        (watching(&["nobody"], 0), Refusal::UnknownParticipant),
        (watching(&["anna"], 0), Refusal::UnknownParticipant),
        (watching(&["ben"; 201], 0), Refusal::TooManyUses),
        (watching(&[], 17), Refusal::TooManyUses),
    ];
    for (conference, refusal) in refused {
        assert_eq!(offer_conference(&mut rules, 1, conference), Err(refusal));
    }
    assert_eq!(rules.peer_count(), 0);
    let outside = offer_conference(&mut rules, 9, watching(&[], 1));
    assert_eq!(outside, Err(Refusal::NotInRoom));
}

#[test]
fn a_screen_is_a_connection_of_its_own_and_its_end_is_not_the_end_of_its_participant() {
    let mut rules = room_of(&NAMES[..2]);
    let camera = negotiated(&offer(&mut rules, 1, "anna", 1).unwrap()).peer;
    let screen = offer_screen(&mut rules, 2);
    assert_eq!(rules.offer_answered(SessionId(1)), anna_publishes(&[Feed::Screen]));
    rules.peer_connected(camera);
    rules.peer_connected(screen);
    assert_eq!(rules.media_changed(screen, MediaState::Lost), []);
    let mut sent = anna_publishes(&[]);
    sent.push(ended(1, screen_of_anna()));
    assert_eq!(rules.peer_lost(now(), screen, false), sent, "the screen alone is over");
    assert_eq!(rules.poll_timeout(), None, "nobody misses the participant");
    rules.peer_lost(now(), camera, false);
    assert!(rules.poll_timeout().is_some());
}

#[test]
fn a_participant_ends_one_of_their_connections_and_is_sent_nothing_about_it() {
    let mut rules = room_of(&NAMES[..2]);
    let camera = negotiated(&offer(&mut rules, 1, "anna", 1).unwrap()).peer;
    let peer = offer_screen(&mut rules, 2);
    rules.offer_answered(SessionId(1));
    rules.peer_connected(camera);
    rules.peer_connected(peer);
    let mut end = |session, subject| rules.handle(now(), SessionId(session), Command::EndConnection { subject });
    let screen = || Subject::Feed(screen_of_anna());
    assert_eq!(end(2, screen()), Ok(Vec::new()), "he does not watch it");
    let effects = end(1, screen()).unwrap();
    assert!(matches!(effects[0], Effect::ClosePeer { peer: closed, .. } if closed == peer));
    assert_eq!(effects[1..], anna_publishes(&[]));
    assert_eq!(end(1, screen()), Ok(Vec::new()), "it is over");
    assert_eq!(end(9, screen()), Err(Refusal::NotInRoom));
    assert_eq!(rules.poll_timeout(), None);
    let subject = Subject::Feed(UserFeed::camera("anna".into()));
    let effects = rules.handle(now(), SessionId(1), Command::EndConnection { subject });
    assert!(matches!(effects.unwrap()[..], [Effect::ClosePeer { peer, .. }] if peer == camera));
    assert_eq!(rules.poll_timeout(), None, "nobody misses what was ended on purpose");
    assert_eq!(rules.peer_count(), 0);
}

/// Anna, of session 1, offers a connection for her screen.
fn offer_screen(rules: &mut Rules, number: u32) -> PeerId {
    let (subject, offer) = (screen_of_anna(), offer_of(number));
    let effects = rules.handle(now(), SessionId(1), Command::Offer { subject, offer });
    let effects = effects.unwrap();
    let sent = |effect: &Effect| matches!(effect, Effect::Send { .. } | Effect::SendEach { .. });
    assert!(!effects.iter().any(sent), "before the answer: {effects:?}");
    negotiated(&effects).peer
}

fn screen_of_anna() -> UserFeed {
    UserFeed {
        user: "anna".into(),
        feed: Feed::Screen,
    }
}

/// What Ben, of session 2, is sent.
fn anna_publishes(feeds: &[Feed]) -> Vec<Effect> {
    let (user, feeds) = ("anna".into(), feeds.to_vec());
    let event = Event::FurtherFeeds { user, feeds };
    let sessions = vec![SessionId(2)];
    vec![Effect::SendEach { sessions, event }]
}

#[test]
fn a_screen_whose_offer_is_not_answered_is_announced_to_nobody() {
    let mut rules = room_of(&NAMES[..2]);
    for number in [1, 2] {
        let bad = offer_screen(&mut rules, number);
        assert_eq!(rules.offer_failed(now(), bad), []);
        assert_eq!(rules.offer_answered(SessionId(1)), []);
    }
    let peer = offer_screen(&mut rules, 3);
    assert_eq!(rules.offer_answered(SessionId(1)), anna_publishes(&[Feed::Screen]));
    offer_screen(&mut rules, 3);
    assert_eq!(rules.offer_refused(peer), [], "it goes on as before");
    let bad = offer_screen(&mut rules, 4);
    let sent = anna_publishes(&[]);
    assert_eq!(
        rules.offer_failed(now(), bad),
        sent,
        "it has taken the place of the good one"
    );
}

#[test]
fn what_a_connection_for_several_feeds_publishes_is_announced_when_its_offer_is_answered() {
    let mut rules = room_of(&NAMES[..2]);
    let screen = || Conference {
        publish: Some(Feed::Screen),
        ..watching(&[], 0)
    };
    let peer = negotiated(&offer_conference(&mut rules, 1, watching(&[], 0)).unwrap()).peer;
    assert_eq!(rules.offer_answered(SessionId(1)), []);
    offer_conference(&mut rules, 1, screen()).unwrap();
    assert_eq!(rules.offer_refused(peer), []);
    assert_eq!(rules.offer_answered(SessionId(1)), []);
    offer_conference(&mut rules, 1, screen()).unwrap();
    assert_eq!(rules.offer_answered(SessionId(1)), anna_publishes(&[Feed::Screen]));
    let still = offer_conference(&mut rules, 1, watching(&[], 0)).unwrap();
    assert!(matches!(still[..], [Effect::Negotiate(_)]), "{still:?}");
    assert_eq!(rules.offer_refused(peer), [], "the screen goes on");
    offer_conference(&mut rules, 1, watching(&[], 0)).unwrap();
    assert_eq!(rules.offer_answered(SessionId(1)), anna_publishes(&[]));
}
