//! Which participant of a conference is whose: the entries of the desk, by their tokens, with what each session sees and what its
//! client has not been sent yet.
//!
//! Each session has a task that takes its events from the desk, whether or not its client reads: so what it sees is true when the
//! client asks about somebody. The client reads by one stream at a time ([`Reader`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::referrals::Referrals;
use crate::clock::{MonotonicClock, WallClock, now_s};
use crate::conferences::Caller;
use crate::domain::{Event, MeetingEvent};
use crate::http::desk::{Answer, Desk, NotDone, Token};
use crate::signaling::conferences::meeting::{Behind, CallKind, Moment, Notice, Outbox, View, referred};

/// Time for which a session lasts without being refreshed. Clients refresh it five times as often.
pub(super) const LASTS: Duration = Duration::from_secs(120);

/// Time for which the desk is asked for events at once. It says earlier when the session has ended.
const ASK_FOR: Duration = Duration::from_secs(60);

/// Time for the first events of a session that has entered. They are there at once.
const FIRST_WITHIN: Duration = Duration::from_secs(2);

/// Time for which the last events of a session are kept for its client.
const LAST_EVENTS_KEPT: Duration = Duration::from_secs(10);

/// Sessions that have ended and whose last events are kept: those of a hundred clients a second.
const ENDED_MAX: usize = 1_000;

/// All participants who have come by this interface. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Participants {
    desk: Desk,
    clock: WallClock,
    passed: MonotonicClock,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    seats: HashMap<Token, Seat>,
    /// Seats whose sessions have ended.
    ended: usize,
    referrals: Referrals,
}

/// The session of one participant.
pub(super) struct Seat {
    /// The names of the conference that its requests may have in their paths.
    aliases: [String; 2],
    pub view: View,
    /// Who they are for whomever they call.
    pub caller: Caller,
    outbox: Outbox,
    /// A signal that changes with each event, and ends with the seat.
    arrival: watch::Sender<()>,
    /// Ends the present stream.
    stream: CancellationToken,
    /// Ends the present wait of a request until the session is let in.
    held: CancellationToken,
    is_over: bool,
}

/// A stream by which the client of a session reads its events. A newer one ends it.
pub(super) struct Reader {
    participants: Participants,
    token: Token,
    number: u64,
    arrival: watch::Receiver<()>,
    end: CancellationToken,
}

