//! A host whom nobody sees, without a socket: they lock the room, take people's pictures away, and send people away. And somebody
//! who waits for them at the door.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use patchbay::domain::{
    Claim, Command, Event, MediaKind, MeetingCommand, MeetingEvent, Person as Somebody, Refusal, Role, RoomKind, Stay,
    WithoutHost,
};
use patchbay::hub::{Events, Session};
use patchbay::ids::UserId;
use patchbay::shares::ClientAddress;

use super::person::{ENTERED_WITHIN, Person};
use super::run::Run;
use super::stays::UNSEEN;
use super::surroundings::Surroundings;

/// Time until a worker has got the command, and packets that were sent before it have arrived.
const MUTED_WITHIN_MS: u64 = 1_000;
/// Time within which somebody who waits is let in.
const LET_IN_WITHIN: Duration = Duration::from_secs(1);

/// What a host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostDeed {
    /// Enters this room, where somebody has begun to wait. Nothing happens if they are in one.
    Come(u8),
    Mute(usize, bool),
    Lock(bool),
    Remove(usize),
    RemoveAll,
    /// Undoes what others would suffer from, and leaves.
    Leave,
}

/// A time for which nobody gets somebody's pictures.
struct Muted {
    from_ms: u64,
    until_ms: Option<u64>,
}

/// What hosts have done, as far as people are judged by it.
#[derive(Default)]
pub struct Decisions {
    /// By the index of the person.
    muted: BTreeMap<u8, Vec<Muted>>,
    /// People who have been sent away, and have not been seen to go yet.
    removed: BTreeSet<String>,
    /// Rooms that have been locked, each with the time of the end.
    locks: BTreeMap<u8, Option<Instant>>,
    /// Whether a host has ended a meeting.
    pub has_ended: bool,
}

pub struct Host {
    session: Session,
    events: Events,
    room: u8,
    /// People in the room, as the host is sent it, and those of them who left last: each may come back in the same moment.
    inside: BTreeSet<UserId>,
    left: Option<UserId>,
    is_locked: bool,
    waiting: Option<Waiting>,
}

struct Waiting {
    events: Events,
    _session: Session,
    /// Time by which they are to be inside.
    in_by: Instant,
}

impl Decisions {
    fn mute(&mut self, index: u8, now_ms: u64, is_muted: bool) {
        let times = self.muted.entry(index).or_default();
        let open = times.iter_mut().find(|time| time.until_ms.is_none());
        match (open, is_muted) {
            (None, true) => times.push(Muted {
                from_ms: now_ms,
                until_ms: None,
            }),
            (Some(open), false) => open.until_ms = Some(now_ms),
            _ => {}
        }
    }

    /// Whether nobody may get what this person sent then.
    pub fn forbid(&self, index: u8, sent_ms: u64) -> bool {
        let mut times = self.muted.get(&index).into_iter().flatten();
        times.any(|time| {
            let is_before_end = time.until_ms.is_none_or(|until| sent_ms + MUTED_WITHIN_MS < until);
            sent_ms > time.from_ms + MUTED_WITHIN_MS && is_before_end
        })
    }

    /// Whether pictures may be missing that this person sent between these times.
    pub fn may_leave_out(&self, index: u8, from_ms: u64, until_ms: u64) -> bool {
        let mut times = self.muted.get(&index).into_iter().flatten();
        times.any(|time| {
            let ends_before = time.until_ms.is_some_and(|until| until + MUTED_WITHIN_MS < from_ms);
            !ends_before && time.from_ms < until_ms + MUTED_WITHIN_MS
        })
    }

    pub fn is_locked(&self, room: u8) -> bool {
        self.locks.get(&room) == Some(&None)
    }

    /// The server has not run for so long: what was sent meanwhile has arrived at one moment, after commands that came later.
    pub fn wait_longer(&mut self, time: Duration) {
        for muted in self
            .muted
            .values_mut()
            .flatten()
            .filter(|muted| muted.until_ms.is_none())
        {
            muted.from_ms += time.as_millis() as u64;
        }
    }
}

impl Person {
    /// Whether a host is the reason why the socket is closed with this code.
    pub fn may_be_turned_away(&self, at: &mut Surroundings, code: Option<u16>) -> bool {
        match code {
            Some(4410) if at.decisions.removed.remove(&self.name) => {
                at.tally.removed += 1;
                true
            }
            Some(4423) => {
                at.tally.locked_out += 1;
                let lock = at.decisions.locks.get(&self.moving_to.unwrap_or(self.room));
                lock.is_some_and(|until| until.is_none_or(|until| at.now < until + ENTERED_WITHIN + self.late_by()))
            }
            _ => false,
        }
    }
}

