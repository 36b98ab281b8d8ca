//! The order in which passwords are checked, and the pauses after wrong ones. Pure; the time is given.
//!
//! A password opens a room, or the account of a user; a PIN opens a conference. A check takes a core for some 20 ms, so few run at
//! once and the others wait. Whoever floods one room, or many rooms from one address, waits behind everybody else: the next check is
//! one whose room (or account, or conference) *and* address have been served least. One check runs at a time for each pair of the
//! two. After some wrong passwords there is a pause that doubles with each further one, so guesses become slower and slower. PINs are
//! short, so the first pause after wrong ones is the longest at once. Guesses are counted for each pair; those about accounts and
//! conferences also for each of these, wherever they come from, and for each address, whatever they are about.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::{RoomName, UserId};
use crate::shares::ClientAddress;

/// Wrong passwords of one room, or one account, and one address before the first pause. A school or an office comes through one
/// address, and some of its people mistype.
const FREE_GUESSES: u32 = 10;

/// Wrong passwords of one account from all addresses together. More than from one, because apps on several devices may have an
/// old password; few enough that many addresses do not help.
const FREE_GUESSES_OF_ACCOUNT: u32 = 30;

/// Wrong passwords of all accounts from one address together: an office whose people all mistype on the same morning.
const FREE_GUESSES_OF_CLIENT: u32 = 50;

/// Wrong PINs of one conference and one address before the first pause: with the one that begins it, ten a minute.
const FREE_GUESSES_OF_PIN: u32 = 9;

/// Wrong PINs of one conference from all addresses together: the people of a large meeting who all mistype. At the longest pause
/// that follows, many addresses together need a year for a PIN of six digits.
const FREE_GUESSES_OF_CONFERENCE: u32 = 60;

/// The first pause. Each further one is twice as long …
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// … up to this. Longer would keep people out for too long who share an address with somebody who guesses. At this one,
/// guesses from one address come to 1,440 a day.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Time without a wrong password after which earlier ones are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// Guessers whose wrong passwords are remembered, in about a MiB. For one more, the one whose last wrong password is the oldest
/// is forgotten: to profit from that, somebody who guesses needs thousands of checks for each guess. As many pairs are remembered
/// that had the right password.
const REMEMBERED_MAX: usize = 8_192;

/// What a password opens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lock {
    Room(RoomName),
    /// The account of a user, whether or not there is such a user.
    Account(UserId),
    /// A conference, by its alias.
    Conference(RoomName),
}

/// The kinds of locks. Wrong passwords of one kind do not count for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LockKind {
    Room,
    Account,
    Conference,
}

impl Lock {
    fn kind(&self) -> LockKind {
        match self {
            Lock::Room(_) => LockKind::Room,
            Lock::Account(_) => LockKind::Account,
            Lock::Conference(_) => LockKind::Conference,
        }
    }
}

/// The lock whose password is checked, and the address that asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PasswordAttempt {
    pub lock: Lock,
    pub client: ClientAddress,
}

/// Whose wrong passwords are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Guesser {
    /// One address, about one lock.
    Pair(PasswordAttempt),
    /// Every address, about one account or conference.
    Everybody(Lock),
    /// One address, about every account, or about every conference.
    Client(LockKind, ClientAddress),
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
    /// Locks and addresses with a check that waits or runs.
    parties: HashMap<Party, Service>,
    /// The service count of the last one served, before that service. Newcomers begin one above: behind those whose turn it
    /// is, and before those who have had theirs.
    level: u64,
    guesses: HashMap<Guesser, Guesses>,
    /// Pairs that had the right password of an account, or the right PIN of a conference: others who guess at it do not keep them
    /// out.
    welcome: HashSet<PasswordAttempt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Party {
    Lock(Lock),
    Client(ClientAddress),
}

/// The service that a lock or an address has had.
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

impl Guesser {
    fn kind(&self) -> LockKind {
        match self {
            Guesser::Pair(attempt) => attempt.lock.kind(),
            Guesser::Everybody(lock) => lock.kind(),
            Guesser::Client(kind, _) => *kind,
        }
    }

