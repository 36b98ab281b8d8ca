//! The desk: it has the sessions of clients without a socket. Clients of a family over HTTP (REST, server-sent events, WHIP)
//! send commands in some requests and get events in others. Between requests such a client has a token; behind the token are a
//! session of the hub and the events for it.
//!
//! - An entry lasts as long as its client renews it ([`Desk::renew`]), or as long as the one connection that it is there for
//!   ([`Desk::open_for_a_connection`]). Then it is removed, and its session leaves the room or call that it is in, as when a
//!   socket closes.
//! - Commands of one client are carried out one after the other, also where several are sent at once.
//! - An offer gets its own answer ([`Desk::offer`]), however many offers are open.
//! - Everything else is an event, and waits until it is fetched ([`Desk::events`]). The entry of a client that does not fetch
//!   its events is removed. Of events about one state, as of who speaks, only the newest is kept. Of an entry that is there for
//!   one connection nobody fetches events, and none are kept.
//!
//! Clients by WHIP and WHEP use it, each with an entry for one connection, and registrations of accounts, which are renewed.

mod entries;
mod values;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entries::{Entries, Entry, Over};
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub use values::{Answer, Connection, NotDone, NotReceived, Purpose, Token};

use crate::clock::MonotonicClock;
use crate::domain::{Command, Event, Offer, Refusal};
use crate::hub::{Events, HubHandle, NoPlace, Session};
use crate::ids::{OfferTag, Turn};
use crate::media::description::Description;
use crate::shares::{ClientAddress, Place, Places, Pot, Rates, Share};

/// Entries at a time. In the worst case each holds events of 256 KiB: 256 MB in all. More would need more memory; fewer would
/// refuse some of the devices of a large company.
const ENTRIES_MAX: u64 = 1_000;

/// Entries that an address may have in any case: a household's devices.
const ENTRIES_AT_LEAST: u64 = 8;

/// Clients of one address that may arrive at once: all that its share of the entries has places for, as when the server was
/// started again.
const ARRIVALS_AT_ONCE: u32 = 300;

/// Further ones each second. Everybody in a room is sent that somebody arrives and leaves: with a hundred people there this is as
/// much as the texts of one address may cost them. Fewer would slow down an office whose players ask every few seconds for
/// somebody who is not there.
const ARRIVALS_PER_S: f64 = 10.0;

/// Addresses that are remembered for that, some 60 bytes each.
const ARRIVING_ADDRESSES_MAX: usize = 4_096;

/// The longest time that an entry lasts without being renewed. Longer would hold a place for somebody who has left.
const LASTS_MAX: Duration = Duration::from_secs(600);

/// Time for the answer to an offer that the hub has taken. It is there at once, or not at all, as in a room without a media worker.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Time from the opening of an entry that is there for a connection to the answer of its offer. Both are of one request.
const OFFERED_WITHIN: Duration = Duration::from_secs(30);

/// Time between two removals of expired entries. They cannot be used after they have expired.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A session of a client that has no entry yet, and what it needs for one.
pub struct Arrival {
    pub session: Session,
    pub held: Held,
}

/// The place of somebody who arrives, and the events that have come for them.
pub struct Held {
    place: Place,
    events: Events,
}

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    hub: HubHandle,
    places: Places,
    arrivals: Arc<Mutex<Rates<ClientAddress>>>,
    clock: MonotonicClock,
    entries: Arc<Mutex<Entries<Arc<Session>>>>,
}

impl Desk {
    /// Makes a desk at which one client address may have `percent` of the entries, while nobody else has any.
    pub fn new(hub: HubHandle, percent: u8, clock: MonotonicClock) -> Desk {
        let share = Share {
            percent,
            at_least: ENTRIES_AT_LEAST,
        };
        Desk {
            hub,
            places: Places::new(Pot::new(ENTRIES_MAX, share)),
            arrivals: Arc::new(Mutex::new(Rates::new(
                ARRIVALS_AT_ONCE,
                ARRIVALS_PER_S,
                ARRIVING_ADDRESSES_MAX,
            ))),
            clock,
            entries: Arc::default(),
        }
    }

    /// Makes an entry with a session of the hub. The entry ends after `lasts`.
    pub async fn open(&self, client: ClientAddress, lasts: Duration) -> Result<Token, NotReceived> {
        let Arrival { session, held } = self.receive(client).await?;
        Ok(self.open_with(session, held, lasts))
    }

    /// Makes an entry for a session that has arrived. The entry ends after `lasts`.
    pub fn open_with(&self, session: Session, held: Held, lasts: Duration) -> Token {
        let expires = (self.clock)() + lasts.min(LASTS_MAX);
        self.add(held, |place| Entry::new(Arc::new(session), expires, Some(place)))
    }

