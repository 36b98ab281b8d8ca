//! Who is sent what, what waits, and in which order.

use std::time::Duration;

use super::*;
use crate::domain::{Abilities, Address, Claim, Command, EndReason, Newcomer, Registration, Rules, some_instant};

const ANNA: SessionId = SessionId(1);
const BEN: SessionId = SessionId(2);
const HERE: ClientAddress = ClientAddress::THIS_MACHINE;

fn messages() -> Rules {
    Rules::new(Limits::default())
}

fn bind(rules: &mut Rules, session: SessionId, user: UserId, claim: Claim) -> Result<Vec<Effect>, Refusal> {
    let abilities = Abilities {
        messages: true,
        ..Abilities::NONE
    };
    let registration = Registration {
        address: Address::Name(user),
        newcomer: Newcomer::Joins,
        claim,
        abilities,
    };
    rules.handle(some_instant(), session, Command::Register(registration))
}

fn unbind(rules: &mut Rules, session: SessionId) -> Vec<Effect> {
    rules.leave(some_instant(), session)
}

fn ben() -> MessageSender {
    let (user, client) = (user("ben"), HERE);
    MessageSender { user, client }
}

fn user(id: &str) -> UserId {
    UserId::from(id)
}

fn sent(effects: &[Effect]) -> Vec<(SessionId, Event)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::SendEach { sessions, event } => Some(sessions.iter().map(|session| (*session, event.clone()))),
        _ => None,
    });
    sent.flatten().collect()
}

fn ticket(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Mailbox(MailboxCommand::Collect { ticket, .. }) => Some(*ticket),
        _ => None,
    })
}

fn send(rules: &mut Rules, session: SessionId, to: Recipient, text: &'static str) -> Result<Vec<Effect>, Refusal> {
    send_at(rules, some_instant(), session, (to, text, Waits::ForReceiver))
}

