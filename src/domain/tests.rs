//! Tests of what only the list of effects shows: their order across sessions, and the limits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

mod claims;
mod coming_back;
mod conference;
mod lost;
mod meeting;
mod outline;
mod playing;
mod stage;
mod stays;
mod waiting;
mod wants;

/// Any time: nothing that is tested here waits.
fn now() -> Instant {
    some_instant()
}

/// Abilities of a session at which any call rings.
const RINGS: Abilities = Abilities {
    rings_carried: true,
    rings_elsewhere: true,
    messages: false,
};

fn person(name: &str) -> Person {
    Person::unnamed(name.into())
}

/// A join that does not connect at once. The room is `room` of its kind.
pub(super) fn joining((kind, room): (RoomKind, &str), name: &str, claim: Claim, stay: Stay) -> Command {
    Command::Join {
        turn: Turn(0),
        kind,
        room: room.into(),
        person: person(name),
        claim,
        stay,
        connects: false,
    }
}

fn join(rooms: &mut Rules, session: u64, room: &str, name: &str) -> Result<Vec<Effect>, Refusal> {
    let command = joining((RoomKind::Group, room), name, Claim::Unproven, Stay::default());
    rooms.handle(now(), SessionId(session), command)
}

/// An offer of connection `number`, of which nothing else is known.
fn offer_of(number: u32) -> Offer {
    let text = format!("o=- {number} 1\r\na=fingerprint:{number}\r\na=ice-ufrag:{number}\r\n");
    Offer {
        description: Description::read(&text),
        tag: None,
    }
}

/// Offers connection `number`, about `subject`.
fn offer(rooms: &mut Rules, session: u64, subject: &str, number: u32) -> Result<Vec<Effect>, Refusal> {
    let (subject, offer) = (UserFeed::camera(subject.into()), offer_of(number));
    rooms.handle(now(), SessionId(session), Command::Offer { subject, offer })
}

/// The kinds of effects, with whom they concern.
fn outline(effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| match effect {
        Effect::OpenRoom(_) => "open room".to_owned(),
        Effect::CloseRoom(_) => "close room".to_owned(),
        Effect::ClosePeer { .. } => "close peer".to_owned(),
        Effect::Negotiate(offers) => format!("negotiate for {}", offers[0].session),
        Effect::Dismiss { session, reason } => format!("dismiss {session}: {reason:?}"),
        Effect::Send { session, event } => {
            let what = match event {
                Event::Joined { others } => format!("joined {}", others.len()),
                Event::ParticipantArrived { person } => format!("{} arrived", person.user),
                Event::ParticipantLeft { user } => format!("{user} left"),
                Event::ConnectionEnded { .. } => "connection ended".to_owned(),
                other => format!("{other:?}"),
            };
            format!("send {session}: {what}")
        }
        Effect::FillSlot { slot, source, .. } => {
            let source = source.map_or("nothing".to_owned(), |source| source.participant.to_string());
            format!("fill slot {} with {source}", slot.0)
        }
        Effect::Mute { peer, muted } => format!("mute {peer}: {muted:?}"),
        Effect::Want { peer, wants } => format!("want {peer}: {wants:?}"),
        Effect::Play(playback) => format!("play {:?}", playback.feed.feed),
        Effect::SendEach { .. } | Effect::Mailbox(_) | Effect::Push(_) => format!("none of a room's: {effect:?}"),
    };
    effects.iter().map(line).collect()
}

fn connection(rules: &Rules, session: u64, subject: &str) -> Result<Option<PeerId>, Refusal> {
    rules.connection(SessionId(session), &UserFeed::camera(subject.into()))
}

#[test]
fn the_others_are_sent_it_before_the_newcomer() {
    let mut rooms = Rules::new(Limits::default());
    let first = join(&mut rooms, 1, "r", "anna").unwrap();
    assert_eq!(outline(&first), ["open room", "send 1: joined 0"]);
    join(&mut rooms, 2, "r", "ben").unwrap();
    let third = join(&mut rooms, 3, "r", "carl").unwrap();
    let expected = ["send 1: carl arrived", "send 2: carl arrived", "send 3: joined 2"];
    assert_eq!(outline(&third), expected);
}

