//! The entries of the desk: what is behind each token, and what becomes of the hub's events for it. Pure: the time is given.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::values::{Answer, Connection, NotDone, Purpose, Token};
use crate::domain::{Event, MediaKind, MeetingEvent, MessageEvent, Refusal, SlotStream, Subject, UserFeed};
use crate::hub;
use crate::ids::{Feed, OfferTag, UserId};
use crate::media::description::Description;
use crate::shares::Place;

/// Unread events of one entry. Between two requests of a client that asks every few seconds, all people of a full room may join
/// and leave. More would only be held for clients that never ask.
pub(super) const EVENTS_MAX: usize = 256;

/// Bytes of these events together: a few answers of the greatest length, or sixteen chat texts.
pub(super) const BYTES_MAX: usize = 256 * 1024;

/// All entries, by token.
pub(super) struct Entries<S>(pub HashMap<Token, Entry<S>>);

/// The session and the events behind one token.
pub(super) struct Entry<S> {
    /// `None` once the session has ended. What is left then are its last events.
    pub behind: Option<S>,
    /// Lock that lets one command pass at a time. The next command meets the pause that the one before has caused.
    pub(super) turnstile: Arc<tokio::sync::Mutex<()>>,
    events: VecDeque<Event>,
    bytes: usize,
    /// The requests that wait for the answer to an offer, and what they have offered.
    answers: HashMap<OfferTag, Waiting>,
    last_tag: u64,
    /// A signal that changes with each event, and ends with the entry.
    pub(super) arrival: watch::Sender<()>,
    /// The time before which no command is accepted for it.
    pub(super) paused_until: Option<Instant>,
    /// `None` for an entry that lasts as long as its connection.
    pub expires: Option<Instant>,
    /// Whether the entry is there for one connection, lasts as long as it, and nobody fetches events.
    is_of_a_connection: bool,
    /// The connection whose offer was answered last.
    pub connection: Option<Connection>,
    _place: Option<Place>,
}

