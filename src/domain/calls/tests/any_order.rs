//! Messages in any order, from anybody.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::ids::PeerId;

#[derive(Clone, Debug)]
enum Step {
    Register(&'static str, Newcomer),
    /// Register in the name of somebody, without abilities.
    Ask(&'static str),
    /// Set a push target, or remove it.
    Push(bool),
    Call(&'static str),
    Dial(&'static str),
    DialAll(Vec<&'static str>, WhenAbsent),
    /// A call with an offer, of which the callee may bring none.
    CallEither(&'static str),
    /// A call without an offer, of which the callee may bring one.
    DialEither(&'static str),
    Accept(&'static str),
    AcceptWithout(&'static str),
    Decline(&'static str),
    HangUp,
    HangUpWith(&'static str),
    Leave,
    Lose(usize),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = (u64, Step)> {
    let who = || prop::sample::select(vec!["anna", "ben", "carl"]);
    let newcomer = prop::sample::select(vec![Newcomer::Joins, Newcomer::Replaces, Newcomer::Inherits]);
    let absent = prop::sample::select(vec![WhenAbsent::LeaveOut, WhenAbsent::Ring]);
    let step = prop_oneof![
        (who(), newcomer).prop_map(|(who, newcomer)| Step::Register(who, newcomer)),
        who().prop_map(Step::Call),
        who().prop_map(Step::Dial),
        (prop::collection::vec(who(), 2..4), absent).prop_map(|(all, absent)| Step::DialAll(all, absent)),
        who().prop_map(Step::Ask),
        any::<bool>().prop_map(Step::Push),
        who().prop_map(Step::CallEither),
        who().prop_map(Step::DialEither),
        who().prop_map(Step::Accept),
        who().prop_map(Step::AcceptWithout),
        who().prop_map(Step::Decline),
        Just(Step::HangUp),
        who().prop_map(Step::HangUpWith),
        Just(Step::Leave),
        (0..8_usize).prop_map(Step::Lose),
        (1..70_u64).prop_map(Step::Pass),
    ];
    (1..6_u64, step)
}

fn either(offer: Option<Offer>) -> CallMedia {
    let room = "meeting".into();
    CallMedia::Either { offer, room }
}

fn command(step: &Step) -> Option<Command> {
    let invite = |to: &str, media, when_busy| CallCommand::Invite {
        to: vec![name(to)],
        media,
        when_busy,
        when_absent: WhenAbsent::LeaveOut,
    };
    let answer = |from: &str, answer| CallCommand::Answer {
        from: name(from),
        room: None,
        answer,
    };
    Some(Command::Call(match step.clone() {
        Step::Register(who, newcomer) => return Some(Command::Register(registration(name(who), newcomer))),
        Step::Ask(who) => {
            let abilities = Abilities::NONE;
            let registration = registration(name(who), Newcomer::Joins);
            return Some(Command::Register(Registration {
                abilities,
                ..registration
            }));
        }
        Step::Push(is_reached) => {
            return Some(Command::Push(is_reached.then(|| "phone".into()).into_iter().collect()));
        }
        Step::DialAll(all, when_absent) => CallCommand::Invite {
            to: all.into_iter().map(name).collect(),
            media: CallMedia::Elsewhere("meeting".into()),
            when_busy: WhenBusy::Ring,
            when_absent,
        },
        Step::Call(to) => invite(to, CallMedia::Carried(offer()), WhenBusy::Ring),
        Step::Dial(to) => invite(to, CallMedia::Elsewhere("meeting".into()), WhenBusy::Refuse),
        Step::CallEither(to) => invite(to, either(Some(offer())), WhenBusy::Ring),
        Step::DialEither(to) => invite(to, either(None), WhenBusy::Ring),
        Step::Accept(from) => answer(from, CallAnswer::Accept(Some(offer()))),
        Step::AcceptWithout(from) => answer(from, CallAnswer::Accept(None)),
        Step::Decline(from) => answer(from, CallAnswer::Decline(Decline::Unwilling)),
        Step::HangUp => CallCommand::HangUp { with: None, room: None },
        Step::HangUpWith(with) => CallCommand::HangUp {
            with: Some(name(with)),
            room: None,
        },
        Step::Leave | Step::Lose(_) | Step::Pass(_) => return None,
    }))
}

fn take(exchange: &mut Exchange, session: u64, step: &Step, open: &BTreeSet<PeerId>) -> Vec<Effect> {
    let (now, id) = (exchange.now, SessionId(session));
    if let Some(command) = command(step) {
        let outcome = exchange.rules.handle(now, id, command);
        return outcome.unwrap_or_default();
    }
    match step {
        Step::Leave => exchange.rules.leave(now, id),
        Step::Lose(index) => {
            let peer = open.iter().nth(*index);
            peer.map(|peer| exchange.rules.peer_lost(now, *peer, false))
                .unwrap_or_default()
        }
        Step::Pass(seconds) => {
            exchange.now += Duration::from_secs(*seconds);
            exchange.rules.handle_timeout(exchange.now)
        }
        other => panic!("a command: {other:?}"),
    }
}

/// Takes the steps, lets everybody leave, and checks after each step: connections and rooms are closed once, and only if they
/// are open; a session hears at most once the end of a call that it has heard of or got; no deadline stays behind; and at the
/// end nothing is left.
fn check(steps: Vec<(u64, Step)>) -> Result<(), TestCaseError> {
    let mut exchange = Exchange::new(Limits::default());
    let (mut open_peers, mut open_rooms) = (BTreeSet::new(), BTreeSet::new());
    let mut ended: BTreeMap<SessionId, BTreeSet<CallId>> = BTreeMap::new();
    let leave_all = (1..6)
        .map(|session| (session, Step::Leave))
        .chain([(1, Step::Pass(60))]);
    for (session, step) in steps.into_iter().chain(leave_all) {
        if let Step::Register(_, Newcomer::Inherits) = step {
            // The session gets the calls of those before it without an event. It may have heard of one of them that another
            // session has answered.
            ended.remove(&SessionId(session));
        }
        let effects = take(&mut exchange, session, &step, &open_peers);
        if let Step::Lose(index) = step {
            let lost = open_peers.iter().nth(index).copied();
            open_peers.retain(|peer| Some(*peer) != lost);
        }
        let mut dismissed = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::OpenRoom(room) => prop_assert!(open_rooms.insert(room)),
                Effect::CloseRoom(room) => prop_assert!(open_rooms.remove(&room)),
                Effect::Negotiate(offers) => {
                    for offer in offers {
                        prop_assert!(open_rooms.contains(&offer.room));
                        prop_assert!(open_peers.insert(offer.peer));
                    }
                }
                Effect::ClosePeer { room, peer } => {
                    prop_assert!(open_rooms.contains(&room) && open_peers.remove(&peer));
                }
                Effect::Dismiss { session, .. } => prop_assert!(dismissed.insert(session)),
                Effect::Send { session, event } => {
                    prop_assert!(!dismissed.contains(&session));
                    let ended = ended.entry(session).or_default();
                    match event {
                        Event::Call(CallEvent::Over(over)) => prop_assert!(ended.insert(over.call)),
                        // The call was over for this session at another address of several.
                        Event::Call(CallEvent::Incoming { call, .. }) => _ = ended.remove(&call),
                        // Two calls may have brought two people into one room.
                        _ => {}
                    }
                }
                Effect::FillSlot { peer, .. } => prop_assert!(open_peers.contains(&peer)),
                Effect::Push(_) => {}
                other => prop_assert!(false, "not about a call: {other:?}"),
            }
        }
        let rules = &exchange.rules;
        prop_assert_eq!(rules.peer_count(), open_peers.len());
        prop_assert_eq!(rules.room_count(), open_rooms.len());
        prop_assert_eq!(rules.participant_count(), open_peers.len());
        prop_assert!((open_rooms.len()..=5).contains(&rules.participant_count()));
    }
    prop_assert_eq!(exchange.counts(), [0; 5]);
    // Only push targets stay, for their time.
    let lasts = Limits::default().push_targets_last;
    let due = exchange.rules.poll_timeout();
    prop_assert!(
        due.is_none_or(|due| due > exchange.now + lasts / 2),
        "a deadline stays behind"
    );
    exchange.now += lasts;
    prop_assert_eq!(exchange.rules.handle_timeout(exchange.now), []);
    prop_assert_eq!(exchange.rules.poll_timeout(), None);
    Ok(())
}

proptest! {
    #[test]
    fn any_order_of_messages_leaves_nothing_behind(steps in prop::collection::vec(any_step(), 0..80)) {
        check(steps)?;
    }
}

/// For session 2 the call was over when session 3 answered it. Session 2 then takes the place of session 3, gets its call, and
/// hears the end of that as well.
#[test]
fn a_session_that_comes_again_may_get_a_call_that_another_has_answered() {
    let steps = vec![
        (1, Step::Register("anna", Newcomer::Joins)),
        (2, Step::Register("carl", Newcomer::Joins)),
        (3, Step::Register("carl", Newcomer::Joins)),
        (1, Step::Dial("carl")),
        (3, Step::Accept("anna")),
        (2, Step::Register("ben", Newcomer::Joins)),
        (2, Step::Register("carl", Newcomer::Inherits)),
        (1, Step::HangUp),
    ];
    check(steps).unwrap();
}