impl Participants {
    pub fn new(desk: Desk, clock: WallClock, passed: MonotonicClock) -> Self {
        let table = Arc::default();
        Self {
            desk,
            clock,
            passed,
            table,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment {
            now: (self.passed)().into_std(),
            now_s: now_s(&self.clock),
        }
    }

    /// Takes a seat for a session that has entered a conference. `aliases` are the names of that.
    pub(super) async fn seat(
        &self,
        token: Token,
        aliases: [String; 2],
        view: View,
        caller: Caller,
    ) -> Result<(), NotDone> {
        self.table().seats.insert(token, Seat::new(aliases, view, caller));
        let first = self.desk.await_events(token, (self.passed)() + FIRST_WITHIN).await;
        if let Err(error) = first.and_then(|_| self.take_in(token)) {
            self.table().seats.remove(&token);
            self.desk.close(token);
            return Err(error);
        }
        tokio::spawn(self.clone().follow(token));
        Ok(())
    }

    /// Uses the seat of a session whose requests name its conference in this way.
    pub(super) fn with<T>(&self, token: Token, alias: &str, then: impl FnOnce(&mut Seat) -> T) -> Result<T, NotDone> {
        if !self.desk.is_there(token) {
            return Err(NotDone::UnknownToken);
        }
        let mut table = self.table();
        let seat = table.seats.get_mut(&token);
        let seat = seat.filter(|seat| seat.aliases.iter().any(|known| known == alias));
        seat.map(then).ok_or(NotDone::UnknownToken)
    }

    /// Waits until a session is let in that waits for a host; others are in already. A client may offer its connection before that:
    /// the offer is held. Only the newest one is. Returns false for an older one.
    pub(super) async fn let_in(&self, token: Token, alias: &str) -> Result<bool, NotDone> {
        let held = self.with(token, alias, |seat| {
            seat.held.cancel();
            seat.held = CancellationToken::new();
            (seat.held.clone(), seat.arrival.subscribe())
        })?;
        let (newest, mut arrival) = held;
        while self.with(token, alias, |seat| seat.view.is_waiting())? {
            let changed = newest.run_until_cancelled(arrival.changed()).await;
            match changed {
                None => return Ok(false),
                Some(Err(_)) => return Err(NotDone::UnknownToken),
                Some(Ok(())) => {}
            }
        }
        Ok(true)
    }

    pub(super) fn refresh(&self, token: Token, alias: &str) -> Result<(), NotDone> {
        self.with(token, alias, |_| ())?;
        self.desk.renew(token, LASTS)
    }

    /// Ends a session. Returns whether there was one.
    pub(super) fn close(&self, token: Token, alias: &str) -> bool {
        let is_there = self.with(token, alias, |_| ()).is_ok() && self.desk.close(token);
        if is_there {
            self.table().seats.remove(&token);
        }
        is_there
    }

    /// Begins a stream of events, which ends the one before. The last events of a session can be read for a short time.
    pub(super) fn read(&self, token: Token, alias: &str) -> Result<Reader, NotDone> {
        let at = self.moment();
        let mut table = self.table();
        let seat = table.seats.get_mut(&token);
        let seat = seat.filter(|seat| seat.aliases.iter().any(|known| known == alias));
        let seat = seat.ok_or(NotDone::UnknownToken)?;
        seat.stream.cancel();
        seat.stream = CancellationToken::new();
        let state = match seat.is_over {
            true => Vec::new(),
            false => seat.view.state(at),
        };
        let number = seat.outbox.begin(state);
        Ok(Reader {
            participants: self.clone(),
            token,
            number,
            arrival: seat.arrival.subscribe(),
            end: seat.stream.clone(),
        })
    }

    /// The PIN that a referral's token stands for. It is then used up.
    pub(super) fn redeem_referral(&self, token: &str, alias: &str) -> Option<String> {
        let now = (self.passed)();
        self.table().referrals.redeem(now, token, alias)
    }

    /// Notes a connection whose offer was answered. Returns its id.
    pub(super) fn called(&self, token: Token, alias: &str, kind: CallKind, answer: &Answer) -> Result<String, NotDone> {
        // What came before the answer is about the connection whose place this one takes.
        self.take_in(token)?;
        self.answered(token, alias, kind, answer)?;
        self.with(token, alias, |seat| seat.view.called(kind))
    }

    /// Notes the newest answer of a connection.
    pub(super) fn answered(&self, token: Token, alias: &str, kind: CallKind, answer: &Answer) -> Result<(), NotDone> {
        let at = self.moment();
        let put = self.with(token, alias, |seat| {
            let layout = seat.view.answered(kind, answer.slots.clone(), at);
            layout.map_or(Ok(()), |layout| seat.put(layout))
        })?;
        put.map_err(|_| NotDone::UnknownToken)
    }

    /// Takes the events of a session from the desk, in their order: nobody else does meanwhile.
    fn take_in(&self, token: Token) -> Result<(), NotDone> {
        let at = self.moment();
        let now = (self.passed)();
        let taken = {
            let mut table = self.table();
            let events = self.desk.take_events(token)?;
            table.take_in(token, events, (now, at))
        };
        taken.map_err(|_| {
            tracing::info!("a client does not read the events of its conference: its session ends");
            self.desk.close(token);
            NotDone::UnknownToken
        })
    }

    /// Whether the session is of a call that is over.
    fn is_over(&self, token: Token) -> bool {
        let table = self.table();
        table.seats.get(&token).is_some_and(|seat| seat.view.is_over())
    }

    /// Takes the events of a session until it ends.
    async fn follow(self, token: Token) {
        while self.desk.await_events(token, (self.passed)() + ASK_FOR).await.is_ok() && self.take_in(token).is_ok() {
            if self.is_over(token) {
                self.desk.close(token);
                break;
            }
        }
        if self.end(token) {
            tokio::time::sleep(LAST_EVENTS_KEPT).await;
            let mut table = self.table();
            table.ended -= 1;
            table.seats.remove(&token);
        }
    }

    /// The session has ended. Returns whether its seat is kept for a while, because its client has not read all events.
    fn end(&self, token: Token) -> bool {
        let mut table = self.table();
        let Table { seats, ended, .. } = &mut *table;
        let Some(seat) = seats.get_mut(&token) else {
            return false;
        };
        if !seat.outbox.has_news() || *ended >= ENDED_MAX {
            seats.remove(&token);
            return false;
        }
        seat.is_over = true;
        seat.arrival.send_replace(());
        *ended += 1;
        true
    }
}

impl Table {
    fn take_in(&mut self, token: Token, events: Vec<Event>, (now, at): (Instant, Moment)) -> Result<(), Behind> {
        let Some(seat) = self.seats.get_mut(&token) else {
            return Ok(());
        };
        for event in events {
            let notices = match event {
                Event::Meeting(MeetingEvent::Referred(to)) => {
                    let alias = to.alias.clone();
                    vec![referred(alias, self.referrals.refer(now, to))]
                }
                event => seat.view.handle(event, at),
            };
            for notice in notices {
                seat.put(notice)?;
            }
        }
        Ok(())
    }
}

impl Seat {
    fn new(aliases: [String; 2], view: View, caller: Caller) -> Self {
        Self {
            aliases,
            view,
            caller,
            outbox: Outbox::default(),
            arrival: watch::Sender::new(()),
            stream: CancellationToken::new(),
            held: CancellationToken::new(),
            is_over: false,
        }
    }