impl Run {
    pub async fn moderate(&mut self, deed: HostDeed) {
        self.at.note(format!("the host is to {deed:?}"));
        match deed {
            HostDeed::Come(room) if self.host.is_none() => self.host = Some(self.host_comes(room).await),
            HostDeed::Come(_) => {}
            HostDeed::Mute(index, muted) => drop(self.command(mute(&self.people[index].name, muted)).await),
            HostDeed::Lock(locked) => self.lock(locked).await,
            HostDeed::Remove(index) => {
                let name = self.people[index].name.clone();
                let user = name.as_str().into();
                if self.command(MeetingCommand::Remove { user }).await == Ok(()) {
                    self.at.decisions.removed.insert(name);
                }
            }
            HostDeed::RemoveAll => {
                self.look_after_host();
                let Some(host) = &self.host else { return };
                let all: Vec<String> = host.inside.iter().map(UserId::to_string).collect();
                self.lock(false).await;
                self.command(MeetingCommand::RemoveAll).await.ok();
                self.at.decisions.removed.extend(all);
                self.at.decisions.has_ended = true;
                self.look_after_host();
            }
            HostDeed::Leave => self.host_leaves().await,
        }
    }

    async fn command(&mut self, command: MeetingCommand) -> Result<(), Refusal> {
        match &self.host {
            Some(host) => host.session.request(Command::Meeting(command)).await,
            None => Err(Refusal::NotInRoom),
        }
    }

    async fn lock(&mut self, locked: bool) {
        let Some(host) = &self.host else { return };
        let until = (!locked).then_some(self.at.now);
        self.at.decisions.locks.insert(host.room, until);
        let command = Command::Meeting(MeetingCommand::Lock(locked));
        host.session.request(command).await.expect("a host may do that");
    }

    async fn host_comes(&mut self, room: u8) -> Host {
        let unseen = |role, without_host| Stay {
            role,
            without_host,
            sees_meeting: true,
            ..Stay::UNSEEN
        };
        let (waits, mut waiting_events) = self.enters(room, unseen(Role::Guest, WithoutHost::Wait)).await;
        let first = waiting_events.try_next();
        assert_eq!(first, Some(Event::Meeting(MeetingEvent::Waiting)), "no host is there");
        let (session, events) = self.enters(room, unseen(Role::Host, WithoutHost::Enter)).await;
        Host {
            session,
            events,
            room,
            inside: BTreeSet::new(),
            left: None,
            is_locked: false,
            waiting: Some(Waiting {
                events: waiting_events,
                _session: waits,
                in_by: self.at.now + LET_IN_WITHIN,
            }),
        }
    }

    async fn enters(&mut self, room: u8, stay: Stay) -> (Session, Events) {
        let place = self.hub.connect(ClientAddress::THIS_MACHINE).await;
        let (session, events) = place.expect("the server is not full");
        let join = Command::Join {
            turn: session.take_turn(),
            kind: RoomKind::Group,
            room: room.to_string().as_str().into(),
            person: Somebody::unnamed(UNSEEN.into()),
            claim: Claim::Proven,
            stay,
            connects: false,
        };
        session.request(join).await.expect("there is a place");
        (session, events)
    }

    async fn host_leaves(&mut self) {
        self.lock(false).await;
        for index in 0..self.people.len() {
            self.command(mute(&self.people[index].name, false)).await.ok();
        }
        self.look_after_host();
        self.host = None;
    }

    /// The host sees who is there and who is muted, nobody comes into a locked room, and whoever waited for the host is inside.
    pub fn look_after_host(&mut self) {
        let Some(host) = &mut self.host else { return };
        let mut is_over = false;
        while let Some(event) = host.events.try_next() {
            is_over |= matches!(event, Event::Ended(_));
            host.hear(&mut self.at, event);
        }
        if let Some(waiting) = &mut host.waiting {
            let joined =
                std::iter::from_fn(|| waiting.events.try_next()).any(|event| matches!(event, Event::Joined { .. }));
            assert!(
                joined || self.at.now < waiting.in_by,
                "somebody waits although the host is there"
            );
            if joined {
                self.at.tally.let_in += 1;
                host.waiting = None;
            }
        }
        if is_over {
            self.host = None;
        }
    }
}

impl Host {
    fn hear(&mut self, at: &mut Surroundings, event: Event) {
        let index = |user: &UserId| user.as_str().parse::<u8>().expect("people are called by numbers") - 1;
        match event {
            Event::Joined { others } => self.inside = others.iter().map(|other| other.user.clone()).collect(),
            Event::ParticipantArrived { person } => {
                let comes_back = self.left.as_ref() == Some(&person.user);
                assert!(!self.is_locked || comes_back, "{} enters a locked room", person.user);
                self.inside.insert(person.user.clone());
            }
            Event::ParticipantLeft { user } => {
                at.decisions.mute(index(&user), at.now_ms(), false);
                self.inside.remove(&user);
                self.left = Some(user);
            }
            Event::Meeting(MeetingEvent::Changed(state)) => {
                assert!(state.started, "a host is there");
                self.is_locked = state.locked;
            }
            Event::Meeting(MeetingEvent::Participant(state)) => {
                assert!(
                    self.inside.contains(&state.person.user),
                    "{} is not there",
                    state.person.user
                );
                at.tally.muted += u64::from(state.video_muted);
                at.decisions
                    .mute(index(&state.person.user), at.now_ms(), state.video_muted);
            }
            Event::Ended(_) => {
                for user in &self.inside {
                    at.decisions.mute(index(user), at.now_ms(), false);
                }
            }
            _ => {}
        }
    }
}

fn mute(name: &str, muted: bool) -> MeetingCommand {
    MeetingCommand::Mute {
        user: name.into(),
        media: MediaKind::Video,
        muted,
    }
}
