//! Calls of which one side brings an offer, and the other goes into a room by itself.

use super::*;
use crate::domain::tests::joining;
use crate::domain::{MediaKind, Negotiation, RoomKind, StagePart, Stay, Subject};
use crate::ids::{FeedRef, PeerId};

const ROOM: &str = "call-1";

const BRINGS: Abilities = Abilities {
    rings_carried: true,
    ..Abilities::NONE
};
const GOES: Abilities = Abilities {
    rings_elsewhere: true,
    ..Abilities::NONE
};
const GOES_AND_IS_SENT_MESSAGES: Abilities = Abilities { messages: true, ..GOES };

impl Exchange {
    fn come(&mut self, session: u64, who: &str, abilities: Abilities) {
        let registration = registration(name(who), Newcomer::Joins);
        let register = Command::Register(Registration {
            abilities,
            ..registration
        });
        self.effects(session, register).unwrap();
    }

    fn invite(&mut self, session: u64, to: &str, offer: Option<Offer>) -> Result<Vec<Effect>, Refusal> {
        let room = ROOM.into();
        let media = CallMedia::Either { offer, room };
        self.effects(session, invite(vec![name(to)], media, WhenBusy::Ring).into())
    }

    fn answer(&mut self, session: u64, from: &str, offer: Option<Offer>) -> Result<Vec<Effect>, Refusal> {
        self.effects(session, answer_to(name(from), CallAnswer::Accept(offer)).into())
    }

    fn effects(&mut self, session: u64, command: Command) -> Result<Vec<Effect>, Refusal> {
        self.rules.handle(self.now, SessionId(session), command)
    }

    fn go(&mut self, session: u64, who: &str) -> Vec<Effect> {
        let join = joining((RoomKind::Group, ROOM), who, Claim::Unproven, Stay::default());
        self.effects(session, join).unwrap()
    }
}

/// Anna brings offers (1), Ben goes into rooms (2).
fn two_kinds() -> Exchange {
    let mut exchange = Exchange::new(Limits::default());
    exchange.come(1, "anna", BRINGS);
    exchange.come(2, "ben", GOES);
    exchange
}

fn rings_at(effects: &[Effect]) -> Vec<(u64, Option<&str>)> {
    let ring = |effect| match effect {
        &Effect::Send {
            session,
            event: Event::Call(CallEvent::Incoming { ref room, .. }),
        } => Some((session.0, room.as_ref().map(RoomName::as_str))),
        _ => None,
    };
    effects.iter().filter_map(ring).collect()
}

fn answered(effects: &[Effect]) -> &Negotiation {
    let negotiations = effects.iter().find_map(|effect| match effect {
        Effect::Negotiate(negotiations) => Some(negotiations),
        _ => None,
    });
    let [only] = &negotiations.expect("an offer is answered")[..] else {
        panic!("one offer is answered");
    };
    only
}

fn ends_of(effects: &[Effect]) -> Vec<(u64, CallEnd)> {
    let end = |effect: &Effect| match effect {
        Effect::Send {
            session,
            event: Event::Call(CallEvent::Over(over)),
        } => Some((session.0, over.reason)),
        _ => None,
    };
    effects.iter().filter_map(end).collect()
}

/// What the one connection of a party is for that was brought into the room.
fn check_uses(negotiation: &Negotiation, side: Side) -> PeerId {
    let slots = |part| {
        let uses = negotiation.uses.iter();
        uses.filter(|one| matches!(one, Use::StageSlot(slot) if slot.part == part))
            .count()
    };
    assert_eq!(negotiation.uses[0], Use::Publish(crate::ids::Feed::Camera));
    assert_eq!((slots(StagePart::Sound), slots(StagePart::Picture)), (5, 1));
    assert!(matches!(negotiation.subject, Subject::Call { side: of, .. } if of == side));
    negotiation.peer
}