    /// Takes a place for an entry, with a session of the hub. Both are given up where they are dropped. Whoever arrives begins
    /// with a new session, so what that costs others is charged to their address.
    pub async fn receive(&self, client: ClientAddress) -> Result<Arrival, NotReceived> {
        if !client.is_this_machine() {
            let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = arrivals.take(client, 1, (self.clock)());
            taken.map_err(NotReceived::TooOften)?;
        }
        let place = self.places.take(client, 1).map_err(NoPlace::from)?;
        let (session, events) = self.hub.connect(client).await?;
        let held = Held { place, events };
        Ok(Arrival { session, held })
    }

    /// Makes an entry for a session that has arrived. It lasts until the connection that is to be offered in it has ended, or
    /// nobody is there any more whom that connection watches; without an answered offer, for a short time.
    pub fn open_for_a_connection(&self, session: Session, held: Held) -> Token {
        let by = (self.clock)() + OFFERED_WITHIN;
        self.add(held, |place| Entry::of_a_connection(Arc::new(session), by, Some(place)))
    }

    fn add(&self, held: Held, entry: impl FnOnce(Place) -> Entry<Arc<Session>>) -> Token {
        let Held { place, events } = held;
        let token = Token::random();
        self.entries().0.insert(token, entry(place));
        tokio::spawn(self.clone().put_aside(token, events));
        token
    }

    /// Renews an entry: the client is still there. It lasts for `lasts` from now.
    pub fn renew(&self, token: Token, lasts: Duration) -> Result<(), NotDone> {
        let now = (self.clock)();
        let mut entries = self.entries();
        let expires = &mut entries.find(now, token)?.expires;
        // An entry that lasts as long as its connection needs no renewal.
        if expires.is_some() {
            *expires = Some(now + lasts.min(LASTS_MAX));
        }
        Ok(())
    }

    /// Whether there is an entry, and its session has not ended.
    pub(crate) fn is_there(&self, token: Token) -> bool {
        let now = (self.clock)();
        let mut entries = self.entries();
        entries.find(now, token).is_ok_and(|entry| entry.behind.is_some())
    }

    /// Removes an entry when its client leaves. Returns whether there was one.
    pub fn close(&self, token: Token) -> bool {
        let entry = self.entries().0.remove(&token);
        entry.is_some()
    }

    /// The connection of an entry that is there for one.
    pub fn connection(&self, token: Token) -> Result<Connection, NotDone> {
        let now = (self.clock)();
        let connection = self.entries().find(now, token)?.connection.clone();
        connection.ok_or(NotDone::UnknownToken)
    }

    /// The turn of a request that has just been received and is to become a [`Command::Join`]. Of two joins under one name the one
    /// with the higher turn counts, whatever each waits for until it is sent.
    pub fn take_turn(&self, token: Token) -> Result<Turn, NotDone> {
        let now = (self.clock)();
        Ok(self.entries().find(now, token)?.session()?.take_turn())
    }

    /// Sends a command for the entry's session to the hub, and waits until it has been carried out. Its consequences are
    /// events. Once it has been sent, it is carried out, and the pause that it brings about counts, even if the client gives
    /// its request up.
    pub async fn request(&self, token: Token, command: impl Into<Command>) -> Result<(), NotDone> {
        let turnstile = {
            let now = (self.clock)();
            Arc::clone(&self.entries().find(now, token)?.turnstile)
        };
        let passed = turnstile.lock_owned().await;
        let session = {
            let now = (self.clock)();
            let mut entries = self.entries();
            let entry = entries.find(now, token)?;
            if let Some(until) = entry.paused_until.filter(|until| *until > now) {
                return Err(NotDone::Paused(until - now));
            }
            Arc::clone(entry.session()?)
        };
        // In a task of its own, because the one that asks ends with the client's request.
        let carried_out = tokio::spawn(self.clone().carry_out(token, session, command.into(), passed));
        Ok(carried_out.await.unwrap_or(Err(Refusal::SessionEnded))?)
    }

    /// Sends a command to the hub, and notes the pause that it brings about. Until then no other command of the entry may pass.
    async fn carry_out(
        self,
        token: Token,
        session: Arc<Session>,
        command: Command,
        _passed: OwnedMutexGuard<()>,
    ) -> Result<(), Refusal> {
        let outcome = session.request(command).await;
        let now = (self.clock)();
        if let Ok(entry) = self.entries().find(now, token) {
            entry.paused_until = entry.paused_until.max(Some(now + session.take_pause()));
        }
        outcome
    }

    /// Offers a connection in the room where the session is. Returns the answer to this very offer.
    pub async fn offer(&self, token: Token, purpose: Purpose, description: Description) -> Result<Answer, NotDone> {
        let now = (self.clock)();
        let entry = |entry: &mut Entry<_>| entry.await_answer(purpose.clone(), description.clone());
        let awaited = self.entries().find(now, token).map(entry)?;
        self.send_offer(token, purpose, description, awaited).await
    }

