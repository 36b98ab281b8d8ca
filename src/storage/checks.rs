//! The order in which passwords are checked, and the pauses after wrong ones. Pure; the time is given.
//!
//! A check takes a core for some 20 ms, so few run at once and the others wait. Whoever floods one room, or many rooms from
//! one address, waits behind everybody else: the next check is one whose room *and* address have been served least. One check
//! runs at a time for each pair of room and address. After some wrong passwords there is a pause that doubles with each
//! further one, so guesses become slower and slower.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::RoomName;
use crate::shares::ClientAddress;

/// Wrong passwords of one room and one address before the first pause. A school or an office comes through one address, and
/// some of its people mistype.
const FREE_GUESSES: u32 = 10;

/// The first pause. Each further one is twice as long …
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// … up to this. Longer would keep people out for too long who share an address with somebody who guesses. At this one,
/// guesses from one address come to 1,440 a day.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Time without a wrong password after which earlier ones are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// Pairs of room and address whose wrong passwords are remembered, in about a MiB. For one more, the pair whose last wrong
/// password is the oldest is forgotten: to profit from that, a guesser needs thousands of checks for each guess.
const REMEMBERED_MAX: usize = 8_192;

/// The room whose password is checked, and the address that asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PasswordAttempt {
    pub room: RoomName,
    pub client: ClientAddress,
}

/// The number of one check, from the request to the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// The checks that run, those that wait, and the wrong passwords. The waiting checks have no bound here: each belongs to a
/// session that waits for its answer, and sessions are bounded.
pub(super) struct Checks {
    /// Checks that may run at once.
    running_max: usize,
    running: Vec<(Ticket, PasswordAttempt)>,
    waiting: Vec<(Ticket, PasswordAttempt)>,
    last_ticket: u64,
    /// Rooms and addresses with a check that waits or runs.
    parties: HashMap<Party, Service>,
    /// The service count of the last one served, before that service. Newcomers begin one above: behind those whose turn it
    /// is, and before those who have had theirs.
    level: u64,
    guesses: HashMap<PasswordAttempt, Guesses>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Party {
    Room(RoomName),
    Client(ClientAddress),
}

/// The service that a room or an address has had.
#[derive(Clone, Copy)]
struct Service {
    /// Number of checks that it has had, counted from the level at which it came.
    times: u64,
    /// Checks that wait or run.
    checks: usize,
}

#[derive(Clone, Copy)]
struct Guesses {
    wrong: u32,
    last: Instant,
}

impl Guesses {
    fn pause(self) -> Duration {
        match self.wrong.checked_sub(FREE_GUESSES + 1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(PAUSE_MAX),
        }
    }

    fn is_forgotten(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGOTTEN_AFTER
    }
}

impl PasswordAttempt {
    fn parties(&self) -> [Party; 2] {
        [Party::Room(self.room.clone()), Party::Client(self.client)]
    }
}

impl Checks {
    pub(super) fn new(running_max: usize) -> Self {
        Self {
            running_max: running_max.max(1),
            running: Vec::new(),
            waiting: Vec::new(),
            last_ticket: 0,
            parties: HashMap::new(),
            level: 0,
            guesses: HashMap::new(),
        }
    }

    /// The time for which wrong passwords still stop all checks of this room and address.
    pub(super) fn pause(&self, attempt: &PasswordAttempt, now: Instant) -> Option<Duration> {
        let guesses = self.guesses.get(attempt)?;
        let over = guesses.last + guesses.pause();
        (now < over).then(|| over - now)
    }

    /// Adds a check to the line.
    pub(super) fn request(&mut self, attempt: PasswordAttempt) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        for party in attempt.parties() {
            let newcomer = Service {
                times: self.level + 1,
                checks: 0,
            };
            self.parties.entry(party).or_insert(newcomer).checks += 1;
        }
        self.waiting.push((ticket, attempt));
        ticket
    }

