//! The rules, with any commands in any order: what is opened is closed, and at the end nothing is left.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes as Message;
use patchbay::domain::{
    Address, Answer, CallCommand, CallMedia, Claim, Command, ConnectionIdentity, Decline, Effect, Limits, MediaState,
    MessageCommand, Newcomer, Offer, Person, Recipient, RoomKind, Rules, Waits, WhenBusy,
};
use patchbay::ids::{PeerId, RoomId, SessionId};

use crate::bytes::Bytes;
use crate::engine::{fuzz, now};

const NAMES: [&str; 4] = ["anna", "ben", "carl", "dora"];
const ROOMS: [&str; 2] = ["kitchen", "board"];
const SESSIONS: u64 = 8;

fn offer(bytes: &mut Bytes<'_>) -> Offer {
    let number = bytes.below(4).to_string();
    Offer {
        sdp: String::new(),
        identity: ConnectionIdentity {
            origin: number.clone(),
            certificate: number.clone(),
            ufrag: number,
        },
    }
}

fn name(bytes: &mut Bytes<'_>) -> Address {
    Address::Name(bytes.pick(&NAMES).into())
}

fn claim(bytes: &mut Bytes<'_>) -> Claim {
    bytes.pick(&[Claim::Unproven, Claim::Proven])
}

fn command(bytes: &mut Bytes<'_>) -> Command {
    match bytes.below(14) {
        0 => {
            let name = bytes.pick(&NAMES);
            Command::Join {
                kind: bytes.pick(&[RoomKind::Group, RoomKind::Pair]),
                room: bytes.pick(&ROOMS).into(),
                person: Person {
                    user: name.into(),
                    name: name.to_owned(),
                    prefix: String::new(),
                    postfix: String::new(),
                },
                claim: claim(bytes),
            }
        }
        1 => Command::Leave,
        2 => Command::Offer {
            subject: bytes.pick(&NAMES).into(),
            offer: offer(bytes),
        },
        3 => Command::Candidate {
            subject: bytes.pick(&NAMES).into(),
        },
        4 => Command::Say { text: "hello".into() },
        5 => Command::Message(MessageCommand::Bind {
            user: bytes.pick(&NAMES).into(),
            claim: claim(bytes),
        }),
        6 => Command::Message(MessageCommand::Send {
            to: match bytes.below(5) {
                0 => Recipient::Everybody,
                _ => Recipient::User(bytes.pick(&NAMES).into()),
            },
            message: Message::from_static(b"hello"),
            waits: match bytes.below(3) {
                0 => Waits::ForReceiver,
                1 => Waits::WhileRinging {
                    missed: Message::from_static(b"missed"),
                },
                _ => Waits::ForCaller,
            },
        }),
        7 => Command::Message(MessageCommand::List),
        8 => Command::Call(CallCommand::Register {
            address: name(bytes),
            newcomer: bytes.pick(&[Newcomer::Joins, Newcomer::Replaces, Newcomer::Inherits]),
            claim: claim(bytes),
        }),
        9 => Command::Call(CallCommand::Invite {
            to: name(bytes),
            media: match bytes.below(2) {
                0 => CallMedia::Carried(offer(bytes)),
                _ => CallMedia::Elsewhere(bytes.pick(&ROOMS).into()),
            },
            when_busy: bytes.pick(&[WhenBusy::Ring, WhenBusy::Refuse]),
        }),
        10 => Command::Call(CallCommand::Answer {
            from: name(bytes),
            room: None,
            answer: match bytes.below(3) {
                0 => Answer::Accept(Some(offer(bytes))),
                1 => Answer::Accept(None),
                _ => Answer::Decline(Decline::Unwilling),
            },
        }),
        11 => Command::Call(CallCommand::HangUp { with: None }),
        12 => Command::Call(CallCommand::Renew { offer: offer(bytes) }),
        _ => Command::Call(CallCommand::HangUp {
            with: Some(name(bytes)),
        }),
    }
}

