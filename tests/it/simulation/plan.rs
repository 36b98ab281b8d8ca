//! The events of a run, drawn from its seed: who is there and how they behave, and which faults come when.

use std::time::Duration;

use patchbay::media::peer::ice::CONSENT_TIMEOUT;
use patchbay::media::worker::SUSPENDED_MAX;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::engines::WORKERS;
use super::hosts::HostDeed;
use crate::netsim::network::Link;

pub struct Plan {
    pub people: Vec<Role>,
    /// Events by time.
    pub events: Vec<(Duration, Event)>,
    /// The time at which the last fault is over.
    pub calm_at: Duration,
    pub room_subscriptions_per_worker: usize,
    /// Commands that may wait for a worker.
    pub backlog: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Group {
        family: Family,
        room: u8,
        publishes: bool,
        watches: bool,
        /// Seconds for which each access token of theirs lets them stay. `None`: they come without one.
        stays_s: Option<u32>,
    },
    /// Calls that person as soon as possible.
    Caller(usize),
    Callee,
    /// Writes to that person.
    Writer(usize),
}

impl Role {
    fn stay_on(&mut self) {
        if let Role::Group { stays_s, .. } = self {
            *stays_s = None;
        }
    }
}

/// The family in `/groupcall`: the key that has a message's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Id,
    Type,
}

#[derive(Clone, Copy, Debug)]
pub enum Event {
    Deed(usize, Deed),
    Ask(Ask),
    Fault(Fault),
    /// Somebody whom nobody sees enters this room, for so long, or leaves the one where they are.
    Unseen(Option<(u8, Duration)>),
    Host(HostDeed),
}

/// What somebody without a socket does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Calls everybody who writes, at once.
    Call,
    HangUp,
    /// Is gone, like a request over HTTP whose client does not wait any longer.
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Come,
    /// Leaves the room or the call, by a message. The socket stays for the next time.
    Leave,
    CloseSocket,
    /// Leaves without a word: the process is killed, or it has no network any more.
    Vanish,
    /// Comes with another socket while the first is still open.
    ComeTwice,
    Publish(bool),
    Move(u8),
    /// Offers a new connection in the place of the one by which it publishes.
    Republish,
    /// Shows a newer access token in the room.
    Renew,
    /// Reads nothing from its socket for a while.
    Stall(Duration),
    /// Does not restart ICE for a while, although nothing comes through.
    Wait(Duration),
}

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    WorkerDies(usize),
    WorkerHangs(usize, Duration),
    BadLink(usize, Link),
    /// Nothing gets through for so long.
    Outage(usize, Duration),
    /// The client's address changes without its knowledge.
    Rebinding(usize),
    Storage {
        takes: Duration,
        fails: bool,
        lasts: Duration,
    },
    /// The process does not run for so long.
    Standstill(Duration),
    /// The wall clock goes wrong by so many seconds.
    WallClock(i64),
}

/// Two people who call, two who write, three in rooms.
pub const PEOPLE_MAX: usize = 7;

/// The part of the runs with an outage in which the server hears nothing of a client for longer than its consent lasts: it takes
/// as much virtual time as several short runs.
const SILENT_IN: f64 = 0.1;
/// The part of these runs in which the outage lasts longer than the server keeps a connection of which it hears nothing. The
/// others leave for that time: nothing else happens in it.
const FORGOTTEN_IN: f64 = 0.25;
/// The part of the other runs in which a host comes.
const HOST_IN: f64 = 0.4;
/// The time before such an outage, in which everybody gets what they want, if nothing else fails.
const BEFORE_SILENCE: Duration = Duration::from_secs(3);