#[test]
fn a_caller_with_an_offer_is_brought_to_a_callee_who_goes_into_the_room() {
    let mut exchange = two_kinds();
    let effects = exchange.invite(1, "ben", Some(offer())).unwrap();
    assert_eq!(rings_at(&effects), [(2, Some(ROOM))]);
    let effects = exchange.answer(2, "anna", None).unwrap();
    let anna = check_uses(answered(&effects), Side::Caller);
    assert_eq!(exchange.counts(), [1, 2, 1, 1, 1]);
    let effects = exchange.go(2, "ben");
    let greeting = effects.iter().find_map(|effect| match effect {
        Effect::Send {
            event: Event::Joined { others },
            ..
        } => Some(others),
        _ => None,
    });
    assert_eq!(greeting.unwrap()[0].user, "anna".into());

    // Each sees the other, as soon as both publish.
    let publish = Command::OfferConference {
        conference: crate::domain::Conference {
            publish: Some(crate::ids::Feed::Camera),
            speaker_slots: vec![MediaKind::Video],
            ..Default::default()
        },
        offer: offer(),
    };
    let effects = exchange.effects(2, publish).unwrap();
    let ben = answered(&effects);
    let (ben, his_feed) = (ben.peer, FeedRef::camera(ben.participant));
    let hers = FeedRef::camera(exchange.rules.participant_of(anna).unwrap());
    let mut shown: Vec<(PeerId, Option<FeedRef>)> = Vec::new();
    for peer in [anna, ben] {
        let filled = exchange.rules.peer_connected(peer).into_iter();
        shown.extend(filled.filter_map(|effect| match effect {
            Effect::FillSlot { peer, source, .. } => Some((peer, source)),
            _ => None,
        }));
    }
    assert!(shown.contains(&(anna, Some(his_feed))), "{shown:?}");
    assert!(shown.contains(&(ben, Some(hers))), "{shown:?}");

    // While she is in the call, it alone decides about her room.
    assert_eq!(exchange.effects(1, Command::Leave), Err(Refusal::InCall));
    let renewed = exchange
        .effects(1, CallCommand::Renew { offer: offer() }.into())
        .unwrap();
    check_uses(answered(&renewed), Side::Caller);
    let effects = exchange
        .effects(1, CallCommand::HangUp { with: None, room: None }.into())
        .unwrap();
    assert_eq!(ends_of(&effects), [(2, CallEnd::HungUp)]);
    assert_eq!(exchange.counts(), [0, 2, 1, 1, 1], "Ben is still in the room");
}

#[test]
fn a_callee_with_an_offer_is_brought_to_a_caller_who_goes_into_the_room() {
    let mut exchange = two_kinds();
    let effects = exchange.invite(2, "anna", None).unwrap();
    assert_eq!(rings_at(&effects), [(1, Some(ROOM))]);
    let effects = exchange.answer(1, "ben", Some(offer())).unwrap();
    assert_eq!(outline(&effects[..1]), ["send 2: anna accepts for call-1"]);
    check_uses(answered(&effects), Side::Callee);
    exchange.go(2, "ben");
    assert_eq!(exchange.counts()[3], 2);
    // Whoever goes by themselves may leave the room; the call goes on until their session ends.
    exchange.effects(2, Command::Leave).unwrap();
    assert_eq!(exchange.counts()[0], 1);
    let effects = exchange.rules.leave(exchange.now, SessionId(2));
    assert_eq!(ends_of(&effects), [(1, CallEnd::Lost)]);
    assert_eq!(exchange.counts(), [0, 1, 0, 0, 0], "Anna is brought out of the room");
}

#[test]
fn where_both_bring_an_offer_the_call_is_carried_and_where_neither_does_they_meet() {
    let mut exchange = two_kinds();
    exchange.come(3, "carl", BRINGS);
    exchange.come(4, "dora", GOES);
    exchange.invite(1, "carl", Some(offer())).unwrap();
    let accepted = exchange.answer(3, "anna", Some(offer())).unwrap();
    assert_eq!(outline(&accepted), ["open room", "answer 3, 1"]);
    exchange.hang_up(1).unwrap();
    exchange.invite(2, "dora", None).unwrap();
    let accepted = exchange.answer(4, "ben", None).unwrap();
    assert_eq!(outline(&accepted), ["send 2: dora accepts for call-1"]);
    assert_eq!(exchange.counts(), [1, 4, 0, 0, 0]);
}

