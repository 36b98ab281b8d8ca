//! The desk: it has the sessions of clients without a socket. Clients of a family over HTTP (REST, server-sent events, WHIP)
//! send commands in some requests and get events in others. Between requests such a client has a token; behind the token are a
//! session of the hub and the events for it.
//!
//! No request uses the desk yet: every client that enters a room or calls has a socket today. It is where families over HTTP
//! begin.
//!
//! - An entry lasts as long as its client renews it ([`Desk::renew`]). Then it is removed, and its session leaves the room or
//!   call that it is in, as when a socket closes.
//! - Commands of one client are carried out one after the other, also where several are sent at once.
//! - An offer gets its own answer ([`Desk::offer`]), however many offers are open.
//! - Everything else is an event, and waits until it is fetched ([`Desk::events`]). The entry of a client that does not fetch
//!   its events is removed. Of events about one state, as of who speaks, only the newest is kept.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::clock::MonotonicClock;
use crate::domain::{Command, Event, MediaKind, MessageEvent, Offer, Refusal, Subject, UserFeed};
use crate::hub::{self, Events, HubHandle, NoPlace, Session};
use crate::ids::{OfferTag, Turn, UserId};
use crate::shares::{ClientAddress, Place, Places, Pot, Share};

/// Entries at a time. In the worst case each holds [`BYTES_MAX`]: 256 MB in all. More would need more memory; fewer would
/// refuse some of the devices of a large company.
const ENTRIES_MAX: u64 = 1_000;

/// Entries that an address may have in any case: a household's devices.
const ENTRIES_AT_LEAST: u64 = 8;

/// Unread events of one entry. Between two requests of a client that asks every few seconds, all people of a full room may join
/// and leave. More would only be held for clients that never ask.
const EVENTS_MAX: usize = 256;

/// Bytes of these events together: a few answers of the greatest length, or sixteen chat texts.
const BYTES_MAX: usize = 256 * 1024;

/// The longest time that an entry lasts without being renewed. Longer would hold a place for somebody who has left.
const LASTS_MAX: Duration = Duration::from_secs(600);

/// Time for the answer to an offer that the hub has taken. It is there at once, or not at all, as in a room without a media worker.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Time between two removals of expired entries. They cannot be used after they have expired.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The key to an entry. It has 128 random bits, and is not shown in logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u128);

/// The reason why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    #[error("the token is not known, or its time is over; begin anew")]
    UnknownToken,
    #[error("what you said has cost others too much; wait for {} ms", .0.as_millis())]
    Paused(Duration),
    #[error("the server had nothing to answer the offer with; offer again in some seconds, or join anew")]
    NoAnswer,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    hub: HubHandle,
    places: Places,
    clock: MonotonicClock,
    entries: Arc<Mutex<Entries<Arc<Session>>>>,
}

impl Token {
    pub fn random() -> Token {
        Token(rand::random())
    }

    /// Reads a token. `None` where the text is not 32 hexadecimal digits.
    pub fn read(text: &str) -> Option<Token> {
        let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_one.then(|| u128::from_str_radix(text, 16).ok())?.map(Token)
    }

    pub fn text(self) -> String {
        format!("{:032x}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
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
            clock,
            entries: Arc::default(),
        }
    }

    /// Makes an entry with a session of the hub. It lasts for `lasts`.
    pub async fn open(&self, client: ClientAddress, lasts: Duration) -> Result<Token, NoPlace> {
        let place = self.places.take(client, 1)?;
        let (session, events) = self.hub.connect(client).await?;
        let token = Token::random();
        let entry = Entry::new(Arc::new(session), (self.clock)() + lasts.min(LASTS_MAX), Some(place));
        self.entries().0.insert(token, entry);
        tokio::spawn(self.clone().put_aside(token, events));
        Ok(token)
    }