/// Deaths and long silences of workers in one run. One worker can be replaced three times within a minute.
pub const LOSSES_MAX: usize = 3;

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        let mut people = people(&mut random);
        let mut calm_at = ms(random.random_range(3_000..8_000));
        let mut events = Vec::new();
        for (person, role) in people.iter().enumerate() {
            deeds(&mut random, person, *role, calm_at, &mut events);
        }
        let losses = faults(&mut random, people.len(), calm_at, &mut events);
        unseen(&mut random, calm_at, &mut events);
        if random.random_bool(SILENT_IN) {
            // Somebody who has to leave meanwhile would have no connection that is to be kept.
            people.iter_mut().for_each(Role::stay_on);
            calm_at += silence(&mut random, &people, calm_at, losses, &mut events);
        } else if random.random_bool(HOST_IN) {
            moderate(&mut random, people.len(), calm_at, &mut events);
        }
        if people.iter().any(|role| matches!(role, Role::Writer(_))) {
            asks(&mut random, calm_at, &mut events);
        }
        events.sort_by_key(|(at, _)| *at);
        Plan {
            people,
            events,
            calm_at,
            room_subscriptions_per_worker: [1, 2, 1_000][random.random_range(0..3)],
            backlog: [24, 1_024][random.random_range(0..2)],
        }
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn people(random: &mut StdRng) -> Vec<Role> {
    let mut people = Vec::new();
    if random.random_bool(0.3) {
        people.extend([Role::Caller(1), Role::Callee]);
    }
    if random.random_bool(0.2) {
        let first = people.len();
        people.extend([Role::Writer(first + 1), Role::Writer(first)]);
    }
    let group = if people.is_empty() { 3..=4 } else { 2..=3 };
    let rooms = if random.random_bool(0.3) { 2 } else { 1 };
    for _ in 0..random.random_range(group) {
        people.push(Role::Group {
            family: [Family::Id, Family::Type][random.random_range(0..2)],
            room: random.random_range(1..=rooms),
            publishes: random.random_bool(0.7),
            watches: random.random_bool(0.8),
            stays_s: random.random_bool(0.3).then(|| random.random_range(1..6)),
        });
    }
    people
}

fn deeds(random: &mut StdRng, person: usize, role: Role, calm_at: Duration, events: &mut Vec<(Duration, Event)>) {
    let mut at = ms(random.random_range(0..1_500));
    let mut deed = Deed::Come;
    while at < calm_at {
        events.push((at, Event::Deed(person, deed)));
        at += ms(random.random_range(700..5_000));
        let is_away = matches!(deed, Deed::Leave | Deed::CloseSocket | Deed::Vanish);
        deed = match (is_away, random.random_range(0..10)) {
            (true, _) => Deed::Come,
            (_, 0 | 1) => Deed::Leave,
            (_, 2) => Deed::CloseSocket,
            (_, 3) => Deed::Vanish,
            (_, 4) => Deed::ComeTwice,
            (_, 5) => Deed::Stall(ms(random.random_range(500..5_000))),
            (_, number) => match (role, number) {
                (Role::Group { .. }, 6) => Deed::Publish(random.random_bool(0.6)),
                (Role::Group { .. }, 7) => Deed::Move(random.random_range(1..=2)),
                (Role::Group { .. }, 8) => Deed::Republish,
                (Role::Group { stays_s: Some(_), .. }, _) => Deed::Renew,
                // No new deed.
                _ => Deed::Come,
            },
        };
    }
}

/// Somebody calls those who write, again and again.
fn asks(random: &mut StdRng, until: Duration, events: &mut Vec<(Duration, Event)>) {
    let mut at = ms(random.random_range(500..2_500));
    let mut ask = Ask::Call;
    while at < until {
        events.push((at, Event::Ask(ask)));
        at += ms(random.random_range(100..3_000));
        ask = match (ask, random.random_range(0..6)) {
            (Ask::Call, 0 | 1) => Ask::HangUp,
            (_, 2) => Ask::Leave,
            _ => Ask::Call,
        };
    }
}

/// A host comes, and decides about the others.
fn moderate(random: &mut StdRng, people: usize, calm_at: Duration, events: &mut Vec<(Duration, Event)>) {
    let mut at = ms(random.random_range(0..calm_at.as_millis() as u64 / 2));
    let room = random.random_range(1..=2);
    let mut deed = HostDeed::Come(room);
    while at < calm_at {
        events.push((at, Event::Host(deed)));
        at += ms(random.random_range(300..2_500));
        let person = random.random_range(0..people);
        deed = match random.random_range(0..14) {
            0..6 => HostDeed::Mute(person, true),
            6 | 7 => HostDeed::Mute(person, false),
            8 | 9 => HostDeed::Lock(true),
            10 => HostDeed::Lock(false),
            11 => HostDeed::Remove(person),
            12 => HostDeed::RemoveAll,
            _ => HostDeed::Leave,
        };
        if matches!(deed, HostDeed::Leave) {
            events.push((at.min(calm_at), Event::Host(deed)));
            deed = HostDeed::Come(room);
        }
    }
}

/// Somebody whom nobody sees comes and goes.
fn unseen(random: &mut StdRng, calm_at: Duration, events: &mut Vec<(Duration, Event)>) {
    for _ in 0..random.random_range(0..=2) {
        let at = ms(random.random_range(0..calm_at.as_millis() as u64));
        let stays = ms(random.random_range(200..6_000));
        events.push((at, Event::Unseen(Some((random.random_range(1..=2), stays)))));
        if random.random_bool(0.5) {
            let leaves = at + ms(random.random_range(100..4_000));
            events.push((leaves.min(calm_at), Event::Unseen(None)));
        }
    }
}