/// What the effects so far have opened and not closed.
#[derive(Default)]
struct Open {
    rooms: BTreeSet<RoomId>,
    peers: BTreeSet<PeerId>,
    dismissed: BTreeSet<SessionId>,
}

impl Open {
    fn take(&mut self, effects: Vec<Effect>) {
        // Of these effects: later ones may name a session whose socket has not closed yet, and the hub leaves them out.
        let mut dismissed = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::OpenRoom(room) => assert!(self.rooms.insert(room), "a room is opened once"),
                Effect::CloseRoom(room) => assert!(self.rooms.remove(&room), "an open room is closed"),
                Effect::ClosePeer { peer, .. } => assert!(self.peers.remove(&peer), "an open connection is closed"),
                Effect::Negotiate(offers) => {
                    for offer in offers {
                        assert!(self.rooms.contains(&offer.room), "a connection is in an open room");
                        self.peers.insert(offer.peer);
                    }
                }
                Effect::Dismiss { session, .. } => {
                    assert!(dismissed.insert(session), "dismissed once");
                    self.dismissed.insert(session);
                }
                Effect::Tell { session, .. } => assert!(!dismissed.contains(&session), "nothing after the end"),
                Effect::TellEach { sessions, .. } => {
                    assert!(sessions.iter().all(|session| !dismissed.contains(session)));
                }
                Effect::Mailbox(_) => {}
            }
        }
    }
}

#[test]
fn commands_in_any_order() {
    // Everybody joins and offers; a call is made and answered; a message is sent.
    let seed = [
        &[0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 1, 2, 1, 1][..],
        &[2, 8, 0, 0, 3, 8, 1, 0, 2, 9, 1, 0, 0, 0, 3, 10, 0, 0, 0, 2, 11],
        &[4, 5, 2, 5, 5, 3, 4, 6, 1, 3, 0],
    ]
    .concat();
    fuzz("rules", vec![seed], |input| {
        let mut bytes = Bytes(input);
        let mut now = now();
        let mut rules = Rules::new(Limits::default());
        let mut open = Open::default();
        let mut next_session = SESSIONS;
        let mut sessions: Vec<SessionId> = (0..SESSIONS).map(SessionId).collect();
        while !bytes.is_empty() {
            let at = bytes.byte();
            let who = &mut sessions[usize::from(at) % SESSIONS as usize];
            match at / 32 {
                5 => {
                    now += Duration::from_secs(u64::from(bytes.byte()));
                    open.take(rules.handle_timeout(now));
                }
                6 => {
                    let nth = open.peers.iter().nth(bytes.below(8)).copied();
                    if let Some(peer) = nth {
                        match bytes.below(4) {
                            0 => open.take(rules.peer_connected(peer)),
                            1 => open.take(rules.media_changed(peer, MediaState::Lost)),
                            by => {
                                open.peers.remove(&peer);
                                open.take(rules.peer_lost(now, peer, by == 2));
                            }
                        }
                    }
                }
                7 => {
                    open.take(rules.leave(now, *who));
                    next_session += 1;
                    *who = SessionId(next_session);
                }
                // A dismissed session says nothing more: the hub sees to that.
                _ if open.dismissed.contains(who) => {
                    open.take(rules.leave(now, *who));
                    next_session += 1;
                    *who = SessionId(next_session);
                }
                _ => {
                    if let Ok(effects) = rules.handle(now, *who, command(&mut bytes)) {
                        open.take(effects);
                    }
                }
            }
            assert_eq!(rules.room_count(), open.rooms.len());
            assert_eq!(rules.peer_count(), open.peers.len());
        }
        for session in sessions {
            open.take(rules.leave(now, session));
        }
        open.take(rules.handle_timeout(now + Duration::from_secs(3_600)));
        assert!(open.rooms.is_empty() && open.peers.is_empty(), "nothing stays open");
        let left = (
            rules.room_count(),
            rules.participant_count(),
            rules.peer_count(),
            rules.call_count(),
        );
        assert_eq!(left, (0, 0, 0, 0));
        assert_eq!((rules.reachable_count(), rules.online_count()), (0, 0));
    });
}
