//! The consequences when a client falls silent: the loss of its media is announced to the others, and its connection is kept for
//! some minutes, and longer if it offers anew meanwhile.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use patchbay::media::peer::ice::CONSENT_TIMEOUT;
use patchbay::media::worker::{SUSPENDED_MAX, Worker};

use super::calls::Phase;
use super::connection::Connection;
use super::family::CALL;
use super::person::Person;
use super::run::Run;
use super::surroundings::Surroundings;
use super::tally::Tally;

/// Time for packets on their way to arrive, and for the end of a time to be noticed.
const SLACK: Duration = Duration::from_secs(1);
/// The time for which a handshake that was interrupted may go on.
const STUCK_FOR: Duration = Duration::from_secs(3);
/// Time for an event to arrive, and for the next audit.
const NEWS_TAKE: Duration = Duration::from_millis(1_500);

impl Run {
    pub fn judge_silences(&mut self) {
        let mut wrong = BTreeSet::new();
        for index in 0..self.people.len() {
            if let Some(since) = self.people[index].unheard_since {
                self.judge_silence(index, since, &mut wrong);
            }
        }
        let now = self.at.now;
        self.wrong_since.retain(|what, _| wrong.contains(what));
        for what in wrong {
            let since = *self.wrong_since.entry(what.clone()).or_insert(now);
            assert!(now - since < NEWS_TAKE, "for {NEWS_TAKE:?}: {what}");
        }
    }

    fn judge_silence(&mut self, index: usize, since: Instant, wrong: &mut BTreeSet<String>) {
        let Run {
            people, engines, at, ..
        } = self;
        let person = &people[index];
        let own = person.own_connection();
        let connection = person.connections.get(own).filter(|one| one.was_connected_at(since));
        let Some((connection, server)) = connection.and_then(|one| Some((one, one.server()?))) else {
            return;
        };
        // A worker that stood still has heard the client later; another in its place knows nothing of it.
        let undisturbed = |worker: &usize| at.undisturbed_since[*worker] <= since;
        let Some(worker) = at.worker_at(server).filter(undisturbed) else {
            return;
        };
        let floor = engines.lock();
        if let Some(worker) = floor.worker(worker)
            && person.is_in
            && !person.unanswered.contains_key(own)
        {
            let suspended_at = since + CONSENT_TIMEOUT;
            wrong.extend(judge_kept(connection, worker, at.now, suspended_at, &mut at.tally));
        }
        if at.now < since + CONSENT_TIMEOUT + SLACK {
            return;
        }
        for hearer in people.iter().filter(|hearer| hears_of(hearer, person, at.now)) {
            match own {
                CALL => at.tally.losses_known_in_calls += 1,
                _ => at.tally.losses_known_in_rooms += 1,
            }
            if !hearer.lost.contains(own) {
                let (name, of) = (&hearer.name, &person.name);
                wrong.insert(format!("{name} does not know that the media of {of} are lost"));
            }
        }
    }
}

/// A client that comes back within some minutes finds its keys, and so does one that offers anew all the time, but nobody's keys
/// are kept for ever.
fn judge_kept(
    connection: &Connection,
    worker: &Worker,
    now: Instant,
    suspended_at: Instant,
    tally: &mut Tally,
) -> Option<String> {
    let is_kept = worker.knows_user(connection.server_user()?);
    let is_suspended = now >= suspended_at + SLACK;
    let ends_at = connection.offered_at.max(suspended_at) + SUSPENDED_MAX;
    let number = connection.number;
    if now < ends_at {
        tally.kept_unheard += u64::from(is_suspended);
        tally.kept_unheard_by_offers += u64::from(now > suspended_at + SUSPENDED_MAX + SLACK);
        return (!is_kept).then(|| format!("connection {number} is forgotten too early"));
    }
    if now < ends_at + SLACK {
        return None;
    }
    tally.forgotten_unheard += 1;
    is_kept.then(|| format!("connection {number} is kept for ever"))
}

/// Whether somebody must know the state of another's media.
fn hears_of(hearer: &Person, other: &Person, now: Instant) -> bool {
    let meets = if other.own_connection() == CALL {
        // There is only one call.
        hearer.own_connection() == CALL && [hearer, other].iter().all(|one| one.phase == Phase::Talking)
    } else {
        hearer.room == other.room && hearer.others.contains(&other.name)
    };
    meets && hearer.index != other.index && hearer.is_in && other.is_in && hearer.reads_again_at + SLACK <= now
}

impl Person {
    /// Replaces handshakes that are stuck. One that an outage interrupted may be done for the server: the client repeats its last
    /// flight, more and more seldom, for up to a minute. People do not wait for that.
    pub fn replace_what_is_stuck(&mut self, at: &mut Surroundings) {
        let Some(again_at) = self.heard_again_at.filter(|again_at| *again_at + STUCK_FOR <= at.now) else {
            return;
        };
        self.heard_again_at = None;
        let was_shaking = |(_, one): &(&String, &Connection)| one.was_shaking_at(again_at);
        let stuck = self.connections.iter().filter(was_shaking);
        for of in stuck.map(|(of, _)| of.clone()).collect::<Vec<_>>() {
            at.note(format!("{} gives up on {of}", self.name));
            match of.as_str() {
                CALL => self.stop(at),
                own if own == self.name => self.publish(at),
                other => self.watch(at, other),
            }
        }
    }

    /// The name of the connection by which it publishes.
    pub fn own_connection(&self) -> &str {
        match self.family() {
            Some(_) => &self.name,
            None => CALL,
        }
    }
}