/// How many workers are lost.
fn faults(random: &mut StdRng, people: usize, calm_at: Duration, events: &mut Vec<(Duration, Event)>) -> usize {
    let mut losses = 0;
    for _ in 0..random.random_range(0..=4) {
        let at = ms(random.random_range(500..calm_at.as_millis() as u64));
        let (worker, person) = (random.random_range(0..WORKERS), random.random_range(0..people));
        let fault = match random.random_range(0..10) {
            0 | 1 if losses < LOSSES_MAX => {
                losses += 1;
                Fault::WorkerDies(worker)
            }
            2 if losses < LOSSES_MAX => {
                losses += 1;
                // Longer than the hub waits for it.
                Fault::WorkerHangs(worker, ms(random.random_range(11_500..20_000)))
            }
            3 => Fault::WorkerHangs(worker, ms(random.random_range(50..4_000))),
            4 => Fault::Outage(person, ms(random.random_range(1_000..25_000))),
            5 => Fault::Rebinding(person),
            6 => Fault::Storage {
                takes: ms(random.random_range(0..3_000)),
                fails: random.random_bool(0.5),
                lasts: ms(random.random_range(500..3_000)),
            },
            7 => Fault::Standstill(ms(random.random_range(100..8_000))),
            8 => Fault::WallClock(random.random_range(-100_000..100_000)),
            _ => Fault::BadLink(person, bad_link(random)),
        };
        events.push((at, Event::Fault(fault)));
    }
    losses
}

/// Somebody who may have been connected is not heard for a while, and does nothing. Returns how long it takes.
fn silence(
    random: &mut StdRng,
    people: &[Role],
    from: Duration,
    losses: usize,
    events: &mut Vec<(Duration, Event)>,
) -> Duration {
    let others_leave = random.random_bool(FORGOTTEN_IN);
    let is_one = |in_call: bool| {
        move |index: &usize| match people[*index] {
            Role::Caller(_) | Role::Callee => in_call,
            Role::Group { .. } => !in_call,
            Role::Writer(_) => false,
        }
    };
    let of_kind = |in_call| (0..people.len()).filter(is_one(in_call)).collect::<Vec<usize>>();
    // There are fewer calls than rooms.
    let (in_call, in_room) = (of_kind(true), of_kind(false));
    let candidates = if in_call.is_empty() || random.random_bool(0.3) {
        in_room
    } else {
        in_call
    };
    let person = candidates[random.random_range(0..candidates.len())];
    let time = if others_leave {
        let forgotten = SUSPENDED_MAX + CONSENT_TIMEOUT;
        forgotten + ms(random.random_range(4_000..9_000))
    } else {
        ms(random.random_range(21_000..33_000))
    };
    // Together with other deeds and faults it would only be an outage of some length.
    events.extend((0..people.len()).map(|index| (from, Event::Deed(index, Deed::Come))));
    events.push((from + ms(500), Event::Deed(person, Deed::Publish(true))));
    let begin = from + BEFORE_SILENCE;
    if random.random_bool(0.5) {
        // Longer than the outage: its old connection is tried first.
        events.push((begin, Event::Deed(person, Deed::Wait(time + ms(4_000)))));
    }
    events.push((begin, Event::Fault(Fault::Outage(person, time))));
    if others_leave {
        let is_other = |index: &usize| *index != person && !matches!(people[*index], Role::Caller(_) | Role::Callee);
        let leave = |index| (begin + ms(500), Event::Deed(index, Deed::CloseSocket));
        events.extend((0..people.len()).filter(is_other).map(leave));
    } else if losses < LOSSES_MAX && random.random_bool(0.3) {
        // After the loss was announced to the others; some of them lose their connections.
        let at = begin + CONSENT_TIMEOUT + ms(random.random_range(300..1_000));
        let worker = random.random_range(0..WORKERS);
        events.push((at, Event::Fault(Fault::WorkerDies(worker))));
    }
    BEFORE_SILENCE + time
}

fn bad_link(random: &mut StdRng) -> Link {
    Link {
        delay: ms(random.random_range(5..120)),
        jitter: ms(random.random_range(0..60)),
        reorders: random.random_bool(0.7),
        loss: random.random_range(0.0..0.2),
        duplicate: random.random_range(0.0..0.1),
        ..Link::default()
    }
}