    /// Begins a check, if there is one and it may begin now. Call until it returns `None`.
    pub(super) fn begin(&mut self) -> Option<Ticket> {
        if self.running.len() >= self.running_max {
            return None;
        }
        let is_free = |attempt: &PasswordAttempt| !self.running.iter().any(|(_, running)| running == attempt);
        let free = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, (_, attempt))| is_free(attempt));
        let (index, (room, client)) = free
            .map(|(index, (ticket, attempt))| (index, self.served_before(attempt), *ticket))
            .min_by_key(|(_, (room, client), ticket)| (*room.max(client), *client, *ticket))
            .map(|(index, served, _)| (index, served))?;
        self.level = self.level.max(room.max(client));
        let (ticket, attempt) = self.waiting.remove(index);
        for party in attempt.parties() {
            if let Some(service) = self.parties.get_mut(&party) {
                service.times += 1;
            }
        }
        self.running.push((ticket, attempt));
        Some(ticket)
    }

    /// Ends a check. If a pause begins, the waiting checks of the same room and address are given up. They are returned with
    /// the length of the pause.
    pub(super) fn done(&mut self, ticket: Ticket, right: bool, now: Instant) -> Vec<(Ticket, Duration)> {
        let Some(index) = self.running.iter().position(|(running, _)| *running == ticket) else {
            return Vec::new();
        };
        let (_, attempt) = self.running.swap_remove(index);
        self.leave(&attempt);
        if !right {
            self.note_wrong(&attempt, now);
        }
        let Some(pause) = self.pause(&attempt, now) else {
            return Vec::new();
        };
        let given_up: Vec<_> = self
            .waiting
            .extract_if(.., |(_, waiting)| *waiting == attempt)
            .collect();
        given_up.iter().for_each(|(_, attempt)| self.leave(attempt));
        given_up.into_iter().map(|(ticket, _)| (ticket, pause)).collect()
    }

    /// Removes a check whose result nobody wants any more.
    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        let is_it = |(known, _): &(Ticket, PasswordAttempt)| *known == ticket;
        let waiting = self
            .waiting
            .iter()
            .position(is_it)
            .map(|index| self.waiting.remove(index));
        let found = waiting.or_else(|| {
            let index = self.running.iter().position(is_it)?;
            Some(self.running.swap_remove(index))
        });
        if let Some((_, attempt)) = found {
            self.leave(&attempt);
        }
    }

    fn served_before(&self, attempt: &PasswordAttempt) -> (u64, u64) {
        let times = |party| self.parties.get(&party).map_or(self.level, |service| service.times);
        let [room, client] = attempt.parties().map(times);
        (room, client)
    }

    /// Records a wrong password. Not for this machine, which may be a proxy that does not send the addresses of its clients:
    /// one who guesses would keep out all others who come through it. Their guesses are limited only by the few checks that
    /// run at once.
    fn note_wrong(&mut self, attempt: &PasswordAttempt, now: Instant) {
        if attempt.client.is_this_machine() {
            return;
        }
        if !self.guesses.contains_key(attempt) && self.guesses.len() >= REMEMBERED_MAX {
            self.guesses.retain(|_, guesses| !guesses.is_forgotten(now));
            let oldest = self.guesses.iter().min_by_key(|(_, guesses)| guesses.last);
            if self.guesses.len() >= REMEMBERED_MAX
                && let Some(attempt) = oldest.map(|(attempt, _)| attempt.clone())
            {
                self.guesses.remove(&attempt);
            }
        }
        let fresh = Guesses { wrong: 0, last: now };
        let guesses = self.guesses.entry(attempt.clone()).or_insert(fresh);
        if guesses.is_forgotten(now) {
            *guesses = fresh;
        }
        guesses.wrong = guesses.wrong.saturating_add(1);
        guesses.last = now;
    }

    /// Removes one check of a room and an address. One without further checks is forgotten, and begins anew later.
    fn leave(&mut self, attempt: &PasswordAttempt) {
        for party in attempt.parties() {
            if let Some(service) = self.parties.get_mut(&party) {
                service.checks = service.checks.saturating_sub(1);
                if service.checks == 0 {
                    self.parties.remove(&party);
                }
            }
        }
        if self.parties.is_empty() {
            self.level = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn attempt(room: &str, client: u32) -> PasswordAttempt {
        PasswordAttempt {
            room: RoomName::from(room),
            client: IpAddr::from(Ipv4Addr::from_bits(client)).into(),
        }
    }

    /// Runs the next checks until `wanted` has begun. Returns the number done before it.
    fn until_begun(checks: &mut Checks, wanted: Ticket, now: Instant) -> usize {
        for done in 0.. {
            match checks.begin() {
                Some(ticket) if ticket == wanted => return done,
                Some(ticket) => drop(checks.done(ticket, false, now)),
                None => panic!("it is never begun"),
            }
        }
        unreachable!()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_room_from_many_addresses_keeps_another_room_waiting_for_a_check_or_two() {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        for client in 0..600 {
            checks.request(attempt("a", client));
        }
        for _ in 0..100 {
            let ticket = checks.begin().unwrap();
            checks.done(ticket, false, now);
        }
        let running = checks.begin().unwrap();
        let right = checks.request(attempt("b", 9_999));
        assert_eq!(checks.begin(), None, "one at a time");
        checks.done(running, false, now);
        assert!(until_begun(&mut checks, right, now) <= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_many_rooms_from_one_address_keeps_others_waiting_for_a_check_or_two_even_in_the_same_rooms() {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        for room in 0..600 {
            checks.request(attempt(&room.to_string(), 1));
        }
        for _ in 0..100 {
            let ticket = checks.begin().unwrap();
            checks.done(ticket, false, now);
        }
        for room in ["5", "599"] {
            let right = checks.request(attempt(room, 2));
            assert!(until_begun(&mut checks, right, now) <= 1, "{room}");
            checks.done(right, true, now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rooms_take_turns_and_none_starves() {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        // A busy room that always has a check waiting …
        for client in 0..50 {
            checks.request(attempt("busy", client));
        }
        let last = checks.request(attempt("busy", 50));
        for n in 0..2_000 {
            // … against ever new rooms from ever new addresses.
            checks.request(attempt(&format!("new {n}"), 1_000 + n));
            let ticket = checks.begin().unwrap();
            checks.done(ticket, true, now);
            if ticket == last {
                return;
            }
        }
        panic!("the busy room starves");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_begin_after_some_wrong_passwords_double_end_and_are_forgotten() {
        let mut now = Instant::now();
        let mut checks = Checks::new(1);
        let guesser = attempt("a", 1);
        let guess = |checks: &mut Checks, now| {
            assert_eq!(checks.pause(&guesser, now), None);
            let ticket = checks.request(guesser.clone());
            assert_eq!(checks.begin(), Some(ticket));
            checks.done(ticket, false, now);
            checks.pause(&guesser, now).unwrap_or_default().as_secs()
        };
        for _ in 0..FREE_GUESSES {
            assert_eq!(guess(&mut checks, now), 0);
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(guess(&mut checks, now), expected);
            assert_eq!(checks.pause(&attempt("b", 1), now), None, "another room");
            assert_eq!(checks.pause(&attempt("a", 2), now), None, "another address");
            now += Duration::from_secs(expected);
        }
        now += FORGOTTEN_AFTER;
        assert_eq!(guess(&mut checks, now), 0, "begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_guesses_through_a_local_proxy_keeps_nobody_out_who_comes_through_it() {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        let through_proxy = PasswordAttempt {
            room: RoomName::from("a"),
            client: ClientAddress::THIS_MACHINE,
        };
        for _ in 0..10 * FREE_GUESSES {
            let ticket = checks.request(through_proxy.clone());
            assert_eq!(checks.begin(), Some(ticket));
            assert_eq!(checks.done(ticket, false, now), []);
            assert_eq!(checks.pause(&through_proxy, now), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_for_the_same_are_given_up_when_a_pause_begins() {
        let now = Instant::now();
        let mut checks = Checks::new(4);
        let tickets: Vec<Ticket> = (0..20).map(|_| checks.request(attempt("a", 1))).collect();
        let other = checks.request(attempt("a", 2));
        assert_eq!(checks.begin(), Some(tickets[0]));
        assert_eq!(
            checks.begin(),
            Some(other),
            "of one room and address one runs at a time"
        );
        assert_eq!(checks.begin(), None);
        let mut ticket = tickets[0];
        for _ in 0..FREE_GUESSES {
            assert_eq!(checks.done(ticket, false, now), []);
            ticket = checks.begin().unwrap();
        }
        let given_up = checks.done(ticket, false, now);
        assert_eq!(given_up.len(), 20 - 1 - FREE_GUESSES as usize);
        assert!(given_up.iter().all(|(_, pause)| *pause == FIRST_PAUSE));
        checks.withdraw(other);
        assert!(checks.parties.is_empty() && checks.running.is_empty() && checks.waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_passwords_of_many_addresses_take_bounded_memory() {
        let start = Instant::now();
        let mut checks = Checks::new(1);
        for client in 0..2 * REMEMBERED_MAX as u32 {
            let ticket = checks.request(attempt("a", client));
            assert_eq!(checks.begin(), Some(ticket));
            checks.done(ticket, false, start + Duration::from_millis(client.into()));
        }
        assert_eq!(checks.guesses.len(), REMEMBERED_MAX);
    }
}
