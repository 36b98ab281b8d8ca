//! The door: places for connections, shared between client addresses. When places are used up, a connection that has
//! not sent a whole request yet is ended for the next one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::shares::{ClientAddress, Denied, Place, Places, Pot, Share};

/// Connections that an address may have in any case: a browser opens six to one server.
const AT_LEAST: u64 = 12;

/// The places of some listeners. Cheap to clone.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    places: Places,
    total: u64,
    silent: Mutex<Silent>,
    /// Notified when a place may have become free.
    freed: Notify,
}

/// Connections that have not sent a whole request, in the order in which they came.
#[derive(Default)]
struct Silent {
    last: u64,
    by_client: HashMap<ClientAddress, BTreeMap<u64, CancellationToken>>,
}

/// A connection that has a place.
pub(super) struct AdmittedConnection {
    door: Door,
    place: Mutex<Option<Place>>,
    client: ClientAddress,
    number: u64,
    gives_way: CancellationToken,
}

impl Door {
    /// Makes a door for so many connections, of which one address may have `percent`.
    pub fn new(connections: usize, percent: u8) -> Door {
        let share = Share {
            percent,
            at_least: AT_LEAST,
        };
        Door(Arc::new(Inner {
            places: Places::new(Pot::new(connections as u64, share)),
            total: connections as u64,
            silent: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// Returns a place for a connection. Waits until there is one; `None` where its address has its share, and no
    /// silent connection to end.
    pub(super) async fn admit(&self, client: ClientAddress) -> Option<AdmittedConnection> {
        loop {
            let freed = self.0.freed.notified();
            let gives_way = match self.0.places.take(client, 1) {
                Ok(place) => return Some(self.guest(place, client)),
                Err(Denied::ShareUsedUp) => Some(self.silent().take_oldest_of(client)?),
                Err(Denied::UsedUp) => self.silent().take_oldest(),
            };
            if let Some(gives_way) = gives_way {
                gives_way.cancel();
            }
            freed.await;
        }
    }

    /// The free part of all places: from 0 to 1.
    pub(super) fn free(&self) -> f64 {
        self.0.places.free() as f64 / self.0.total.max(1) as f64
    }

    fn guest(&self, place: Place, client: ClientAddress) -> AdmittedConnection {
        let gives_way = CancellationToken::new();
        AdmittedConnection {
            door: self.clone(),
            place: Mutex::new(Some(place)),
            client,
            number: self.silent().add(client, gives_way.clone()),
            gives_way,
        }
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, Silent> {
        self.0.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdmittedConnection {
    /// Records that it has sent a whole request. It is then not ended for others any more.
    pub(super) fn heard(&self) {
        self.door.silent().remove(self.client, self.number);
    }

    /// Gives its place to the next connection, while this one goes on.
    pub(super) fn give_place_back(&self) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if place.is_some() {
            drop(place);
            self.door.0.freed.notify_waiters();
        }
    }

    /// Takes a place again, if there is one, after it gave its own back.
    pub(super) fn take_place_again(&self) -> bool {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            *place = self.door.0.places.take(self.client, 1).ok();
        }
        place.is_some()
    }

    /// Returns when it must be ended.
    pub(super) async fn gives_way(&self) {
        self.gives_way.cancelled().await;
    }

    pub(super) fn door(&self) -> &Door {
        &self.door
    }
}

impl Drop for AdmittedConnection {
    fn drop(&mut self) {
        self.heard();
        self.give_place_back();
    }
}

impl Silent {
    fn add(&mut self, client: ClientAddress, gives_way: CancellationToken) -> u64 {
        self.last += 1;
        self.by_client.entry(client).or_default().insert(self.last, gives_way);
        self.last
    }

    fn remove(&mut self, client: ClientAddress, number: u64) -> Option<CancellationToken> {
        let of_client = self.by_client.get_mut(&client)?;
        let removed = of_client.remove(&number);
        if of_client.is_empty() {
            self.by_client.remove(&client);
        }
        removed
    }

    fn take_oldest_of(&mut self, client: ClientAddress) -> Option<CancellationToken> {
        let number = *self.by_client.get(&client)?.first_key_value()?.0;
        self.remove(client, number)
    }

    /// Takes the oldest one of the address that has most.
    fn take_oldest(&mut self) -> Option<CancellationToken> {
        let most = self.by_client.iter().max_by_key(|(_, silent)| silent.len());
        let client = *most?.0;
        self.take_oldest_of(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn address(number: u8) -> ClientAddress {
        std::net::IpAddr::from([192, 0, 2, number]).into()
    }

    async fn soon(door: &Door, client: ClientAddress) -> Option<AdmittedConnection> {
        timeout(Duration::from_secs(1), door.admit(client)).await.ok().flatten()
    }

    /// A connection that sends nothing, and ends when it must.
    fn silent(guest: AdmittedConnection) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move { guest.gives_way().await })
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_silent_one_gives_way_to_a_newcomer() {
        for attacker in [ClientAddress::THIS_MACHINE, address(1)] {
            let door = Door::new(100, 100);
            let mut attack = Vec::new();
            for _ in 0..300 {
                attack.push(silent(soon(&door, attacker).await.expect("one more")));
            }
            tokio::task::yield_now().await;
            let ended = attack.iter().take_while(|one| one.is_finished()).count();
            assert_eq!(ended, 200, "the oldest");
            let newcomer = soon(&door, address(2)).await.expect("a place");
            for _ in 0..50 {
                attack.push(silent(soon(&door, attacker).await.expect("one more")));
            }
            assert!(!newcomer.gives_way.is_cancelled(), "who has fewer silent ones stays");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_have_spoken_stay_and_the_next_one_waits() {
        let door = Door::new(2, 100);
        let (first, second) = (
            soon(&door, address(1)).await.unwrap(),
            soon(&door, address(2)).await.unwrap(),
        );
        first.heard();
        second.heard();
        assert!(soon(&door, address(3)).await.is_none());
        let waiting = tokio::spawn({
            let door = door.clone();
            async move { soon(&door, address(3)).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_its_share_and_takes_no_place_of_others() {
        let door = Door::new(100, 25);
        let mut attack = Vec::new();
        while let Some(guest) = soon(&door, address(1)).await {
            guest.heard();
            attack.push(guest);
            assert!(attack.len() <= 25);
        }
        assert_eq!(attack.len(), 25);
        assert!(soon(&door, address(2)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_connections_that_have_ended() {
        let door = Door::new(10, 50);
        for number in 0..100 {
            let guest = soon(&door, address(number)).await.unwrap();
            if number % 2 == 0 {
                guest.heard();
            }
        }
        assert!(door.silent().by_client.is_empty());
        assert!((door.free() - 1.0).abs() < f64::EPSILON);
    }
}
