//! The rules, with any commands in any order: everything that is opened is closed, and at the end nothing is left.

mod evenings;
mod limits;
mod meeting;
mod open;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes as Message;
use patchbay::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallMedia, Claim, Command, Conference, Decline, Effect, FileNotice,
    Heights, MediaKind, MessageCommand, Newcomer, Offer, Person, Play, PublishRights, Recipient, Registration,
    RoomKind, Rules, Side, Stay, Subject, UserFeed, VideoWants, Waits, WhenAbsent, WhenBusy,
};
use patchbay::ids::{CallId, Feed, PeerId, PushTarget, SessionId, Turn};
use patchbay::media::description::Description;
use patchbay::shares::ClientAddress;
use patchbay::sound::Recording;

use super::bytes::Bytes;
use super::{Target, now};

/// The limits; then steps, each with a person and a command.
pub const RULES: Target = Target {
    name: "rules",
    seeds: evenings::evenings,
    prepare: || Box::new(commands),
};

const NAMES: [&str; 4] = ["anna", "ben", "carl", "dora"];
const ROOMS: [&str; 2] = ["kitchen", "board"];
const SESSIONS: u64 = 8;

fn offer(bytes: &mut Bytes<'_>) -> Offer {
    let number = bytes.below(4);
    let text = format!("o=- {number} 1\r\na=fingerprint:{number}\r\na=ice-ufrag:{number}\r\n");
    Offer {
        description: Description::read(&text),
        tag: None,
    }
}

fn name(bytes: &mut Bytes<'_>) -> Address {
    Address::Name(bytes.pick(&NAMES).into())
}

fn claim(bytes: &mut Bytes<'_>) -> Claim {
    bytes.pick(&[Claim::Unproven, Claim::Proven])
}

fn user_feed(bytes: &mut Bytes<'_>) -> UserFeed {
    UserFeed {
        user: bytes.pick(&NAMES).into(),
        feed: bytes.pick(&[Feed::Camera, Feed::Screen]),
    }
}

fn conference(bytes: &mut Bytes<'_>) -> Conference {
    Conference {
        publish: (bytes.below(2) == 0).then_some(Feed::Camera),
        watch: (0..bytes.below(3)).map(|_| user_feed(bytes)).collect(),
        speaker_slots: (0..bytes.below(3)).map(|_| MediaKind::Video).collect(),
        sound_slots: bytes.below(4) as u8,
        picture_slots: bytes.below(4) as u8,
        presentation: bytes.below(3) == 0,
    }
}

const RINGS: Abilities = Abilities {
    rings_carried: true,
    rings_elsewhere: true,
    messages: false,
};

fn registration(bytes: &mut Bytes<'_>, newcomers: &[Newcomer], abilities: Abilities) -> Command {
    Command::Register(Registration {
        address: name(bytes),
        newcomer: bytes.pick(newcomers),
        claim: claim(bytes),
        abilities,
    })
}

fn invite(bytes: &mut Bytes<'_>, callees: usize) -> Command {
    Command::Call(CallCommand::Invite {
        to: (0..callees).map(|_| name(bytes)).collect(),
        media: match bytes.below(4) {
            0 => CallMedia::Carried(offer(bytes)),
            1 => CallMedia::Elsewhere(bytes.pick(&ROOMS).into()),
            with_offer => CallMedia::Either {
                offer: (with_offer == 2).then(|| offer(bytes)),
                room: bytes.pick(&ROOMS).into(),
            },
        },
        when_busy: bytes.pick(&[WhenBusy::Ring, WhenBusy::Refuse]),
        when_absent: bytes.pick(&[WhenAbsent::LeaveOut, WhenAbsent::Ring]),
    })
}

static TONE: LazyLock<Recording> = LazyLock::new(|| {
    let file = include_bytes!("../../fixtures/tone.opus");
    Recording::read(file).expect("a recording")
});

fn join(bytes: &mut Bytes<'_>, stay: Stay) -> Command {
    let person = Person::unnamed(bytes.pick(&NAMES).into());
    Command::Join {
        turn: Turn(bytes.below(4) as u64),
        person,
        kind: bytes.pick(&[RoomKind::Group, RoomKind::Pair]),
        room: bytes.pick(&ROOMS).into(),
        claim: claim(bytes),
        stay,
        connects: bytes.below(4) == 0,
    }
}