#[test]
fn a_call_with_an_offer_does_not_ring_where_a_message_invites() {
    let mut exchange = two_kinds();
    exchange.come(3, "carl", GOES_AND_IS_SENT_MESSAGES);
    assert_eq!(exchange.invite(1, "carl", Some(offer())), Err(Refusal::NotReachable));
    assert_eq!(
        rings_at(&exchange.invite(2, "carl", None).unwrap()),
        [(3, Some(ROOM))],
        "but one without does"
    );
    exchange.come(4, "carl", GOES);
    assert_eq!(
        rings_at(&exchange.invite(1, "carl", Some(offer())).unwrap()),
        [(4, Some(ROOM))]
    );
}

#[test]
fn a_call_ends_when_the_connection_of_who_was_brought_is_lost_and_not_when_another_is() {
    let mut exchange = two_kinds();
    exchange.invite(1, "ben", Some(offer())).unwrap();
    let effects = exchange.answer(2, "anna", None).unwrap();
    let anna = answered(&effects).peer;
    exchange.go(2, "ben");
    let publish = Command::OfferConference {
        conference: crate::domain::Conference {
            publish: Some(crate::ids::Feed::Camera),
            ..Default::default()
        },
        offer: offer(),
    };
    let effects = exchange.effects(2, publish).unwrap();
    let ben = answered(&effects).peer;
    let effects = exchange.rules.peer_lost(exchange.now, ben, false);
    assert_eq!(ends_of(&effects), [], "he may offer again");
    let effects = exchange.rules.peer_lost(exchange.now, anna, false);
    assert_eq!(ends_of(&effects), [(1, CallEnd::Lost), (2, CallEnd::Lost)]);
    assert_eq!(exchange.counts(), [0, 2, 1, 1, 0]);
}

#[test]
fn an_offer_that_cannot_be_answered_or_seated_ends_the_call() {
    let mut exchange = two_kinds();
    exchange.invite(1, "ben", Some(offer())).unwrap();
    let effects = exchange.answer(2, "anna", None).unwrap();
    let anna = answered(&effects).peer;
    let effects = exchange.rules.offer_failed(exchange.now, anna);
    assert_eq!(ends_of(&effects), [(1, CallEnd::Failed), (2, CallEnd::Failed)]);
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);

    let limits = Limits {
        rooms: 0,
        ..Limits::default()
    };
    let mut exchange = Exchange::new(limits);
    exchange.come(1, "anna", BRINGS);
    exchange.come(2, "ben", GOES);
    exchange.invite(1, "ben", Some(offer())).unwrap();
    let effects = exchange.answer(2, "anna", None).unwrap();
    assert_eq!(ends_of(&effects), [(1, CallEnd::Failed), (2, CallEnd::Failed)]);
    assert_eq!(exchange.counts(), [0, 2, 0, 0, 0]);
}

#[test]
fn a_device_and_somebody_who_is_none_meet_in_a_group_room_whoever_has_called() {
    for device_calls in [true, false] {
        let mut exchange = Exchange::new(Limits::default());
        exchange.register(1, device("11"), Newcomer::Inherits);
        exchange.come(2, "ben", GOES);
        let (caller, to, callee, from) = match device_calls {
            true => (1, name("ben"), 2, device("11")),
            false => (2, device("11"), 1, name("ben")),
        };
        let room = ROOM.into();
        let media = CallMedia::Either { offer: None, room };
        exchange.send(caller, invite(vec![to], media, WhenBusy::Ring)).unwrap();
        exchange
            .send(callee, answer_to(from, CallAnswer::Accept(None)))
            .unwrap();
        exchange.go(2, "ben");
        let page = joining((RoomKind::Pair, ROOM), "11", Claim::Unproven, Stay::default());
        exchange.effects(3, page).unwrap();
        assert_eq!(exchange.counts()[2..4], [1, 2], "one room, with both");
    }
}
