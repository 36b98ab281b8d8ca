//! Slots that share a section: who is heard and shown in them, and what their participants are sent of it.

use super::*;
use crate::ids::{Feed, FeedRef, SlotId};

const NAMES: [&str; 8] = ["anna", "ben", "carl", "dora", "emil", "fred", "gina", "hugo"];

/// A room in which the first people of [`NAMES`] publish. Their connections.
fn room_of(count: usize) -> (Rules, Vec<Negotiation>) {
    let mut rules = Rules::new(Limits::default());
    let publishing = (1..).zip(&NAMES[..count]).map(|(session, name)| {
        join(&mut rules, session, "r", name).unwrap();
        let negotiation = negotiated(&offer(&mut rules, session, name, session as u32).unwrap());
        rules.offer_answered(SessionId(session));
        rules.peer_connected(negotiation.peer);
        negotiation
    });
    let publishing = publishing.collect();
    (rules, publishing)
}

fn negotiated(effects: &[Effect]) -> Negotiation {
    let negotiation = effects.iter().find_map(|effect| match effect {
        Effect::Negotiate(negotiations) => negotiations.first(),
        _ => None,
    });
    negotiation.expect("the offer is to be answered").clone()
}

fn slots(sound_slots: u8, picture_slots: u8, presentation: bool) -> Conference {
    Conference {
        sound_slots,
        picture_slots,
        presentation,
        ..Conference::default()
    }
}

fn offers(
    rules: &mut Rules,
    session: u64,
    conference: Conference,
    number: u32,
) -> Result<(Negotiation, Vec<Effect>), Refusal> {
    let offer = offer_of(number);
    let command = Command::OfferConference { conference, offer };
    let effects = rules.handle(now(), SessionId(session), command)?;
    Ok((negotiated(&effects), effects))
}

/// A viewer, who publishes nothing, with these slots. What they are sent with the answer.
fn view(rules: &mut Rules, conference: Conference) -> (Negotiation, Vec<String>) {
    join(rules, 9, "r", "viewer").unwrap();
    let (negotiation, effects) = offers(rules, 9, conference, 90).unwrap();
    assert_eq!(layouts(&effects, 9), Vec::<String>::new(), "not before the answer");
    let answered = rules.offer_answered(SessionId(9));
    (negotiation, layouts(&answered, 9))
}