fn send_at(
    rules: &mut Rules,
    now: Instant,
    session: SessionId,
    (to, text, waits): (Recipient, &'static str, Waits),
) -> Result<Vec<Effect>, Refusal> {
    let message = message(text);
    let send = MessageCommand::Send { to, message, waits };
    rules.handle(now, session, Command::Message(send))
}

fn message(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Binds a session for which nothing waits.
fn arrive(messages: &mut Rules, session: SessionId, name: &str) {
    let effects = bind(messages, session, user(name), Claim::Unproven).unwrap();
    if let Some(ticket) = ticket(&effects) {
        assert_eq!(messages.collected(some_instant(), &user(name), ticket, Vec::new()), []);
    }
}

#[test]
fn whose_coming_is_not_announced_goes_unannounced_unless_another_session_comes() {
    let mut messages = messages();
    arrive(&mut messages, BEN, "ben");
    let online = Event::Message(MessageEvent::Online { user: user("anna") });
    let offline = Event::Message(MessageEvent::Offline { user: user("anna") });
    arrive(&mut messages, ANNA, "anna");
    messages.hush(ANNA, &mut []);
    assert_eq!(unbind(&mut messages, ANNA), []);

    arrive(&mut messages, ANNA, "anna");
    messages.hush(ANNA, &mut []);
    let effects = bind(&mut messages, SessionId(3), user("anna"), Claim::Unproven).unwrap();
    let online: Vec<_> = sent(&effects)
        .into_iter()
        .filter(|(_, event)| *event == online)
        .collect();
    assert_eq!(online.len(), 1, "nobody hears of their own coming: {online:?}");
    assert_eq!(online[0].0, BEN);
    assert_eq!(unbind(&mut messages, ANNA), []);
    assert_eq!(sent(&unbind(&mut messages, SessionId(3))), [(BEN, offline)]);
}

#[test]
fn only_the_first_and_the_last_session_of_a_user_are_announced() {
    let mut messages = messages();
    arrive(&mut messages, BEN, "ben");
    let online = Event::Message(MessageEvent::Online { user: user("anna") });
    let effects = bind(&mut messages, ANNA, user("anna"), Claim::Unproven).unwrap();
    assert_eq!(sent(&effects), [(ANNA, online.clone()), (BEN, online)]);
    let effects = bind(&mut messages, SessionId(3), user("anna"), Claim::Unproven).unwrap();
    let one_more = Event::Message(MessageEvent::OneMore { user: user("anna") });
    assert_eq!(sent(&effects), [(ANNA, one_more)], "to those of the user alone");
    assert_eq!(
        bind(&mut messages, ANNA, user("carl"), Claim::Unproven),
        Err(Refusal::AlreadyBound)
    );
    assert_eq!(unbind(&mut messages, ANNA), []);
    let effects = unbind(&mut messages, SessionId(3));
    assert_eq!(
        sent(&effects),
        [(BEN, Event::Message(MessageEvent::Offline { user: user("anna") }))]
    );
    assert_eq!(unbind(&mut messages, SessionId(3)), []);
    assert_eq!(messages.online_count(), 1);
}

#[test]
fn what_is_said_while_kept_messages_are_on_their_way_comes_after_them() {
    let mut messages = messages();
    arrive(&mut messages, BEN, "ben");
    let kept = |text| {
        Effect::Mailbox(MailboxCommand::Keep {
            receiver: user("anna"),
            sender: MessageSender {
                user: user("ben"),
                client: HERE,
            },
            message: message(text),
        })
    };
    let to_anna = || Recipient::User(user("anna"));
    assert_eq!(send(&mut messages, BEN, to_anna(), "1"), Ok(vec![kept("1")]));
    let first = ticket(&bind(&mut messages, ANNA, user("anna"), Claim::Unproven).unwrap()).unwrap();
    assert_eq!(send(&mut messages, BEN, to_anna(), "2"), Ok(vec![kept("2")]));
    let waiting = |number, text| WaitingMessage {
        number,
        message: message(text),
    };
    let event = |text| (ANNA, Event::Message(MessageEvent::Received { message: message(text) }));
    let effects = messages.collected(some_instant(), &user("anna"), first, vec![waiting(1, "1")]);
    assert_eq!(sent(&effects), [event("1")]);
    let second = ticket(&effects).expect("it is asked again");
    // An answer to an earlier request brings nothing new.
    assert_eq!(
        messages.collected(some_instant(), &user("anna"), first, vec![waiting(1, "1")]),
        []
    );
    let effects = messages.collected(some_instant(), &user("anna"), second, vec![waiting(2, "2")]);
    assert_eq!(sent(&effects), [event("2")]);
    assert_eq!(ticket(&effects), None);
    assert_eq!(sent(&send(&mut messages, BEN, to_anna(), "3").unwrap()), [event("3")]);
}

#[test]
fn kept_messages_stay_where_they_are_when_nobody_is_there_to_take_them() {
    let mut messages = messages();
    let ticket = ticket(&bind(&mut messages, ANNA, user("anna"), Claim::Unproven).unwrap()).unwrap();
    unbind(&mut messages, ANNA);
    let waiting = WaitingMessage {
        number: 1,
        message: message("1"),
    };
    assert_eq!(
        messages.collected(some_instant(), &user("anna"), ticket, vec![waiting]),
        []
    );
}

#[test]
fn an_invitation_waits_as_long_as_it_rings_then_its_sender_hears_of_it() {
    let (mut messages, now) = (messages(), some_instant());
    arrive(&mut messages, BEN, "ben");
    let to_anna = || Recipient::User(user("anna"));
    let invite = |messages: &mut Rules, at| {
        let waits = Waits::WhileRinging {
            missed: message("missed"),
        };
        send_at(messages, at, BEN, (to_anna(), "ring", waits))
    };
    assert_eq!(invite(&mut messages, now), Ok(vec![]), "nothing goes into storage");
    assert_eq!(messages.poll_timeout(), Some(now + Duration::from_secs(60)));
    assert_eq!(messages.handle_timeout(now + Duration::from_secs(59)), []);
    let over = messages.handle_timeout(now + Duration::from_secs(60));
    let unanswered = Event::Message(MessageEvent::Unanswered {
        receiver: user("anna"),
        invitation: message("ring"),
    });
    assert_eq!(sent(&over), [(BEN, unanswered)]);
    let kept = Effect::Mailbox(MailboxCommand::Keep {
        receiver: user("anna"),
        sender: ben(),
        message: message("missed"),
    });
    assert!(over.contains(&kept), "{over:?}");
    assert_eq!(messages.poll_timeout(), None);
    invite(&mut messages, now).unwrap();
    let taken_back = send_at(&mut messages, now, BEN, (to_anna(), "never mind", Waits::ForCaller));
    assert_eq!(taken_back, Ok(vec![kept]));
    assert_eq!(messages.poll_timeout(), None);

    invite(&mut messages, now).unwrap();
    let first = ticket(&bind(&mut messages, ANNA, user("anna"), Claim::Unproven).unwrap()).unwrap();
    invite(&mut messages, now).unwrap();
    let rings = Event::Message(MessageEvent::Received {
        message: message("ring"),
    });
    let effects = messages.collected(now, &user("anna"), first, Vec::new());
    assert_eq!(sent(&effects), [(ANNA, rings.clone())], "once, though invited twice");
    assert_eq!(messages.poll_timeout(), None);
    assert_eq!(sent(&invite(&mut messages, now).unwrap()), [(ANNA, rings)]);
}

#[test]
fn who_is_not_bound_sends_nothing_and_learns_nothing() {
    let mut messages = messages();
    assert_eq!(
        send(&mut messages, ANNA, Recipient::Everybody, "x"),
        Err(Refusal::NotBound)
    );
    assert_eq!(
        messages.handle(some_instant(), ANNA, Command::Message(MessageCommand::List)),
        Err(Refusal::NotBound)
    );
}

#[test]
fn a_user_has_so_many_sessions_and_no_more() {
    let mut messages = messages();
    for session in 0..Limits::default().sessions_per_address as u64 {
        bind(&mut messages, SessionId(session), user("anna"), Claim::Unproven).unwrap();
    }
    assert_eq!(
        bind(&mut messages, SessionId(99), user("anna"), Claim::Unproven),
        Err(Refusal::TooManySessions)
    );
}

#[test]
fn who_proves_who_it_is_finds_a_place_among_those_who_do_not() {
    let mut messages = messages();
    let most = Limits::default().sessions_per_address as u64;
    for session in 0..most {
        bind(&mut messages, SessionId(session), user("anna"), Claim::Unproven).unwrap();
    }
    for session in 0..most {
        let proven = bind(&mut messages, SessionId(100 + session), user("anna"), Claim::Proven);
        let reason = EndReason::Replaced;
        let oldest = Effect::Dismiss {
            session: SessionId(session),
            reason,
        };
        assert_eq!(proven.unwrap().first(), Some(&oldest));
        assert_eq!(unbind(&mut messages, SessionId(session)), [], "it is forgotten");
    }
    for claim in [Claim::Proven, Claim::Unproven] {
        let one_more = bind(&mut messages, SessionId(99), user("anna"), claim);
        assert_eq!(
            one_more,
            Err(Refusal::TooManySessions),
            "all others have proven it, too"
        );
    }
    unbind(&mut messages, SessionId(100));
    bind(&mut messages, SessionId(99), user("anna"), Claim::Proven).unwrap();
}