#[test]
fn a_replaced_session_is_dismissed_first_and_its_room_stays_open() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    join(&mut rooms, 2, "r", "ben").unwrap();
    offer(&mut rooms, 1, "anna", 1).unwrap();
    let expected = [
        "dismiss 1: Replaced",
        "close peer",
        "send 2: anna left",
        "send 2: anna arrived",
        "send 3: joined 1",
    ];
    assert_eq!(outline(&join(&mut rooms, 3, "r", "anna").unwrap()), expected);

    rooms.leave(now(), SessionId(2));
    let alone = join(&mut rooms, 4, "r", "anna").unwrap();
    assert_eq!(outline(&alone), ["dismiss 3: Replaced", "send 4: joined 0"]);
}

#[test]
fn the_last_to_leave_closes_the_room_and_nothing_is_kept() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    join(&mut rooms, 2, "r", "ben").unwrap();
    offer(&mut rooms, 1, "anna", 1).unwrap();
    offer(&mut rooms, 1, "ben", 2).unwrap();
    offer(&mut rooms, 2, "anna", 3).unwrap();
    let expected = ["close peer", "close peer", "close peer", "send 2: anna left"];
    assert_eq!(outline(&rooms.leave(now(), SessionId(1))), expected);
    assert_eq!(outline(&rooms.leave(now(), SessionId(2))), ["close room"]);
    let counts = (rooms.room_count(), rooms.participant_count(), rooms.peer_count());
    assert_eq!(counts, (0, 0, 0));
    assert_eq!(rooms.leave(now(), SessionId(2)), []);
}

#[test]
fn a_connection_that_ended_by_itself_is_forgotten_and_not_closed_again() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    let Some(Effect::Negotiate(offers)) = offer(&mut rooms, 1, "anna", 1).unwrap().pop() else {
        panic!("the offer is to be answered");
    };
    rooms.peer_lost(now(), offers[0].peer, false);
    assert_eq!(connection(&rooms, 1, "anna"), Ok(None));
    let again = offer(&mut rooms, 1, "anna", 1).unwrap();
    assert_eq!(outline(&again), ["negotiate for 1"]);
    assert_eq!(outline(&rooms.leave(now(), SessionId(1))), ["close peer", "close room"]);
}

#[test]
fn a_connection_is_of_its_owner_and_its_subject() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    join(&mut rooms, 2, "r", "ben").unwrap();
    offer(&mut rooms, 2, "anna", 1).unwrap();
    assert!(matches!(connection(&rooms, 2, "anna"), Ok(Some(_))));
    assert_eq!(connection(&rooms, 2, "ben"), Ok(None));
    assert_eq!(connection(&rooms, 1, "anna"), Ok(None));
    assert_eq!(connection(&rooms, 1, "carl"), Err(Refusal::UnknownParticipant));
    assert_eq!(connection(&rooms, 3, "anna"), Err(Refusal::NotInRoom));
}

#[test]
fn rooms_are_bounded_and_moving_from_one_to_the_next_takes_no_more() {
    let limits = Limits {
        rooms: 1,
        participants_per_room: 2,
        ..Limits::default()
    };
    let mut rooms = Rules::new(limits);
    join(&mut rooms, 1, "r", "anna").unwrap();
    assert_eq!(join(&mut rooms, 2, "s", "ben"), Err(Refusal::TooManyRooms));
    assert!(join(&mut rooms, 1, "s", "anna").is_ok(), "her old room ends");
    join(&mut rooms, 2, "s", "ben").unwrap();
    assert_eq!(join(&mut rooms, 3, "s", "carl"), Err(Refusal::RoomFull));
    assert!(join(&mut rooms, 3, "s", "ben").is_ok(), "he takes his own place");
    assert!(
        join(&mut rooms, 1, "s", "dora").is_ok(),
        "she takes the place that she leaves"
    );
    assert_eq!(join(&mut rooms, 1, "t", "dora"), Err(Refusal::TooManyRooms));
    assert_eq!(rooms.participant_count(), 2, "a refusal changes nothing");
}