    /// Renews an entry: the client is still there. It lasts for `lasts` from now.
    pub fn renew(&self, token: Token, lasts: Duration) -> Result<(), NotDone> {
        let now = (self.clock)();
        self.entries().find(now, token)?.expires = now + lasts.min(LASTS_MAX);
        Ok(())
    }

    /// Removes an entry when its client leaves.
    pub fn close(&self, token: Token) {
        let entry = self.entries().0.remove(&token);
        drop(entry);
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

    /// Offers a connection in the room where the session is, as [`Command::Offer`] does. Returns the answer to this very offer,
    /// as SDP.
    pub async fn offer(&self, token: Token, subject: UserFeed, offer: Offer) -> Result<String, NotDone> {
        let now = (self.clock)();
        let (tag, answer) = self.entries().find(now, token)?.await_answer();
        let offer = Offer {
            tag: Some(tag),
            ..offer
        };
        self.request(token, Command::Offer { subject, offer }).await?;
        awaited(answer).await
    }

    /// Returns the events since the last call. If there are none, it waits for one until `within` is over, and then returns
    /// none. The last event of a session is [`Event::Ended`]; its entry is removed with it.
    pub async fn events(&self, token: Token, within: Duration) -> Result<Vec<Event>, NotDone> {
        let until = (self.clock)() + within;
        loop {
            let mut arrival = {
                let mut entries = self.entries();
                let entry = entries.find((self.clock)(), token)?;
                let events = entry.take_events();
                if !events.is_empty() {
                    let over = entry.behind.is_none().then(|| entries.0.remove(&token));
                    drop(entries);
                    drop(over);
                    return Ok(events);
                }
                entry.arrival.subscribe()
            };
            if timeout_at(until, arrival.changed()).await.is_err() {
                return Ok(Vec::new());
            }
        }
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
            if let Err(Full) = put {
                tracing::info!("a client without a socket does not fetch its events: its session ends");
                self.close(token);
                return;
            }
        }
        // The hub has ended the session.
        let session = self.entries().end(token);
        drop(session);
    }