    /// Restarts the ICE of an entry's connection with new credentials of the client (RFC 9725 §4.3.3). All else about it stays as
    /// it was offered. `from` is the number of the offer whose ICE is to be restarted; `None`: whichever it is. Of several
    /// requests that name the same offer, one restarts its ICE.
    pub async fn restart(&self, token: Token, from: Option<u64>, ufrag: &str, pwd: &str) -> Result<Answer, NotDone> {
        let now = (self.clock)();
        let (purpose, description, awaited) = {
            let mut entries = self.entries();
            let entry = entries.find(now, token)?;
            let connection = entry.connection.as_ref().ok_or(NotDone::UnknownToken)?;
            if from.is_some_and(|from| from != connection.number || entry.is_offering()) {
                return Err(NotDone::OtherState);
            }
            let description = connection.description.restarted(ufrag, pwd)?;
            let purpose = connection.purpose.clone();
            let awaited = entry.await_answer(purpose.clone(), description.clone());
            (purpose, description, awaited)
        };
        self.send_offer(token, purpose, description, awaited).await
    }

    async fn send_offer(
        &self,
        token: Token,
        purpose: Purpose,
        description: Description,
        (tag, answer): (OfferTag, oneshot::Receiver<Answer>),
    ) -> Result<Answer, NotDone> {
        let offer = Offer {
            description,
            tag: Some(tag),
        };
        self.request(token, purpose.offered(offer)).await?;
        awaited(answer).await
    }

    /// Returns the events since the last call. If there are none, it waits for one until `within` is over, and then returns
    /// none. The last event of a session is [`Event::Ended`]; its entry is removed with it.
    pub async fn events(&self, token: Token, within: Duration) -> Result<Vec<Event>, NotDone> {
        let until = (self.clock)() + within;
        loop {
            let events = self.take_events(token)?;
            if !events.is_empty() || !self.await_events(token, until).await? {
                return Ok(events);
            }
        }
    }

    /// Returns the events since the last call without waiting for one. As [`Desk::events`], it removes an entry with its last events.
    pub(crate) fn take_events(&self, token: Token) -> Result<Vec<Event>, NotDone> {
        let now = (self.clock)();
        let mut entries = self.entries();
        let entry = entries.find(now, token)?;
        let events = entry.take_events();
        let is_over = !events.is_empty() && entry.behind.is_none();
        let over = is_over.then(|| entries.0.remove(&token));
        drop(entries);
        drop(over);
        Ok(events)
    }

    /// Waits until there are events to be taken. Returns false if there are none until then.
    pub(crate) async fn await_events(&self, token: Token, until: Instant) -> Result<bool, NotDone> {
        let mut arrival = {
            let now = (self.clock)();
            let mut entries = self.entries();
            let entry = entries.find(now, token)?;
            if entry.has_events() {
                return Ok(true);
            }
            entry.arrival.subscribe()
        };
        Ok(timeout_at(until, arrival.changed()).await.is_ok())
    }

    /// Removes expired entries. Never ends.
    pub async fn sweep(self) {
        loop {
            sleep(SWEEP_INTERVAL).await;
            let expired = self.entries().expire((self.clock)());
            drop(expired);
        }
    }

    /// Stores the hub's events of a session until its client fetches them.
    async fn put_aside(self, token: Token, mut events: Events) {
        while let Some(event) = events.next().await {
            let put = self.entries().put(token, event);
            if let Err(over) = put {
                if over == Over::Full {
                    tracing::info!("a client without a socket does not fetch its events: its session ends");
                }
                self.close(token);
                return;
            }
        }
        // The hub has ended the session.
        let session = self.entries().end(token);
        drop(session);
    }

    /// Puts an event aside for an entry, as if the hub had sent it.
    #[cfg(test)]
    pub(crate) fn put(&self, token: Token, event: Event) {
        self.entries().put(token, event).unwrap();
    }

    /// Locks the entries. The lock is held only for moments: nothing waits and no session is dropped meanwhile.
    fn entries(&self) -> MutexGuard<'_, Entries<Arc<Session>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to an offer that the hub has taken.
async fn awaited(answer: oneshot::Receiver<Answer>) -> Result<Answer, NotDone> {
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        // Its session has ended.
        Ok(Err(_)) => Err(NotDone::UnknownToken),
        Err(_) => Err(NotDone::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_not_waited_for_without_end() {
        let (_sender, answer) = oneshot::channel();
        assert_eq!(awaited(answer).await, Err(NotDone::NoAnswer));
        let (sender, answer) = oneshot::channel();
        drop(sender);
        assert_eq!(awaited(answer).await, Err(NotDone::UnknownToken));
    }
}