#[test]
fn a_pair_s_room_takes_two_and_is_no_group_s_room_of_that_name() {
    let mut rooms = Rules::new(Limits::default());
    let mut pair = |session: u64, name: &str| {
        let command = joining((RoomKind::Pair, "r"), name, Claim::Unproven, Stay::default());
        rooms.handle(now(), SessionId(session), command)
    };
    assert_eq!(outline(&pair(1, "anna").unwrap()), ["open room", "send 1: joined 0"]);
    pair(2, "ben").unwrap();
    assert_eq!(pair(3, "carl"), Err(Refusal::RoomFull));
    assert!(pair(4, "ben").is_ok(), "he takes his own place");
    assert_eq!(
        outline(&join(&mut rooms, 5, "r", "anna").unwrap()),
        ["open room", "send 5: joined 0"]
    );
}

#[test]
fn connections_are_bounded_and_replacing_one_takes_no_more() {
    let limits = Limits {
        peers_per_participant: 1,
        peers: 2,
        ..Limits::default()
    };
    let mut rooms = Rules::new(limits);
    for (session, name) in [(1, "anna"), (2, "ben"), (3, "carl")] {
        join(&mut rooms, session, "r", name).unwrap();
    }
    connect(&mut rooms, 1, "anna", 1);
    assert_eq!(offer(&mut rooms, 1, "ben", 2), Err(Refusal::TooManyPeers));
    connect(&mut rooms, 2, "ben", 3);
    assert_eq!(offer(&mut rooms, 3, "carl", 4), Err(Refusal::TooManyPeers));
    assert!(offer(&mut rooms, 1, "anna", 5).is_ok());
    assert_eq!(rooms.peer_count(), 2);
}

/// Offers a connection, which then connects.
fn connect(rooms: &mut Rules, session: u64, subject: &str, number: u32) -> PeerId {
    let effects = offer(rooms, session, subject, number).unwrap();
    let opened = effects.iter().find_map(|effect| match effect {
        Effect::Negotiate(offers) => Some(offers[0].peer),
        _ => None,
    });
    let peer = opened.expect("the offer is to be answered");
    rooms.peer_connected(peer);
    peer
}

#[test]
fn a_connection_that_has_not_come_about_gives_way_and_is_lost_to_its_room() {
    let limits = Limits {
        peers: 2,
        ..Limits::default()
    };
    let mut rooms = Rules::new(limits);
    for (session, name) in [(1, "anna"), (2, "ben"), (3, "carl")] {
        join(&mut rooms, session, "r", name).unwrap();
    }
    offer(&mut rooms, 1, "anna", 1).unwrap();
    connect(&mut rooms, 2, "ben", 2);
    let third = offer(&mut rooms, 3, "carl", 3).unwrap();
    let expected = ["negotiate for 3", "close peer", "send 1: connection ended"];
    assert_eq!(outline(&third), expected);
    assert_eq!(rooms.peer_count(), 2);
    assert_eq!(connection(&rooms, 1, "anna"), Ok(None));
    assert!(matches!(connection(&rooms, 2, "ben"), Ok(Some(_))));
    let again = offer(&mut rooms, 1, "anna", 4).unwrap();
    assert_eq!(
        outline(&again),
        ["negotiate for 1", "close peer", "send 3: connection ended"],
        "she may offer again"
    );
}

#[test]
fn a_call_whose_connection_gives_way_is_over_for_both() {
    let limits = Limits {
        peers: 2,
        ..Limits::default()
    };
    let mut rules = Rules::new(limits);
    let call =
        |rules: &mut Rules, session: u64, command| rules.handle(now(), SessionId(session), Command::Call(command));
    for (session, name) in [(1, "anna"), (2, "ben")] {
        let register = Command::Register(Registration {
            address: Address::Name(name.into()),
            newcomer: Newcomer::Joins,
            claim: Claim::Unproven,
            abilities: RINGS,
        });
        rules.handle(now(), SessionId(session), register).unwrap();
    }
    let (to, media) = (vec![Address::Name("ben".into())], CallMedia::Carried(Offer::default()));
    let when_busy = WhenBusy::Ring;
    let when_absent = WhenAbsent::LeaveOut;
    call(
        &mut rules,
        1,
        CallCommand::Invite {
            to,
            media,
            when_busy,
            when_absent,
        },
    )
    .unwrap();
    let (from, answer) = (Address::Name("anna".into()), CallAnswer::Accept(Some(Offer::default())));
    let room = None;
    call(&mut rules, 2, CallCommand::Answer { from, room, answer }).unwrap();
    assert_eq!((rules.call_count(), rules.peer_count()), (1, 2));

    join(&mut rules, 3, "r", "carl").unwrap();
    let effects = offer(&mut rules, 3, "carl", 1).unwrap();
    let closed = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::ClosePeer { .. }));
    assert_eq!(closed.count(), 2, "each side's, once");
    assert_eq!((rules.call_count(), rules.peer_count()), (0, 1));
}

