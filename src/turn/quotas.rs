//! How many allocations there may be: of one user, of one client address, of all. Each has a relayed port of its own, and there
//! are no more ports.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::shares::{ClientAddress, Denied, Place, Places, Pot, Share};

/// The relayed ports, of which each allocation has one. Nothing listens there: the numbers are those that RFC 8656 §7.2
/// recommends.
const FIRST_PORT: u16 = 49_152;
pub const MAX_ALLOCATIONS: u64 = (u16::MAX - FIRST_PORT) as u64 + 1;

/// Allocations with one user's credentials. A browser makes one for each connection, network and way to the server: a page that
/// watches ten people, each over a connection of its own, from a machine with two networks, has up to 66.
pub const MAX_OF_USER: u32 = 100;

/// Allocations that an address may have in any case: one page.
const AT_LEAST: u64 = 100;

/// The places of all allocations. Cheap to clone.
#[derive(Clone)]
pub struct Quotas {
    places: Places,
    taken: Arc<Mutex<Taken>>,
}

struct Taken {
    free_ports: VecDeque<u16>,
    /// Users with allocations, and how many.
    users: HashMap<String, u32>,
    /// The number of the newest allocation.
    newest: u32,
}

/// The reason why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The user or the address has as many as it may.
    ShareUsedUp,
    /// There is none left.
    UsedUp,
}

/// The place of one allocation, until it is dropped.
pub struct Seat {
    taken: Arc<Mutex<Taken>>,
    _place: Place,
    user: String,
    port: u16,
    number: u32,
}

impl Quotas {
    /// `percent` is the share of an address while nobody else has an allocation.
    pub fn new(percent: u8) -> Quotas {
        let at_least = AT_LEAST;
        Quotas {
            places: Places::new(Pot::new(MAX_ALLOCATIONS, Share { percent, at_least })),
            taken: Arc::new(Mutex::new(Taken {
                free_ports: (FIRST_PORT..=u16::MAX).collect(),
                users: HashMap::new(),
                newest: 0,
            })),
        }
    }

    /// Takes a place for an allocation.
    pub fn take(&self, client: ClientAddress, user: &str) -> Result<Seat, Full> {
        let place = self.places.take(client, 1).map_err(|denied| match denied {
            Denied::ShareUsedUp => Full::ShareUsedUp,
            Denied::UsedUp => Full::UsedUp,
        })?;
        let mut taken = lock(&self.taken);
        if taken.users.get(user).is_some_and(|&held| held >= MAX_OF_USER) {
            return Err(Full::ShareUsedUp);
        }
        let port = taken.free_ports.pop_front().ok_or(Full::UsedUp)?;
        *taken.users.entry(user.to_owned()).or_default() += 1;
        taken.newest = taken.newest.wrapping_add(1);
        Ok(Seat {
            taken: Arc::clone(&self.taken),
            _place: place,
            user: user.to_owned(),
            port,
            number: taken.newest,
        })
    }

    /// Allocations that there are.
    pub fn allocations(&self) -> u64 {
        MAX_ALLOCATIONS - self.places.free()
    }
}

impl Seat {
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A number that no other allocation has.
    pub fn number(&self) -> u32 {
        self.number
    }

    pub fn user(&self) -> &str {
        &self.user
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        // The port that was free for longest is taken next, so that what still comes for this one finds nobody.
        taken.free_ports.push_back(self.port);
        if let Some(held) = taken.users.get_mut(&self.user) {
            *held -= 1;
            if *held == 0 {
                taken.users.remove(&self.user);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::IpAddr;

    use super::*;

    fn address(number: u32) -> ClientAddress {
        IpAddr::from((0x0a00_0000 + number).to_be_bytes()).into()
    }

    #[test]
    fn a_user_has_a_bounded_number_wherever_they_are() {
        let quotas = Quotas::new(25);
        let seats: Vec<Seat> = (0..MAX_OF_USER)
            .map(|n| quotas.take(address(n), "1:a").unwrap())
            .collect();
        assert_eq!(quotas.take(address(1_000), "1:a").err(), Some(Full::ShareUsedUp));
        assert!(quotas.take(address(1_000), "1:b").is_ok());
        assert_eq!(quotas.allocations(), u64::from(MAX_OF_USER));
        drop(seats);
        assert_eq!(quotas.allocations(), 0);
        assert!(lock(&quotas.taken).users.is_empty());
        assert!(quotas.take(address(1_000), "1:a").is_ok());
    }

    #[test]
    fn an_address_leaves_some_for_the_next_whatever_users_it_names() {
        let quotas = Quotas::new(25);
        let take = |client: ClientAddress| {
            let one = |n: u64| quotas.take(client, &format!("1:{}", n / 50)).ok();
            (0..).map_while(one).collect::<Vec<Seat>>()
        };
        let first = take(address(1));
        assert_eq!(first.len() as u64, MAX_ALLOCATIONS / 4);
        assert!(!take(address(2)).is_empty());
        assert!(quotas.take(address(3), "1:c").is_ok());
    }

    #[test]
    fn ports_and_numbers_are_of_one_allocation_and_there_are_no_more_than_ports() {
        let quotas = Quotas::new(100);
        let take = |n: u64| quotas.take(address(n as u32), &format!("1:{}", n / 50));
        let seats: Vec<Seat> = (0..MAX_ALLOCATIONS).map(|n| take(n).ok().unwrap()).collect();
        assert_eq!(take(0).err(), Some(Full::UsedUp));
        let ports: HashSet<u16> = seats.iter().map(Seat::port).collect();
        let numbers: HashSet<u32> = seats.iter().map(Seat::number).collect();
        assert_eq!((ports.len(), numbers.len()), (seats.len(), seats.len()));
        assert!(ports.iter().all(|&port| port >= FIRST_PORT));
    }
}