    fn put(&mut self, notice: Notice) -> Result<(), Behind> {
        let put = self.outbox.put(notice);
        self.arrival.send_replace(());
        match put {
            Err(Behind::Reader) => {
                tracing::debug!("a client reads the events of its conference too slowly: its stream ends");
                self.stream.cancel();
                Ok(())
            }
            put => put,
        }
    }
}

impl Reader {
    /// The next events, with their numbers. `None` at the end. Cancel-safe: what is returned has been read.
    pub async fn next(&mut self) -> Option<Vec<(u64, Notice)>> {
        let end = self.end.clone();
        end.run_until_cancelled(self.await_next()).await?
    }

    /// Whether the stream has ended because its client read too slowly. Its session goes on.
    pub fn is_behind(&self) -> bool {
        let table = self.participants.table();
        let seat = table.seats.get(&self.token);
        seat.is_some_and(|seat| !seat.is_over && !seat.outbox.is_read())
    }

    async fn await_next(&mut self) -> Option<Vec<(u64, Notice)>> {
        loop {
            let is_over = {
                let mut table = self.participants.table();
                let seat = table.seats.get_mut(&self.token)?;
                self.arrival.mark_unchanged();
                let notices = seat.outbox.take(self.number);
                if !notices.is_empty() {
                    return Some(notices);
                }
                seat.is_over
            };
            if is_over {
                return None;
            }
            self.arrival.changed().await.ok()?;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(seat) = self.participants.table().seats.get_mut(&self.token) {
            seat.outbox.end(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::domain::{Claim, Person, Role, Subject};
    use crate::hub::HubHandle;
    use crate::shares::ClientAddress;
    use crate::signaling::conferences::meeting::Service;

    const ALIAS: &str = "1234";

    #[tokio::test]
    async fn the_end_of_a_connection_that_comes_before_the_answer_to_another_one_is_not_that_of_the_other_one() {
        let (hub, _kept) = HubHandle::idle();
        let desk = Desk::new(hub, 100, Arc::new(Instant::now));
        let token = desk.open(ClientAddress::THIS_MACHINE, LASTS).await.unwrap();
        let passed: MonotonicClock = Arc::new(Instant::now);
        let participants = Participants::new(desk.clone(), Arc::new(|| SystemTime::UNIX_EPOCH), passed);
        let place = (Service::Conference, "m".into());
        let view = View::new(ALIAS.to_owned(), place, Person::unnamed("anna".into()), Role::Guest);
        let caller = Caller {
            user: "anna".into(),
            claim: Claim::Unproven,
        };
        let seat = Seat::new([ALIAS.to_owned(), ALIAS.to_owned()], view, caller);
        participants.table().seats.insert(token, seat);
        let answer = Answer {
            sdp: String::new(),
            number: 1,
            slots: Vec::new(),
        };
        let call = || participants.called(token, ALIAS, CallKind::Main, &answer).unwrap();
        let first = call();
        let subject = Subject::Conference;
        desk.put(token, Event::ConnectionEnded { subject });
        let second = call();
        participants.take_in(token).unwrap();
        let kind = |call: &str| participants.with(token, ALIAS, |seat| seat.view.call(call)).unwrap();
        assert_eq!((kind(&first), kind(&second)), (None, Some(CallKind::Main)));
    }
}