#[test]
fn chat_reaches_everybody_in_the_room_and_nobody_else() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    join(&mut rooms, 2, "r", "ben").unwrap();
    join(&mut rooms, 3, "s", "anna").unwrap();
    let sent = |effects: Vec<Effect>| -> Vec<SessionId> {
        let session = |effect: &Effect| match effect {
            Effect::Send { session, .. } => Some(*session),
            _ => None,
        };
        effects.iter().filter_map(session).collect()
    };
    let say = || Command::SendText { text: Arc::from("x") };
    assert_eq!(
        sent(rooms.handle(now(), SessionId(2), say()).unwrap()),
        [SessionId(1), SessionId(2)]
    );
    assert_eq!(sent(rooms.handle(now(), SessionId(3), say()).unwrap()), [SessionId(3)]);
    assert_eq!(rooms.handle(now(), SessionId(4), say()), Err(Refusal::NotInRoom));
}

/// The connection that an offer opens.
fn opened(effects: &[Effect]) -> PeerId {
    match effects.last() {
        Some(Effect::Negotiate(offers)) => offers[0].peer,
        other => panic!("the offer is to be answered: {other:?}"),
    }
}

/// What a session is sent whose connection for this feed has ended.
fn ended(session: u64, feed: UserFeed) -> Effect {
    let subject = Subject::Feed(feed);
    Effect::Send {
        session: SessionId(session),
        event: Event::ConnectionEnded { subject },
    }
}

fn anna_is(media: MediaState) -> Vec<Effect> {
    let user = "anna".into();
    vec![Effect::SendEach {
        sessions: vec![SessionId(2)],
        event: Event::MediaChanged { user, media },
    }]
}

#[test]
fn media_that_is_missing_for_a_while_is_announced_once_and_that_it_is_back() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    join(&mut rooms, 2, "r", "ben").unwrap();
    let first = opened(&offer(&mut rooms, 1, "anna", 1).unwrap());
    let watching = opened(&offer(&mut rooms, 2, "anna", 2).unwrap());
    for peer in [first, watching] {
        assert_eq!(rooms.media_changed(peer, MediaState::Back), []);
    }
    assert_eq!(rooms.media_changed(watching, MediaState::Lost), [], "nobody misses it");
    // A page puts a new connection in the place of the old one: first quickly, then not.
    let second = opened(&offer(&mut rooms, 1, "anna", 3).unwrap());
    assert!(rooms.poll_timeout().is_some());
    assert_eq!(rooms.media_changed(second, MediaState::Back), []);
    assert_eq!(rooms.poll_timeout(), None);
    let third = opened(&offer(&mut rooms, 1, "anna", 4).unwrap());
    let due = rooms.poll_timeout().unwrap();
    assert_eq!(rooms.handle_timeout(due), anna_is(MediaState::Lost));
    assert_eq!(
        rooms.peer_lost(now(), third, false),
        [ended(1, UserFeed::camera("anna".into()))]
    );
    let fourth = opened(&offer(&mut rooms, 1, "anna", 5).unwrap());
    assert_eq!(rooms.poll_timeout(), None);
    assert_eq!(rooms.media_changed(fourth, MediaState::Back), anna_is(MediaState::Back));
    assert_eq!(rooms.media_changed(fourth, MediaState::Lost), anna_is(MediaState::Lost));
    assert_eq!(rooms.media_changed(fourth, MediaState::Lost), []);
    assert_eq!(rooms.media_changed(fourth, MediaState::Back), anna_is(MediaState::Back));
    rooms.peer_lost(now(), fourth, true);
    assert_eq!(rooms.poll_timeout(), None, "its client has ended it");
}