/// A request that waits for the answer to its offer.
struct Waiting {
    answer: oneshot::Sender<Answer>,
    purpose: Purpose,
    description: Description,
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
    /// Which encodings of the session's own feed are wanted.
    LayersWanted(Feed),
    Quality(&'a UserFeed),
    /// Who is in the slots of a connection.
    Layout(&'a Subject),
    /// Whether a user is online.
    Presence(&'a UserId),
    /// What holds for a meeting as a whole.
    Meeting,
    /// What a meeting knows of a user.
    Participant(&'a UserId),
    /// What hosts have decided about the session's own participant.
    Own,
}

/// The reason why an entry is to be removed instead of being given an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It holds as many events as it may.
    Full,
    /// The connection that it was there for has ended.
    Ended,
}

impl<'a> State<'a> {
    /// The state that an event announces. `None` if it announces none, as a text does: all of these are to be fetched.
    fn of(event: &'a Event) -> Option<State<'a>> {
        match event {
            Event::Speakers { .. } => Some(State::Speakers),
            Event::Layout { subject, .. } => Some(State::Layout(subject)),
            Event::FurtherFeeds { user, .. } => Some(State::FurtherFeeds(user)),
            Event::MediaChanged { user, .. } => Some(State::Media(user)),
            Event::LayersWanted(wanted) => Some(State::LayersWanted(wanted.feed)),
            Event::Quality { feed, .. } => Some(State::Quality(feed)),
            Event::Decoding(notice) => Some(State::Decoding(&notice.publisher, &notice.watcher, notice.media)),
            Event::Message(MessageEvent::Online { user } | MessageEvent::Offline { user }) => {
                Some(State::Presence(user))
            }
            Event::Meeting(MeetingEvent::Changed(_)) => Some(State::Meeting),
            Event::Meeting(MeetingEvent::Participant(state)) => Some(State::Participant(&state.person.user)),
            Event::Meeting(MeetingEvent::Own(_)) => Some(State::Own),
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
    pub fn find(&mut self, now: Instant, token: Token) -> Result<&mut Entry<S>, NotDone> {
        let entry = self
            .0
            .get_mut(&token)
            .filter(|entry| entry.expires.is_none_or(|end| end > now));
        entry.ok_or(NotDone::UnknownToken)
    }

    /// Adds an event to an entry, or gives it to a request that waits for it. An event for an unknown token is lost.
    pub fn put(&mut self, token: Token, event: Event) -> Result<(), Over> {
        self.0.get_mut(&token).map_or(Ok(()), |entry| entry.put(event))
    }

    /// Ends an entry: no more events come. What it still has can be fetched; without anything to fetch, it is removed. Returns its
    /// session, which is to be dropped at once.
    pub fn end(&mut self, token: Token) -> Option<S> {
        let entry = self.0.get_mut(&token)?;
        let behind = entry.behind.take();
        entry.answers.clear();
        if entry.events.is_empty() || entry.is_of_a_connection {
            self.0.remove(&token);
        }
        behind
    }

    /// Removes the expired entries and returns them.
    pub fn expire(&mut self, now: Instant) -> Vec<Entry<S>> {
        let over = self
            .0
            .extract_if(|_, entry| entry.expires.is_some_and(|end| end <= now));
        over.map(|(_, entry)| entry).collect()
    }
}

impl<S> Entry<S> {
    /// An entry that lasts until `expires`, unless it is renewed.
    pub fn new(behind: S, expires: Instant, place: Option<Place>) -> Self {
        Self {
            behind: Some(behind),
            events: VecDeque::new(),
            bytes: 0,
            answers: HashMap::new(),
            last_tag: 0,
            arrival: watch::Sender::new(()),
            paused_until: None,
            expires: Some(expires),
            is_of_a_connection: false,
            connection: None,
            turnstile: Arc::default(),
            _place: place,
        }
    }

    /// An entry that lasts as long as the connection that is to be offered until `offered_by`.
    pub fn of_a_connection(behind: S, offered_by: Instant, place: Option<Place>) -> Self {
        Self {
            is_of_a_connection: true,
            ..Self::new(behind, offered_by, place)
        }
    }

    pub fn session(&self) -> Result<&S, NotDone> {
        self.behind.as_ref().ok_or(NotDone::Refused(Refusal::SessionEnded))
    }

    /// Numbers an offer, whose answer is then sent to the receiver.
    pub(super) fn await_answer(
        &mut self,
        purpose: Purpose,
        description: Description,
    ) -> (OfferTag, oneshot::Receiver<Answer>) {
        // Requests that were given up no longer wait for an answer.
        self.answers.retain(|_, waiting| !waiting.answer.is_closed());
        self.last_tag += 1;
        let tag = OfferTag(self.last_tag);
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting {
            answer,
            purpose,
            description,
        };
        self.answers.insert(tag, waiting);
        (tag, receiver)
    }

    /// Whether a request waits for the answer to an offer.
    pub(super) fn is_offering(&self) -> bool {
        self.answers.values().any(|waiting| !waiting.answer.is_closed())
    }

    fn put(&mut self, event: Event) -> Result<(), Over> {
        let event = match self.without_answers(event) {
            Some(event) if self.is_of_a_connection => return self.outlives(&event),
            Some(event) => event,
            None => return Ok(()),
        };
        if let Event::Candidate {
            subject: Subject::Feed(_) | Subject::Conference | Subject::Presentation,
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
            return Err(Over::Full);
        }
        self.bytes = bytes;
        self.events.push_back(event);
        self.arrival.send_replace(());
        Ok(())
    }

    /// Gives an answer to the request that waits for it. Returns every other event.
    fn without_answers(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Answered {
                tag: Some(tag),
                sdp,
                subject,
                slots,
            } => match self.answers.remove(&tag) {
                Some(waiting) => {
                    self.answered(tag, (sdp, slots), waiting);
                    None
                }
                None => Some(Event::Answered {
                    tag: Some(tag),
                    sdp,
                    subject,
                    slots,
                }),
            },
            other => Some(other),
        }
    }

    fn answered(&mut self, OfferTag(number): OfferTag, (sdp, slots): (String, Vec<SlotStream>), waiting: Waiting) {
        if self.is_of_a_connection {
            self.expires = None;
            self.connection = Some(Connection {
                purpose: waiting.purpose,
                description: waiting.description,
                number,
            });
        }
        // If the request was given up meanwhile, nobody wants the answer.
        waiting.answer.send(Answer { sdp, number, slots }).ok();
    }

    /// Whether an entry that is there for a connection goes on after this event.
    fn outlives(&self, event: &Event) -> Result<(), Over> {
        let is_over = match event {
            Event::ConnectionEnded { .. } | Event::ConnectionLost { .. } | Event::Ended(_) => true,
            // Whoever comes back under that name is another participant, whom this connection does not watch.
            Event::ParticipantLeft { user } => {
                let purpose = self.connection.as_ref().map(|connection| &connection.purpose);
                purpose.is_some_and(|purpose| purpose.watches(user))
            }
            _ => false,
        };
        match is_over {
            true => Err(Over::Ended),
            false => Ok(()),
        }
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.bytes = 0;
        self.events.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        Candidate, Conference, DecodingNotice, EndReason, MediaState, MeetingState, ParticipantState, Person, Reported,
        Role, UserFeed,
    };
    use crate::ids::Feed;

    const TOKEN: Token = Token(1);

    fn answered(tag: Option<OfferTag>, sdp: &str) -> Event {
        Event::Answered {
            subject: Subject::Feed(UserFeed::camera("anna".into())),
            tag,
            sdp: sdp.to_owned(),
            slots: Vec::new(),
        }
    }

    fn answer(sdp: &str, number: u64) -> Answer {
        Answer {
            sdp: sdp.to_owned(),
            number,
            slots: Vec::new(),
        }
    }

    fn await_answer(entry: &mut Entry<()>) -> (OfferTag, oneshot::Receiver<Answer>) {
        let purpose = Purpose::Feed(UserFeed::camera("anna".into()));
        entry.await_answer(purpose, Description::default())
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
        let (first, mut first_answer) = await_answer(entry);
        let (second, mut second_answer) = await_answer(entry);
        entry.put(answered(Some(second), "second")).unwrap();
        entry.put(answered(None, "of nobody")).unwrap();
        entry.put(answered(Some(OfferTag(99)), "of a call")).unwrap();
        entry.put(answered(Some(first), "first")).unwrap();
        assert_eq!(first_answer.try_recv().unwrap(), answer("first", 1));
        assert_eq!(second_answer.try_recv().unwrap(), answer("second", 2));
        let rest = [answered(None, "of nobody"), answered(Some(OfferTag(99)), "of a call")];
        assert_eq!(entry.take_events(), rest);
    }

    #[test]
    fn requests_that_were_given_up_leave_nothing_behind() {
        let (mut entries, now) = entries();
        let entry = entries.find(now, TOKEN).unwrap();
        for _ in 0..10_000 {
            await_answer(entry);
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
        assert_eq!(entry.put(event()), Err(Over::Full));
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
        assert_eq!(entry.put(long()), Err(Over::Full));
        entry.take_events();
        assert_eq!(entry.put(long()), Ok(()), "what has been fetched does not count");
    }

    fn participant(user: &str, number: usize, since: std::time::Instant) -> Event {
        Event::Meeting(MeetingEvent::Participant(ParticipantState {
            person: Arc::new(Person::unnamed(user.into())),
            role: Role::Guest,
            muted: number.is_multiple_of(2),
            video_muted: false,
            reported: Reported::default(),
            spotlit: None,
            waiting: false,
            since,
        }))
    }

    fn meeting(number: usize) -> Event {
        Event::Meeting(MeetingEvent::Changed(MeetingState {
            locked: number.is_multiple_of(2),
            ..MeetingState::default()
        }))
    }

    #[test]
    fn of_events_about_one_state_only_the_newest_is_kept() {
        let began = entries().1.into_std();
        let participant = |user, number| participant(user, number, began);
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
                participant("anna", number),
                participant("ben", number),
                meeting(number),
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
        let (_, mut answer) = await_answer(entries.find(now, TOKEN).unwrap());
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

    /// An entry for a connection that is to be offered within a minute.
    fn entry_of_a_connection() -> (Entries<()>, Instant) {
        let now = Instant::now();
        let mut entries = Entries::default();
        let entry = Entry::of_a_connection((), now + Duration::from_secs(60), None);
        entries.0.insert(TOKEN, entry);
        (entries, now)
    }

    #[test]
    fn an_entry_of_a_connection_lasts_from_the_first_answer_on_until_the_connection_ends() {
        let (mut entries, now) = entry_of_a_connection();
        assert_eq!(
            entries.expire(now + Duration::from_secs(60)).len(),
            1,
            "nothing was offered"
        );
        let (mut entries, now) = entry_of_a_connection();
        let (tag, given_up) = await_answer(entries.find(now, TOKEN).unwrap());
        drop(given_up);
        entries.put(TOKEN, answered(Some(tag), "sdp")).unwrap();
        let later = now + Duration::from_secs(3_600);
        assert_eq!(entries.expire(later).len(), 0);
        let connection = entries.find(later, TOKEN).unwrap().connection.clone().unwrap();
        assert_eq!(connection.number, 1);
        for _ in 0..10 * EVENTS_MAX {
            assert_eq!(
                entries.put(TOKEN, Event::ParticipantLeft { user: "ben".into() }),
                Ok(())
            );
        }
        assert_eq!(
            entries.find(later, TOKEN).unwrap().take_events(),
            [],
            "nobody fetches them"
        );
        let ended = Event::ConnectionEnded {
            subject: Subject::Conference,
        };
        assert_eq!(entries.put(TOKEN, ended), Err(Over::Ended));
        assert_eq!(entries.put(TOKEN, Event::Ended(EndReason::Replaced)), Err(Over::Ended));
        assert_eq!(entries.end(TOKEN), Some(()));
        assert!(entries.0.is_empty(), "also with events that were not fetched");
    }

    #[test]
    fn an_entry_ends_when_the_one_leaves_whom_its_connection_watches() {
        let anna = || UserFeed::camera("anna".into());
        let watching = Conference {
            watch: vec![anna()],
            ..Conference::default()
        };
        for (purpose, is_over) in [
            (Purpose::Feed(anna()), true),
            (Purpose::Feed(UserFeed::camera("ben".into())), false),
            (Purpose::Conference(watching), true),
            (Purpose::Conference(Conference::default()), false),
        ] {
            let (mut entries, now) = entry_of_a_connection();
            let entry = entries.find(now, TOKEN).unwrap();
            assert_eq!(entry.put(event()), Ok(()), "nobody is watched yet");
            let (tag, _answer) = entry.await_answer(purpose, Description::default());
            entry.put(answered(Some(tag), "sdp")).unwrap();
            assert_eq!(entry.put(event()) == Err(Over::Ended), is_over);
        }
    }
}