    /// Locks the entries. The lock is held only for moments: nothing waits and no session is dropped meanwhile.
    fn entries(&self) -> MutexGuard<'_, Entries<Arc<Session>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All entries, by token. Pure: the time is given.
struct Entries<S>(HashMap<Token, Entry<S>>);

/// The session and the events behind one token.
struct Entry<S> {
    /// `None` once the session has ended. What is left then are its last events.
    behind: Option<S>,
    /// Lets one command after the other pass, so that each meets the pause that those before it have brought about.
    turnstile: Arc<tokio::sync::Mutex<()>>,
    events: VecDeque<Event>,
    bytes: usize,
    /// The requests that wait for the answer to an offer.
    answers: HashMap<OfferTag, oneshot::Sender<String>>,
    last_tag: u64,
    /// A signal that changes with each event, and ends with the entry.
    arrival: watch::Sender<()>,
    /// The time before which no command is accepted for it.
    paused_until: Option<Instant>,
    expires: Instant,
    _place: Option<Place>,
}

/// Something of which an event announces the present state. Of the events about it that have not been fetched only the newest
/// is kept.
#[derive(PartialEq, Eq)]
enum State<'a> {
    /// Who speaks.
    Speakers,
    /// The feeds that a user publishes beside their camera.
    FurtherFeeds(&'a UserId),
    /// Whether a user's media arrive.
    Media(&'a UserId),
    /// Whether the second user can decode what the first publishes.
    Decoding(&'a UserId, &'a UserId, MediaKind),
    /// Whether a user is online.
    Presence(&'a UserId),
}

/// The refusal of an event: the entry holds as many as it may.
#[derive(Debug, PartialEq, Eq)]
struct Full;

/// The answer to an offer that the hub has taken.
async fn awaited(answer: oneshot::Receiver<String>) -> Result<String, NotDone> {
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        // Its session has ended.
        Ok(Err(_)) => Err(NotDone::UnknownToken),
        Err(_) => Err(NotDone::NoAnswer),
    }
}

impl<'a> State<'a> {
    /// The state that an event announces. `None` if it announces none, as a text does: all of these are to be fetched.
    fn of(event: &'a Event) -> Option<State<'a>> {
        match event {
            Event::Speakers { .. } => Some(State::Speakers),
            Event::FurtherFeeds { user, .. } => Some(State::FurtherFeeds(user)),
            Event::MediaChanged { user, .. } => Some(State::Media(user)),
            Event::Decoding(notice) => Some(State::Decoding(&notice.publisher, &notice.watcher, notice.media)),
            Event::Message(MessageEvent::Online { user } | MessageEvent::Offline { user }) => {
                Some(State::Presence(user))
            }
            _ => None,
        }
    }
}

impl<S> Default for Entries<S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<S> Entries<S> {
    fn find(&mut self, now: Instant, token: Token) -> Result<&mut Entry<S>, NotDone> {
        let entry = self.0.get_mut(&token).filter(|entry| entry.expires > now);
        entry.ok_or(NotDone::UnknownToken)
    }

    /// Adds an event to an entry, or gives it to a request that waits for it. An event for an unknown token is lost.
    fn put(&mut self, token: Token, event: Event) -> Result<(), Full> {
        self.0.get_mut(&token).map_or(Ok(()), |entry| entry.put(event))
    }

    /// Ends an entry: no more events come. What it still has can be fetched; without anything to fetch, it is removed. Returns its
    /// session, which is to be dropped at once.
    fn end(&mut self, token: Token) -> Option<S> {
        let entry = self.0.get_mut(&token)?;
        let behind = entry.behind.take();
        entry.answers.clear();
        if entry.events.is_empty() {
            self.0.remove(&token);
        }
        behind
    }

    /// Removes the expired entries and returns them.
    fn expire(&mut self, now: Instant) -> Vec<Entry<S>> {
        let over = self.0.extract_if(|_, entry| entry.expires <= now);
        over.map(|(_, entry)| entry).collect()
    }
}

impl<S> Entry<S> {
    fn new(behind: S, expires: Instant, place: Option<Place>) -> Self {
        Self {
            behind: Some(behind),
            events: VecDeque::new(),
            bytes: 0,
            answers: HashMap::new(),
            last_tag: 0,
            arrival: watch::Sender::new(()),
            paused_until: None,
            expires,
            turnstile: Arc::default(),
            _place: place,
        }
    }

    fn session(&self) -> Result<&S, NotDone> {
        self.behind.as_ref().ok_or(NotDone::Refused(Refusal::SessionEnded))
    }

    fn await_answer(&mut self) -> (OfferTag, oneshot::Receiver<String>) {
        // Requests that were given up no longer wait for an answer.
        self.answers.retain(|_, waiting| !waiting.is_closed());
        self.last_tag += 1;
        let tag = OfferTag(self.last_tag);
        let (sender, receiver) = oneshot::channel();
        self.answers.insert(tag, sender);
        (tag, receiver)
    }

    fn put(&mut self, event: Event) -> Result<(), Full> {
        if let Event::Answered {
            tag: Some(tag), sdp, ..
        } = &event
            && let Some(waiting) = self.answers.remove(tag)
        {
            // If the request was given up meanwhile, nobody wants the answer.
            waiting.send(sdp.clone()).ok();
            return Ok(());
        }
        if let Event::Candidate {
            subject: Subject::Feed(_) | Subject::Conference,
            ..
        } = event
        {
            // The answer has them already.
            return Ok(());
        }
        let state = State::of(&event);
        let mut older = self.events.iter();
        let outdated = older.position(|older| state.is_some() && State::of(older) == state);
        if let Some(outdated) = outdated.and_then(|index| self.events.remove(index)) {
            self.bytes -= hub::weight(&outdated);
        }
        let bytes = self.bytes + hub::weight(&event);
        if self.events.len() == EVENTS_MAX || bytes > BYTES_MAX {
            return Err(Full);
        }
        self.bytes = bytes;
        self.events.push_back(event);
        self.arrival.send_replace(());
        Ok(())
    }

    fn take_events(&mut self) -> Vec<Event> {
        self.bytes = 0;
        self.events.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Candidate, DecodingNotice, EndReason, MediaState};
    use crate::ids::Feed;

    const TOKEN: Token = Token(1);

    fn answered(tag: Option<OfferTag>, sdp: &str) -> Event {
        Event::Answered {
            subject: Subject::Feed(UserFeed::camera("anna".into())),
            tag,
            sdp: sdp.to_owned(),
        }
    }

    fn event() -> Event {
        Event::ParticipantLeft { user: "anna".into() }
    }

    /// Entries with one that lasts for a minute.
    fn entries() -> (Entries<()>, Instant) {
        let now = Instant::now();
        let mut entries = Entries::default();
        let entry = Entry::new((), now + Duration::from_secs(60), None);
        entries.0.insert(TOKEN, entry);
        (entries, now)
    }

    #[test]
    fn an_entry_is_found_by_its_token_until_its_time_is_over() {
        let (mut entries, now) = entries();
        assert!(entries.find(now, Token(2)).is_err());
        assert!(entries.find(now + Duration::from_millis(59_999), TOKEN).is_ok());
        assert!(
            entries.find(now + Duration::from_secs(60), TOKEN).is_err(),
            "though it is still there"
        );
        assert!(entries.expire(now + Duration::from_millis(59_999)).is_empty());
        assert_eq!(entries.expire(now + Duration::from_secs(60)).len(), 1);
        assert!(entries.0.is_empty());
        assert_eq!(
            entries.put(TOKEN, event()),
            Ok(()),
            "it comes too late, and does no harm"
        );
    }

    #[test]
    fn an_answer_goes_to_who_waits_for_it_and_every_other_one_is_an_event() {
        let (mut entries, now) = entries();
        let entry = entries.find(now, TOKEN).unwrap();
        let (first, mut first_answer) = entry.await_answer();
        let (second, mut second_answer) = entry.await_answer();
        entry.put(answered(Some(second), "second")).unwrap();
        entry.put(answered(None, "of nobody")).unwrap();
        entry.put(answered(Some(OfferTag(99)), "of a call")).unwrap();
        entry.put(answered(Some(first), "first")).unwrap();
        assert_eq!(first_answer.try_recv().unwrap(), "first");
        assert_eq!(second_answer.try_recv().unwrap(), "second");
        let rest = [answered(None, "of nobody"), answered(Some(OfferTag(99)), "of a call")];
        assert_eq!(entry.take_events(), rest);
    }

    #[test]
    fn requests_that_were_given_up_leave_nothing_behind() {
        let (mut entries, now) = entries();
        let entry = entries.find(now, TOKEN).unwrap();
        for _ in 0..10_000 {
            entry.await_answer();
        }
        assert_eq!(entry.answers.len(), 1);
    }

    #[test]
    fn unread_events_are_bounded_in_number_and_in_bytes() {
        let (mut entries, now) = entries();
        let entry = entries.find(now, TOKEN).unwrap();
        for _ in 0..EVENTS_MAX {
            entry.put(event()).unwrap();
        }
        assert_eq!(entry.put(event()), Err(Full));
        assert_eq!(entry.take_events().len(), EVENTS_MAX);
        let long = || Event::Text {
            from: "anna".into(),
            text: "x".repeat(BYTES_MAX / 4).into(),
        };
        let candidate = Event::Candidate {
            subject: Subject::Feed(UserFeed::camera("anna".into())),
            candidate: Candidate {
                line: "candidate:1".to_owned(),
                mid: String::new(),
                section: 0,
            },
        };
        entry.put(candidate).unwrap();
        assert_eq!(entry.take_events(), [], "the answer has the candidates");
        for _ in 0..3 {
            entry.put(long()).unwrap();
        }
        assert_eq!(entry.put(long()), Err(Full));
        entry.take_events();
        assert_eq!(entry.put(long()), Ok(()), "what has been fetched counts no more");
    }

    #[test]
    fn of_events_about_one_state_only_the_newest_is_kept() {
        let speakers = |number: usize| Event::Speakers {
            users: vec![UserId::from("x".repeat(number % 8).as_str())].into(),
        };
        let feeds = |user: &str, number: usize| Event::FurtherFeeds {
            user: user.into(),
            feeds: vec![Feed::Screen; number % 2],
        };
        let media = |user: &str, number: usize| Event::MediaChanged {
            user: user.into(),
            media: [MediaState::Lost, MediaState::Back][number % 2],
        };
        let decoding = |watcher: &str, media, number: usize| {
            Event::Decoding(Arc::new(DecodingNotice {
                publisher: "anna".into(),
                watcher: watcher.into(),
                media,
                undecodable: (number.is_multiple_of(2)).then(|| "VP9".to_owned()),
            }))
        };
        let presence = |user: &str, number: usize| {
            let user = user.into();
            Event::Message(match number % 2 {
                0 => MessageEvent::Online { user },
                _ => MessageEvent::Offline { user },
            })
        };
        let all = |number| {
            [
                speakers(number),
                feeds("anna", number),
                feeds("ben", number),
                media("anna", number),
                media("ben", number),
                decoding("ben", MediaKind::Video, number),
                decoding("ben", MediaKind::Audio, number),
                decoding("carl", MediaKind::Video, number),
                presence("anna", number),
                presence("ben", number),
            ]
        };
        let (mut entries, now) = entries();
        let entry = entries.find(now, TOKEN).unwrap();
        entry.put(event()).unwrap();
        let rounds = 10 * EVENTS_MAX;
        for number in 0..rounds {
            for event in all(number) {
                entry.put(event).unwrap();
            }
        }
        entry.put(event()).unwrap();
        let weight = 2 * hub::weight(&event()) + all(rounds - 1).iter().map(hub::weight).sum::<usize>();
        assert_eq!(entry.bytes, weight, "what is removed has no weight any more");
        let kept: Vec<Event> = [event()].into_iter().chain(all(rounds - 1)).chain([event()]).collect();
        assert_eq!(entry.take_events(), kept);
    }

    #[test]
    fn the_last_events_are_there_until_they_are_fetched() {
        let (mut entries, now) = entries();
        entries.put(TOKEN, Event::Ended(EndReason::Shutdown)).unwrap();
        let (_, mut answer) = entries.find(now, TOKEN).unwrap().await_answer();
        assert_eq!(entries.end(TOKEN), Some(()), "its session goes at once");
        assert!(
            answer
                .try_recv()
                .is_err_and(|error| error == oneshot::error::TryRecvError::Closed)
        );
        let entry = entries.find(now, TOKEN).unwrap();
        assert_eq!(entry.session(), Err(NotDone::Refused(Refusal::SessionEnded)));
        assert_eq!(entry.take_events(), [Event::Ended(EndReason::Shutdown)]);
        assert_eq!(entries.end(TOKEN), None);
        assert!(entries.0.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_not_waited_for_without_end() {
        let (_sender, answer) = oneshot::channel();
        assert_eq!(awaited(answer).await, Err(NotDone::NoAnswer));
        let (sender, answer) = oneshot::channel();
        drop(sender);
        assert_eq!(awaited(answer).await, Err(NotDone::UnknownToken));
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        let token = Token(7);
        assert_eq!(Token::read(&token.text()), Some(token));
        for text in [
            "",
            "7",
            "+0000000000000000000000000000007",
            &"g".repeat(32),
            &"0".repeat(33),
            &"é".repeat(16),
        ] {
            assert_eq!(Token::read(text), None, "{text}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