#[test]
fn who_leaves_is_missed_no_more() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    let peer = opened(&offer(&mut rooms, 1, "anna", 1).unwrap());
    rooms.media_changed(peer, MediaState::Back);
    rooms.peer_lost(now(), peer, false);
    assert!(rooms.poll_timeout().is_some());
    rooms.leave(now(), SessionId(1));
    assert_eq!(rooms.poll_timeout(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Join(&'static str, &'static str),
    Offer(&'static str, u32),
    SendText,
    Leave,
    Lose(usize),
}

fn any_step() -> impl Strategy<Value = (u64, Step)> {
    let user = || prop::sample::select(vec!["anna", "ben", "carl"]);
    let step = prop_oneof![
        (prop::sample::select(vec!["r", "s"]), user()).prop_map(|(room, user)| Step::Join(room, user)),
        (user(), 0..3_u32).prop_map(|(user, number)| Step::Offer(user, number)),
        Just(Step::SendText),
        Just(Step::Leave),
        (0..8_usize).prop_map(Step::Lose),
    ];
    (1..5_u64, step)
}

fn take(rooms: &mut Rules, session: u64, step: &Step, open: &BTreeSet<PeerId>) -> Vec<Effect> {
    let id = SessionId(session);
    let outcome = match step {
        Step::Join(room, user) => join(rooms, session, room, user),
        Step::Offer(user, number) => offer(rooms, session, user, *number),
        Step::SendText => rooms.handle(now(), id, Command::SendText { text: "x".into() }),
        Step::Leave => rooms.handle(now(), id, Command::Leave),
        Step::Lose(index) => {
            open.iter()
                .nth(*index)
                .into_iter()
                .for_each(|peer| drop(rooms.peer_lost(now(), *peer, false)));
            Ok(Vec::new())
        }
    };
    outcome.unwrap_or_default()
}

proptest! {
    /// In whatever order messages come: connections and rooms are closed once, and only if they are open; a dismissed session
    /// is sent nothing more; and at the end nothing is left.
    #[test]
    fn any_order_of_messages_leaves_nothing_behind(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut rooms = Rules::new(Limits::default());
        let (mut open_peers, mut open_rooms) = (BTreeSet::new(), BTreeSet::new());
        let leave_all = (1..5).map(|session| (session, Step::Leave));
        for (session, step) in steps.into_iter().chain(leave_all) {
            let effects = take(&mut rooms, session, &step, &open_peers);
            if let Step::Lose(index) = step {
                let lost = open_peers.iter().nth(index).copied();
                open_peers.retain(|peer| Some(*peer) != lost);
            }
            let mut dismissed = BTreeSet::new();
            for effect in effects {
                match effect {
                    Effect::OpenRoom(room) => prop_assert!(open_rooms.insert(room)),
                    Effect::CloseRoom(room) => prop_assert!(open_rooms.remove(&room)),
                    Effect::Negotiate(offers) => for offer in offers {
                        prop_assert!(open_rooms.contains(&offer.room));
                        open_peers.insert(offer.peer);
                    }
                    Effect::ClosePeer { room, peer } => {
                        prop_assert!(open_rooms.contains(&room) && open_peers.remove(&peer));
                    }
                    Effect::Dismiss { session, .. } => prop_assert!(dismissed.insert(session)),
                    Effect::Send { session, .. } => prop_assert!(!dismissed.contains(&session)),
                    Effect::FillSlot { .. }
                    | Effect::Play(_)
                    | Effect::Mute { .. }
                    | Effect::Want { .. }
                    | Effect::SendEach { .. }
                    | Effect::Mailbox(_)
                    | Effect::Push(_) => prop_assert!(false, "none of a room's"),
                }
            }
            prop_assert_eq!(rooms.peer_count(), open_peers.len());
            prop_assert_eq!(rooms.room_count(), open_rooms.len());
        }
        prop_assert_eq!((rooms.room_count(), rooms.participant_count(), rooms.peer_count()), (0, 0, 0));
    }
}