fn stay(bytes: &mut Bytes<'_>, now: Instant) -> Stay {
    Stay {
        publishes: bytes.pick(&[PublishRights::ALL, PublishRights::NONE]),
        visible: bytes.below(3) > 0,
        until: (bytes.below(2) == 0).then(|| now + Duration::from_secs(bytes.byte().into())),
        ..Stay::default()
    }
}

fn wants(bytes: &mut Bytes<'_>) -> Box<VideoWants> {
    Box::new(VideoWants {
        last_n: bytes.below(4),
        on_stage: vec![bytes.pick(&NAMES).into()],
        cameras: Heights {
            of_users: [(bytes.pick(&NAMES).into(), u16::from(bytes.byte()))].into(),
            of_others: (bytes.below(2) == 0).then_some(0),
        },
        screens: Heights::default(),
    })
}

fn subject(bytes: &mut Bytes<'_>) -> Subject {
    match bytes.below(4) {
        0 => Subject::Conference,
        1 => Subject::Presentation,
        2 => Subject::Call {
            call: CallId(bytes.below(4) as u64),
            side: bytes.pick(&[Side::Caller, Side::Callee]),
        },
        _ => Subject::Feed(user_feed(bytes)),
    }
}

#[expect(clippy::too_many_lines, reason = "one arm a command")]
fn command(bytes: &mut Bytes<'_>, now: Instant) -> Command {
    match bytes.below(28) {
        0 => join(bytes, Stay::default()),
        1 => Command::Leave,
        2 => Command::Offer {
            subject: user_feed(bytes),
            offer: offer(bytes),
        },
        3 => Command::SendText {
            text: user_feed(bytes).user.as_str().into(),
        },
        4 => Command::SendText { text: "hello".into() },
        5 => registration(
            bytes,
            &[Newcomer::Joins],
            Abilities {
                messages: true,
                ..Abilities::NONE
            },
        ),
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
        8 => registration(bytes, &[Newcomer::Joins, Newcomer::Replaces, Newcomer::Inherits], RINGS),
        9 => invite(bytes, 1),
        16 => {
            let callees = bytes.below(5);
            invite(bytes, callees)
        }
        // Somebody who only asks.
        17 => registration(bytes, &[Newcomer::Joins], Abilities::NONE),
        // Somebody at whom calls ring and to whom messages are sent.
        18 => registration(
            bytes,
            &[Newcomer::Joins],
            Abilities {
                messages: true,
                ..RINGS
            },
        ),
        // Somebody who brings an offer to calls, and somebody who goes into a room.
        24 => registration(
            bytes,
            &[Newcomer::Joins, Newcomer::Inherits],
            Abilities {
                rings_carried: true,
                ..Abilities::NONE
            },
        ),
        25 => registration(
            bytes,
            &[Newcomer::Joins, Newcomer::Inherits],
            Abilities {
                rings_elsewhere: true,
                ..Abilities::NONE
            },
        ),
        19 => {
            let targets = bytes.below(3);
            Command::Push((0..targets).map(|_| PushTarget::from(bytes.pick(&NAMES))).collect())
        }
        10 => Command::Call(CallCommand::Answer {
            from: name(bytes),
            room: None,
            answer: match bytes.below(3) {
                0 => CallAnswer::Accept(Some(offer(bytes))),
                1 => CallAnswer::Accept(None),
                _ => CallAnswer::Decline(Decline::Unwilling),
            },
        }),
        11 => Command::Call(CallCommand::HangUp { with: None, room: None }),
        13 => Command::AnnounceFile {
            file: Arc::new(FileNotice {
                name: "a".to_owned(),
                url: "b".to_owned(),
                kind: None,
            }),
        },
        20 => Command::Play(Play {
            feed: bytes.pick(&[Feed::Camera, Feed::Screen]),
            recording: TONE.clone(),
            waits: false,
            repeats: false,
        }),
        21 => {
            let stay = stay(bytes, now);
            join(bytes, stay)
        }
        22 => {
            let stay = meeting::stay(bytes);
            join(bytes, stay)
        }
        23 => Command::Meeting(meeting::command(bytes, &NAMES)),
        12 => Command::Call(CallCommand::Renew { offer: offer(bytes) }),
        27 => Command::Want(wants(bytes)),
        26 => Command::EndConnection {
            subject: subject(bytes),
        },
        15 => Command::OfferConference {
            conference: conference(bytes),
            offer: offer(bytes),
        },
        _ => Command::Call(CallCommand::HangUp {
            with: Some(name(bytes)),
            room: (bytes.below(2) == 0).then(|| bytes.pick(&ROOMS).into()),
        }),
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one place keeps all that is known of the rules from outside"
)]
fn commands(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut now = now();
    let limits = limits::limits(bytes.byte());
    let mut rules = Rules::new(limits);
    let mut open = open::Open::default();
    let mut next_session = 0;
    let mut arrive = |rules: &mut Rules| {
        let session = SessionId(next_session);
        next_session += 1;
        rules.arrive(
            session,
            ClientAddress::from(IpAddr::from([192, 0, 2, (session.0 % 3) as u8])),
        );
        session
    };
    let mut sessions: Vec<SessionId> = (0..SESSIONS).map(|_| arrive(&mut rules)).collect();
    while !bytes.is_empty() {
        let at = bytes.byte();
        let who = &mut sessions[usize::from(at) % SESSIONS as usize];
        match at / 32 {
            5 => {
                now += Duration::from_secs(u64::from(bytes.byte()));
                open.take(rules.handle_timeout(now));
            }
            6 => {
                let (what, nth) = (bytes.below(9), bytes.below(8));
                if what == 8 {
                    let lost: Vec<PeerId> = open.peers.iter().skip(nth).step_by(2).copied().collect();
                    open.lose_media(&mut rules, now, &lost);
                } else if let Some(peer) = open.peers.iter().nth(nth).copied() {
                    open.take_media(&mut rules, now, peer, what);
                }
            }
            7 => {
                open.leave(&mut rules, now, *who);
                *who = arrive(&mut rules);
            }
            // A dismissed session sends nothing more: the hub makes sure of that.
            _ if open.dismissed.contains(who) => {
                open.leave(&mut rules, now, *who);
                *who = arrive(&mut rules);
            }
            _ => {
                let command = command(&mut bytes, now);
                let knows = match &command {
                    Command::Register(_) => true,
                    Command::Call(command) => {
                        !matches!(command, CallCommand::Invite { .. } | CallCommand::Renew { .. })
                    }
                    _ => false,
                };
                let ended = match &command {
                    Command::EndConnection { subject } => Some(subject.clone()),
                    _ => None,
                };
                let moves = matches!(command, Command::Join { .. } | Command::Leave);
                if let Ok(effects) = rules.handle(now, *who, command) {
                    let is_overtaken = matches!(effects[..], [Effect::Dismiss { session, .. }] if session == *who);
                    if moves && !is_overtaken {
                        open.waiting.remove(who);
                    }
                    if knows {
                        open.is_silent(*who);
                    }
                    let offers = effects.iter().any(|effect| matches!(effect, Effect::Negotiate(_)));
                    open.take(effects);
                    if let Some(subject) = ended {
                        let again = rules.handle(now, *who, Command::EndConnection { subject });
                        assert_eq!(again, Ok(Vec::new()), "a connection ends once");
                    }
                    // Otherwise the engine's word about the offer comes later.
                    if offers && at / 8 % 4 != 3 {
                        open.take(rules.offer_answered(*who));
                        assert_eq!(rules.offer_answered(*who), [], "an answer says nothing twice");
                    }
                }
            }
        }
        assert_eq!(rules.room_count(), open.rooms.len());
        assert_eq!(rules.peer_count(), open.peers.len());
        let most_waiting = open.waiting.len() + open.perhaps_waiting.len();
        assert!((open.waiting.len()..=most_waiting).contains(&rules.waiting_count()));
        assert!(rules.room_count() <= limits.rooms + limits.calls && rules.call_count() <= limits.calls);
        assert!(rules.peer_count() <= limits.peers);
        if rules.call_count() == 0 {
            assert!(
                open.ringing.is_empty(),
                "a call that is over rings at {:?}",
                open.ringing
            );
            assert!(open.pushed.is_empty(), "a call that is over rings at {:?}", open.pushed);
        }
    }
    for session in sessions {
        open.leave(&mut rules, now, session);
    }
    open.take(rules.handle_timeout(now + Duration::from_secs(3_600)));
    assert!(open.rooms.is_empty() && open.peers.is_empty(), "nothing stays open");
    assert!(open.pushed.is_empty(), "a call that is over rings at {:?}", open.pushed);
    let left = (
        rules.room_count(),
        rules.participant_count(),
        rules.peer_count(),
        rules.call_count(),
    );
    assert_eq!((left, rules.waiting_count()), ((0, 0, 0, 0), 0));
    assert_eq!((rules.reachable_count(), rules.online_count()), (0, 0));
}