    fn free_guesses(&self) -> u32 {
        let is_pin = self.kind() == LockKind::Conference;
        match self {
            Guesser::Pair(_) if is_pin => FREE_GUESSES_OF_PIN,
            Guesser::Pair(_) => FREE_GUESSES,
            Guesser::Everybody(_) if is_pin => FREE_GUESSES_OF_CONFERENCE,
            Guesser::Everybody(_) => FREE_GUESSES_OF_ACCOUNT,
            Guesser::Client(..) => FREE_GUESSES_OF_CLIENT,
        }
    }

    fn first_pause(&self) -> Duration {
        match self {
            Guesser::Pair(_) if self.kind() == LockKind::Conference => PAUSE_MAX,
            _ => FIRST_PAUSE,
        }
    }

    /// Whether wrong passwords from this machine count. It may be a proxy that does not send the addresses of its clients: one who
    /// guesses would keep out all others who come through it. Those about a conference count all the same, together with everybody's:
    /// a PIN is so short that it would be found in minutes.
    fn counts_this_machine(&self) -> bool {
        matches!(self, Guesser::Everybody(Lock::Conference(_)))
    }
}

impl Guesses {
    fn pause(self, guesser: &Guesser) -> Duration {
        match self.wrong.checked_sub(guesser.free_guesses() + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let pause = guesser.first_pause().saturating_mul(1 << doublings.min(16));
                pause.min(PAUSE_MAX)
            }
        }
    }

    fn is_forgotten(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGOTTEN_AFTER
    }
}

impl PasswordAttempt {
    fn parties(&self) -> [Party; 2] {
        [Party::Lock(self.lock.clone()), Party::Client(self.client)]
    }