/// What a session is sent of who is in its slots: the slot and the user, `-` for nobody, with `*` for a screen.
fn layouts(effects: &[Effect], to: u64) -> Vec<String> {
    let line = |slots: &[(SlotId, Option<UserFeed>)]| {
        let one = |(slot, feed): &(SlotId, Option<UserFeed>)| match feed {
            Some(feed) if feed.feed == Feed::Screen => format!("{} {}*", slot.0, feed.user),
            Some(feed) => format!("{} {}", slot.0, feed.user),
            None => format!("{} -", slot.0),
        };
        slots.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let layouts = effects.iter().filter_map(|effect| match effect {
        Effect::Send {
            session,
            event: Event::Layout { slots, .. },
        } if session.0 == to => Some(line(slots)),
        _ => None,
    });
    layouts.collect()
}

/// Slots of the connection `peer` that change, by number, with the participants who are in them from now on.
fn fills(effects: &[Effect], of: PeerId) -> Vec<(u8, Option<FeedRef>)> {
    let fills = effects.iter().filter_map(|effect| match effect {
        Effect::FillSlot { peer, slot, source } if *peer == of => Some((slot.0, *source)),
        _ => None,
    });
    fills.collect()
}

#[test]
fn slots_of_sound_share_a_section_and_so_do_slots_of_pictures_and_the_presentation() {
    let (mut rules, _) = room_of(1);
    let (negotiation, _) = view(
        &mut rules,
        Conference {
            publish: Some(Feed::Camera),
            ..slots(2, 2, true)
        },
    );
    let slot = |id, part, joins| {
        let id = SlotId(id);
        Use::StageSlot(StageSlot { id, part, joins })
    };
    let expected = [
        Use::Publish(Feed::Camera),
        slot(0, StagePart::Sound, false),
        slot(1, StagePart::Sound, true),
        slot(2, StagePart::Picture, false),
        slot(3, StagePart::Picture, true),
        slot(4, StagePart::Presentation, true),
    ];
    assert_eq!(negotiation.uses, expected);
}

#[test]
fn a_plain_participant_hears_everybody_and_sees_the_speaker() {
    let (mut rules, publishing) = room_of(3);
    let (viewer, layout) = view(&mut rules, slots(5, 1, false));
    assert_eq!(layout, ["0 anna, 1 ben, 2 carl, 3 -, 4 -, 5 anna"]);
    let effects = rules.speech_changed(now(), publishing[2].peer, true);
    let [anna, carl] = [0, 2].map(|at| Some(FeedRef::camera(publishing[at].participant)));
    let expected = [(0, carl), (2, anna), (5, carl)];
    assert_eq!(
        fills(&effects, viewer.peer),
        expected,
        "the first stream is played by all"
    );
    assert_eq!(layouts(&effects, 9), ["0 carl, 1 ben, 2 anna, 3 -, 4 -, 5 carl"]);
    let effects = rules.speech_changed(now(), publishing[2].peer, false);
    assert_eq!((fills(&effects, viewer.peer), layouts(&effects, 9)), (vec![], vec![]));
}

#[test]
fn nobody_hears_or_sees_themselves() {
    let (mut rules, publishing) = room_of(2);
    let both = Conference {
        publish: Some(Feed::Camera),
        ..slots(5, 2, false)
    };
    // It is another connection than that over which Anna published until now.
    let (anna, effects) = offers(&mut rules, 1, both, 10).unwrap();
    let ben = Some(FeedRef::camera(publishing[1].participant));
    let expected = [
        (0, ben),
        (1, None),
        (2, None),
        (3, None),
        (4, None),
        (5, ben),
        (6, None),
    ];
    assert_eq!(fills(&effects, anna.peer), expected);
    let effects = rules.speech_changed(now(), publishing[0].peer, true);
    assert_eq!(fills(&effects, anna.peer), []);
}

#[test]
fn of_many_those_who_spoke_last_are_heard_and_whoever_stays_keeps_their_slot() {
    let (mut rules, publishing) = room_of(8);
    let (viewer, layout) = view(&mut rules, slots(5, 3, false));
    assert_eq!(layout, ["0 anna, 1 ben, 2 carl, 3 dora, 4 emil, 5 anna, 6 ben, 7 carl"]);
    let effects = rules.speech_changed(now(), publishing[6].peer, true);
    assert_eq!(
        layouts(&effects, 9),
        ["0 gina, 1 ben, 2 carl, 3 dora, 4 anna, 5 anna, 6 ben, 7 gina"]
    );
    let gina = Some(FeedRef::camera(publishing[6].participant));
    let anna = Some(FeedRef::camera(publishing[0].participant));
    let expected = [(0, gina), (4, anna), (7, gina)];
    assert_eq!(fills(&effects, viewer.peer), expected, "and no other slot");
    let effects = rules.leave(now(), SessionId(1));
    assert_eq!(
        layouts(&effects, 9),
        ["0 gina, 1 ben, 2 carl, 3 dora, 4 emil, 5 carl, 6 ben, 7 gina"]
    );
}

#[test]
fn whoever_publishes_no_longer_gives_up_their_slot_and_gets_one_when_they_are_back() {
    let (mut rules, publishing) = room_of(2);
    view(&mut rules, slots(2, 0, false));
    let lost = rules.media_changed(publishing[0].peer, MediaState::Lost);
    assert_eq!(layouts(&lost, 9), ["0 ben, 1 -"]);
    let back = rules.media_changed(publishing[0].peer, MediaState::Back);
    assert_eq!(layouts(&back, 9), ["0 anna, 1 ben"]);
    let ended = rules.peer_lost(now(), publishing[1].peer, true);
    assert_eq!(layouts(&ended, 9), ["0 anna, 1 -"], "the client has ended it");
    rules.peer_lost(now(), publishing[0].peer, false);
    let due = rules.poll_timeout().expect("they are missed");
    assert_eq!(
        layouts(&rules.handle_timeout(due), 9),
        ["0 -, 1 -"],
        "when the others are sent it"
    );
}

#[test]
fn who_may_publish_no_sound_takes_no_slot_of_sound() {
    let (mut rules, _) = room_of(1);
    let stay = Stay {
        publishes: PublishRights {
            audio: false,
            video: true,
        },
        ..Stay::default()
    };
    let command = joining((RoomKind::Group, "r"), "mute", Claim::Unproven, stay);
    rules.handle(now(), SessionId(5), command).unwrap();
    let mute = negotiated(&offer(&mut rules, 5, "mute", 50).unwrap());
    rules.peer_connected(mute.peer);
    let (_, layout) = view(&mut rules, slots(2, 2, false));
    assert_eq!(layout, ["0 anna, 1 -, 2 anna, 3 mute"]);
}

#[test]
fn a_presentation_comes_over_a_connection_of_its_own_and_ends_with_its_screen() {
    let (mut rules, _) = room_of(2);
    let (meeting, _) = view(&mut rules, slots(1, 1, false));
    let (presentation, _) = offers(&mut rules, 9, slots(0, 0, true), 91).unwrap();
    assert_ne!(meeting.peer, presentation.peer);
    assert_eq!(presentation.subject, Subject::Presentation);
    assert_eq!(layouts(&rules.offer_answered(SessionId(9)), 9), ["0 -"]);

    let subject = UserFeed {
        user: "ben".into(),
        feed: Feed::Screen,
    };
    let command = Command::Offer {
        subject,
        offer: offer_of(20),
    };
    let effects = rules.handle(now(), SessionId(2), command).unwrap();
    let screen = negotiated(&effects);
    assert_eq!(
        layouts(&effects, 9),
        Vec::<String>::new(),
        "its offer is not answered yet"
    );
    let effects = rules.offer_answered(SessionId(2));
    let source = FeedRef {
        participant: screen.participant,
        feed: Feed::Screen,
    };
    assert_eq!(fills(&effects, presentation.peer), [(0, Some(source))]);
    assert_eq!(fills(&effects, meeting.peer), []);
    assert_eq!(layouts(&effects, 9), ["0 ben*"]);
    let effects = rules.peer_lost(now(), screen.peer, false);
    assert_eq!(layouts(&effects, 9), ["0 -"]);
}

#[test]
fn where_a_new_offer_cannot_be_answered_the_slots_are_what_they_were() {
    let (mut rules, publishing) = room_of(2);
    let (viewer, _) = view(&mut rules, slots(2, 0, false));
    offers(&mut rules, 9, slots(1, 1, false), 90).unwrap();
    let effects = rules.offer_refused(viewer.peer);
    let of = |at: usize| Some(FeedRef::camera(publishing[at].participant));
    assert_eq!(fills(&effects, viewer.peer), [(0, of(0)), (1, of(1))]);
    assert_eq!(layouts(&effects, 9), ["0 anna, 1 ben"]);
}

#[test]
fn more_slots_than_a_section_may_have_are_refused() {
    let (mut rules, _) = room_of(1);
    for conference in [slots(6, 0, false), slots(0, 17, false)] {
        assert_eq!(
            offers(&mut rules, 1, conference, 10).map(|_| ()),
            Err(Refusal::TooManyUses)
        );
    }
    assert!(offers(&mut rules, 1, slots(5, 16, true), 10).is_ok());
}

fn host_commands(rules: &mut Rules, command: MeetingCommand) -> Vec<Effect> {
    rules.handle(now(), SessionId(8), Command::Meeting(command)).unwrap()
}

#[test]
fn whoever_is_spotlit_is_shown_and_whoever_is_muted_gives_up_their_slots() {
    let (mut rules, publishing) = room_of(3);
    let host = Stay {
        role: Role::Host,
        ..Stay::default()
    };
    let command = joining((RoomKind::Group, "r"), "host", Claim::Unproven, host);
    rules.handle(now(), SessionId(8), command).unwrap();
    view(&mut rules, slots(2, 1, false));
    rules.speech_changed(now(), publishing[0].peer, true);
    let user = |name: &str| name.into();
    let spotlight = |on| MeetingCommand::Spotlight { user: user("carl"), on };
    let effects = host_commands(&mut rules, spotlight(true));
    assert_eq!(
        layouts(&effects, 9),
        ["0 anna, 1 ben, 2 carl"],
        "seen, and heard no sooner"
    );
    let effects = host_commands(&mut rules, spotlight(false));
    assert_eq!(layouts(&effects, 9), ["0 anna, 1 ben, 2 anna"]);
    let mute = |media, muted| MeetingCommand::Mute {
        user: user("anna"),
        media,
        muted,
    };
    let effects = host_commands(&mut rules, mute(MediaKind::Audio, true));
    assert_eq!(layouts(&effects, 9), ["0 ben, 1 carl, 2 anna"]);
    let effects = host_commands(&mut rules, mute(MediaKind::Video, true));
    assert_eq!(layouts(&effects, 9), ["0 ben, 1 carl, 2 ben"]);
    let effects = host_commands(&mut rules, mute(MediaKind::Audio, false));
    assert_eq!(layouts(&effects, 9), ["0 anna, 1 ben, 2 ben"]);
}