    /// All that a wrong password counts for.
    fn guessers(&self) -> Vec<Guesser> {
        let mut guessers = vec![Guesser::Pair(self.clone())];
        let kind = self.lock.kind();
        if kind != LockKind::Room {
            let everybody = Guesser::Everybody(self.lock.clone());
            guessers.extend([everybody, Guesser::Client(kind, self.client)]);
        }
        guessers
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
            welcome: HashSet::new(),
        }
    }

    /// The time for which wrong passwords still stop all checks of this lock and address.
    pub(super) fn pause(&self, attempt: &PasswordAttempt, now: Instant) -> Option<Duration> {
        let is_welcome = self.welcome.contains(attempt);
        let counts = |guesser: &Guesser| !(is_welcome && matches!(guesser, Guesser::Everybody(_)));
        let guessers = attempt.guessers().into_iter().filter(counts);
        let pauses = guessers.filter_map(|guesser| {
            let guesses = self.guesses.get(&guesser)?;
            let over = guesses.last + guesses.pause(&guesser);
            (now < over).then(|| over - now)
        });
        pauses.max()
    }

    /// Notes that the right password of an account, or the right PIN of a conference, has come. When as many are noted as may be, all are forgotten: until they come
    /// again, others who guess can keep them out. A PIN from this machine is not noted: whoever guesses may come through the same proxy.
    pub(super) fn welcome(&mut self, attempt: &PasswordAttempt) {
        let is_noted = match attempt.lock.kind() {
            LockKind::Room => false,
            LockKind::Account => true,
            LockKind::Conference => !attempt.client.is_this_machine(),
        };
        if !is_noted || self.welcome.contains(attempt) {
            return;
        }
        if self.welcome.len() >= REMEMBERED_MAX {
            self.welcome.clear();
        }
        self.welcome.insert(attempt.clone());
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
        let (index, (lock, client)) = free
            .map(|(index, (ticket, attempt))| (index, self.served_before(attempt), *ticket))
            .min_by_key(|(_, (lock, client), ticket)| (*lock.max(client), *client, *ticket))
            .map(|(index, served, _)| (index, served))?;
        self.level = self.level.max(lock.max(client));
        let (ticket, attempt) = self.waiting.remove(index);
        for party in attempt.parties() {
            if let Some(service) = self.parties.get_mut(&party) {
                service.times += 1;
            }
        }
        self.running.push((ticket, attempt));
        Some(ticket)
    }

    /// Ends a check. If a pause begins, the waiting checks that it stops are given up. They are returned with the length of the
    /// pause.
    pub(super) fn done(&mut self, ticket: Ticket, right: bool, now: Instant) -> Vec<(Ticket, Duration)> {
        let Some(index) = self.running.iter().position(|(running, _)| *running == ticket) else {
            return Vec::new();
        };
        let (_, attempt) = self.running.swap_remove(index);
        self.leave(&attempt);
        if right {
            self.welcome(&attempt);
            return Vec::new();
        }
        self.note_wrong(&attempt, now);
        let guessers = attempt.guessers();
        let is_concerned = |waiting: &PasswordAttempt| waiting.guessers().iter().any(|one| guessers.contains(one));
        let waiting = std::mem::take(&mut self.waiting);
        let mut given_up = Vec::new();
        for (ticket, waiting) in waiting {
            let pause = is_concerned(&waiting).then(|| self.pause(&waiting, now)).flatten();
            match pause {
                Some(pause) => {
                    self.leave(&waiting);
                    given_up.push((ticket, pause));
                }
                None => self.waiting.push((ticket, waiting)),
            }
        }
        given_up
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
        let [lock, client] = attempt.parties().map(times);
        (lock, client)
    }

    /// Records a wrong password.
    fn note_wrong(&mut self, attempt: &PasswordAttempt, now: Instant) {
        let is_this_machine = attempt.client.is_this_machine();
        for guesser in attempt.guessers() {
            if !is_this_machine || guesser.counts_this_machine() {
                self.count_wrong(guesser, now);
            }
        }
    }

    fn count_wrong(&mut self, guesser: Guesser, now: Instant) {
        if !self.guesses.contains_key(&guesser) && self.guesses.len() >= REMEMBERED_MAX {
            self.guesses.retain(|_, guesses| !guesses.is_forgotten(now));
            let oldest = self.guesses.iter().min_by_key(|(_, guesses)| guesses.last);
            if self.guesses.len() >= REMEMBERED_MAX
                && let Some(guesser) = oldest.map(|(guesser, _)| guesser.clone())
            {
                self.guesses.remove(&guesser);
            }
        }
        let fresh = Guesses { wrong: 0, last: now };
        let guesses = self.guesses.entry(guesser).or_insert(fresh);
        if guesses.is_forgotten(now) {
            *guesses = fresh;
        }
        guesses.wrong = guesses.wrong.saturating_add(1);
        guesses.last = now;
    }

    /// Removes one check of a lock and an address. One without further checks is forgotten, and begins anew later.
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
            lock: Lock::Room(RoomName::from(room)),
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
            lock: Lock::Room(RoomName::from("a")),
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

    fn account(user: &str, client: u32) -> PasswordAttempt {
        PasswordAttempt {
            lock: Lock::Account(UserId::from(user)),
            ..attempt("", client)
        }
    }

    /// Guesses once. Returns the seconds that this guesser then has to wait.
    fn guess(checks: &mut Checks, attempt: PasswordAttempt, now: Instant) -> u64 {
        let ticket = checks.request(attempt.clone());
        assert_eq!(checks.begin(), Some(ticket));
        checks.done(ticket, false, now);
        checks.pause(&attempt, now).unwrap_or_default().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_that_guess_at_one_account_are_slowed_down_together_and_keep_out_nobody_who_was_right_before()
     {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        let owner = account("anna", 9_999);
        let right = checks.request(owner.clone());
        assert_eq!(checks.begin(), Some(right));
        checks.done(right, true, now);
        for client in 0..FREE_GUESSES_OF_ACCOUNT {
            assert_eq!(guess(&mut checks, account("anna", client), now), 0);
        }
        assert_eq!(guess(&mut checks, account("anna", 5_000), now), 1);
        assert!(
            checks.pause(&account("anna", 6_000), now).is_some(),
            "an address that is new"
        );
        assert_eq!(checks.pause(&owner, now), None);
        assert_eq!(checks.pause(&account("ben", 6_000), now), None, "another account");
        assert_eq!(checks.pause(&attempt("anna", 6_000), now), None, "a room of that name");
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_that_guesses_at_many_accounts_is_slowed_down() {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        for user in 0..FREE_GUESSES_OF_CLIENT {
            assert_eq!(guess(&mut checks, account(&user.to_string(), 1), now), 0);
        }
        let waiting = checks.request(account("last", 1));
        assert_eq!(checks.begin(), Some(waiting));
        let behind = checks.request(account("another", 1));
        assert_eq!(checks.done(waiting, false, now), [(behind, FIRST_PAUSE)]);
        assert!(checks.pause(&account("new", 1), now).is_some());
        assert_eq!(checks.pause(&account("new", 2), now), None, "another address");
        assert_eq!(checks.pause(&attempt("room", 1), now), None, "rooms are counted apart");
    }

    fn pin(conference: &str, client: u32) -> PasswordAttempt {
        PasswordAttempt {
            lock: Lock::Conference(RoomName::from(conference)),
            ..attempt("", client)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ten_wrong_pins_a_minute_are_answered_at_most() {
        let mut now = Instant::now();
        let mut checks = Checks::new(1);
        for _ in 0..9 {
            assert_eq!(guess(&mut checks, pin("board", 1), now), 0);
        }
        for _ in 0..5 {
            assert_eq!(guess(&mut checks, pin("board", 1), now), 60);
            assert_eq!(checks.pause(&pin("board", 2), now), None, "another address");
            assert_eq!(checks.pause(&pin("other", 1), now), None, "another conference");
            assert_eq!(checks.pause(&attempt("board", 1), now), None, "a room of that name");
            now += Duration::from_secs(60);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_that_guess_at_one_conference_are_slowed_down_together_and_keep_out_nobody_who_was_right_before()
     {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        let host = pin("board", 9_999);
        checks.welcome(&host);
        for client in 0..FREE_GUESSES_OF_CONFERENCE {
            assert_eq!(guess(&mut checks, pin("board", client), now), 0);
        }
        for (seconds, client) in [(1, 1_000), (2, 1_001), (4, 1_002)] {
            assert_eq!(guess(&mut checks, pin("board", client), now), seconds);
        }
        assert!(
            checks.pause(&pin("board", 6_000), now).is_some(),
            "an address that is new"
        );
        assert_eq!(checks.pause(&host, now), None);
        assert_eq!(checks.pause(&pin("other", 6_000), now), None, "another conference");
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_that_guesses_at_many_conferences_is_slowed_down() {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        for conference in 0..FREE_GUESSES_OF_CLIENT {
            assert_eq!(guess(&mut checks, pin(&conference.to_string(), 1), now), 0);
        }
        assert_eq!(guess(&mut checks, pin("last", 1), now), 1);
        assert!(checks.pause(&pin("new", 1), now).is_some());
        assert_eq!(
            checks.pause(&account("new", 1), now),
            None,
            "accounts are counted apart"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn pins_that_come_through_a_local_proxy_are_counted_all_together_and_a_right_one_changes_nothing() {
        let now = Instant::now();
        let mut checks = Checks::new(1);
        let through_proxy = PasswordAttempt {
            client: ClientAddress::THIS_MACHINE,
            ..pin("board", 0)
        };
        checks.welcome(&through_proxy);
        for _ in 0..FREE_GUESSES_OF_CONFERENCE {
            assert_eq!(guess(&mut checks, through_proxy.clone(), now), 0);
        }
        assert_eq!(guess(&mut checks, through_proxy, now), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn right_passwords_of_many_addresses_take_bounded_memory() {
        let mut checks = Checks::new(1);
        for client in 0..2 * REMEMBERED_MAX as u32 + 5 {
            checks.welcome(&account("anna", client));
        }
        assert_eq!(checks.welcome.len(), 5);
    }
}
