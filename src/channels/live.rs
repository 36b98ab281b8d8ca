//! Deadlines of the calls that are not over: which call nobody has answered, and who is no longer heard of. Pure; the time
//! is given.
//!
//! This module knows deadlines alone. The records say what has become of a call: the code that handles a deadline reads the record
//! first.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::{RoomName, UserId};

/// Deadlines of all open calls. Bounded by the records of calls, and in each call by the people that it may have.
pub(super) struct Live {
    /// Time without a sign of life after which somebody has left.
    silence: Duration,
    calls: HashMap<RoomName, Watched>,
    due: BTreeSet<(Instant, RoomName, Option<UserId>)>,
}

struct Watched {
    /// Time at which the call is looked at as a whole.
    until: Instant,
    /// People who have to be heard of.
    people: HashMap<UserId, Heard>,
}

struct Heard {
    until: Instant,
    /// Whether they have been heard of since that was last recorded.
    is_news: bool,
    by: Means,
}

/// What somebody in a call is known by to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Means {
    /// They have sent no heartbeat so far. They are there as long as they are in the room of the channel.
    Presence,
    /// They send heartbeats, and have to go on: that they are in the room does not count any more.
    Heartbeats,
}

/// A deadline that has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The time of this call is over, unless somebody has answered meanwhile.
    Call(RoomName),
    /// Nothing has been heard of somebody.
    Silent(RoomName, UserId, Means),
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The first one: the records have to say whether there is such a call, and whether they are in it.
    First,
    /// One of somebody who is known to be in the call.
    Known,
}

impl Live {
    pub fn new(silence: Duration) -> Self {
        Self {
            silence,
            calls: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    pub fn count(&self) -> usize {
        self.calls.len()
    }

    /// Watches a call as a whole until this time, in place of another time.
    pub fn watch(&mut self, channel: &RoomName, until: Instant) {
        let call = self.calls.entry(channel.clone()).or_insert_with(|| Watched {
            until,
            people: HashMap::new(),
        });
        self.due.remove(&(call.until, channel.clone(), None));
        call.until = until;
        self.due.insert((until, channel.clone(), None));
    }

    pub fn is_watched(&self, channel: &RoomName) -> bool {
        self.calls.contains_key(channel)
    }

    /// Whether somebody has to be heard of.
    pub fn is_expected(&self, channel: &RoomName, user: &UserId) -> bool {
        self.calls
            .get(channel)
            .is_some_and(|call| call.people.contains_key(user))
    }

    /// Takes a heartbeat.
    pub fn hear(&mut self, now: Instant, channel: &RoomName, user: &UserId) -> Sign {
        self.take_sign(now, channel, user, Means::Heartbeats)
    }

    /// Somebody is in the room of a channel.
    pub fn see(&mut self, now: Instant, channel: &RoomName, user: &UserId) -> Sign {
        self.take_sign(now, channel, user, Means::Presence)
    }

    fn take_sign(&mut self, now: Instant, channel: &RoomName, user: &UserId, by: Means) -> Sign {
        let heard = self.calls.get_mut(channel).and_then(|call| call.people.get_mut(user));
        let Some(heard) = heard else { return Sign::First };
        if (heard.by, by) == (Means::Heartbeats, Means::Presence) {
            return Sign::Known;
        }
        self.due.remove(&(heard.until, channel.clone(), Some(user.clone())));
        (heard.until, heard.is_news, heard.by) = (now + self.silence, true, by);
        self.due.insert((heard.until, channel.clone(), Some(user.clone())));
        Sign::Known
    }

    /// The channels of all calls.
    pub fn channels(&self) -> Vec<RoomName> {
        self.calls.keys().cloned().collect()
    }

    /// From now on somebody has to be heard of. Nothing happens if the call is not watched.
    pub fn expect(&mut self, now: Instant, channel: &RoomName, user: &UserId, by: Means) {
        self.expect_until(now + self.silence, channel, user, by);
    }

    /// The same, until another time: another process has heard of them before.
    pub fn expect_until(&mut self, until: Instant, channel: &RoomName, user: &UserId, by: Means) {
        let Some(call) = self.calls.get_mut(channel) else {
            return;
        };
        let is_news = false;
        let before = call.people.remove(user);
        // Whoever has sent heartbeats has to go on.
        let by = before.as_ref().map_or(by, |before| by.max(before.by));
        call.people.insert(user.clone(), Heard { until, is_news, by });
        if let Some(before) = before {
            self.due.remove(&(before.until, channel.clone(), Some(user.clone())));
        }
        self.due.insert((until, channel.clone(), Some(user.clone())));
    }

    /// Somebody has left a call.
    pub fn forget(&mut self, channel: &RoomName, user: &UserId) {
        let call = self.calls.get_mut(channel);
        if let Some(heard) = call.and_then(|call| call.people.remove(user)) {
            self.due.remove(&(heard.until, channel.clone(), Some(user.clone())));
        }
    }

    /// A call is over.
    pub fn end(&mut self, channel: &RoomName) {
        let Some(call) = self.calls.remove(channel) else {
            return;
        };
        self.due.remove(&(call.until, channel.clone(), None));
        for (user, heard) in call.people {
            self.due.remove(&(heard.until, channel.clone(), Some(user)));
        }
    }

    /// People who have been heard of since the last call of this function, and when that was.
    pub fn take_news(&mut self) -> Vec<(RoomName, UserId, Instant)> {
        let silence = self.silence;
        let mut news = Vec::new();
        for (channel, call) in &mut self.calls {
            for (user, heard) in &mut call.people {
                if std::mem::take(&mut heard.is_news) {
                    news.push((channel.clone(), user.clone(), heard.until - silence));
                }
            }
        }
        news
    }

    /// That these people have been heard of could not be recorded: it is still news.
    pub fn keep_news<'a>(&mut self, news: impl Iterator<Item = (&'a RoomName, &'a UserId)>) {
        for (channel, user) in news {
            let call = self.calls.get_mut(channel);
            if let Some(heard) = call.and_then(|call| call.people.get_mut(user)) {
                heard.is_news = true;
            }
        }
    }

    /// The next deadline that has passed. It is no longer there afterwards: whoever takes it sets another one, or ends the call.
    pub fn poll_due(&mut self, now: Instant) -> Option<Due> {
        let is_due = self.due.first().is_some_and(|(until, ..)| *until <= now);
        let (_, channel, user) = is_due.then(|| self.due.pop_first())??;
        Some(match user {
            None => Due::Call(channel),
            Some(user) => {
                let heard = self.calls.get_mut(&channel).and_then(|call| call.people.remove(&user));
                let by = heard.map_or(Means::Presence, |heard| heard.by);
                Due::Silent(channel, user, by)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(35);

    #[allow(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
    fn some_instant() -> Instant {
        Instant::now()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn due(live: &mut Live, now: Instant) -> Vec<Due> {
        std::iter::from_fn(|| live.poll_due(now)).collect()
    }

    #[test]
    fn nobody_is_missed_who_has_not_been_expected() {
        let (mut live, now) = (Live::new(SILENCE), some_instant());
        let (channel, anna) = (RoomName::from("ch_1"), UserId::from("anna"));
        live.expect(now, &channel, &anna, Means::Heartbeats);
        assert_eq!(live.hear(now, &channel, &anna), Sign::First, "no such call");
        live.watch(&channel, now + at(60));
        assert_eq!(live.hear(now, &channel, &anna), Sign::First);
        assert_eq!(due(&mut live, now + at(59)), []);
        assert_eq!(due(&mut live, now + at(60)), [Due::Call(channel.clone())]);
        assert_eq!(due(&mut live, now + at(600)), [], "a deadline comes once");
    }

    #[test]
    fn who_is_expected_is_missed_once_when_nothing_has_been_heard_for_long_enough() {
        let (mut live, now) = (Live::new(SILENCE), some_instant());
        let (channel, anna, ben) = (RoomName::from("ch_1"), UserId::from("anna"), UserId::from("ben"));
        live.watch(&channel, now + at(1_000));
        live.expect(now, &channel, &anna, Means::Heartbeats);
        live.expect(now, &channel, &ben, Means::Heartbeats);
        assert_eq!(live.hear(now + at(30), &channel, &anna), Sign::Known);
        assert_eq!(due(&mut live, now + at(34)), []);
        assert_eq!(
            due(&mut live, now + at(35)),
            [Due::Silent(channel.clone(), ben.clone(), Means::Heartbeats)]
        );
        assert_eq!(live.hear(now + at(36), &channel, &ben), Sign::First);
        assert_eq!(due(&mut live, now + at(64)), []);
        assert_eq!(
            due(&mut live, now + at(65)),
            [Due::Silent(channel, anna, Means::Heartbeats)]
        );
    }

    #[test]
    fn who_has_left_and_what_is_over_are_not_missed() {
        let (mut live, now) = (Live::new(SILENCE), some_instant());
        let (anna, ben) = (UserId::from("anna"), UserId::from("ben"));
        for channel in ["ch_1", "ch_2"].map(RoomName::from) {
            live.watch(&channel, now + at(60));
            live.expect(now, &channel, &anna, Means::Heartbeats);
            live.expect(now, &channel, &ben, Means::Heartbeats);
            live.watch(&channel, now + at(600));
        }
        live.forget(&"ch_1".into(), &anna);
        live.end(&"ch_2".into());
        assert_eq!(
            due(&mut live, now + at(500)),
            [Due::Silent("ch_1".into(), ben, Means::Heartbeats)]
        );
        assert_eq!(live.count(), 1);
        live.end(&"ch_1".into());
        assert!(live.due.is_empty());
    }

    #[test]
    fn what_is_news_is_taken_once() {
        let (mut live, now) = (Live::new(SILENCE), some_instant());
        let (channel, anna) = (RoomName::from("ch_1"), UserId::from("anna"));
        live.watch(&channel, now + at(60));
        live.expect(now, &channel, &anna, Means::Heartbeats);
        assert_eq!(live.take_news(), [], "it was recorded that she came");
        live.hear(now + at(1), &channel, &anna);
        live.hear(now + at(2), &channel, &anna);
        let news = [(channel.clone(), anna.clone(), now + at(2))];
        assert_eq!(live.take_news(), news);
        assert_eq!(live.take_news(), []);
        live.keep_news([(&channel, &anna)].into_iter());
        assert_eq!(live.take_news(), news, "it could not be recorded");
    }

    #[test]
    fn who_is_in_the_room_is_there_until_they_send_heartbeats() {
        let (mut live, now) = (Live::new(SILENCE), some_instant());
        let (channel, anna, ben) = (RoomName::from("ch_1"), UserId::from("anna"), UserId::from("ben"));
        assert_eq!(live.see(now, &channel, &anna), Sign::First);
        live.watch(&channel, now + at(1_000));
        for user in [&anna, &ben] {
            assert_eq!(live.see(now, &channel, user), Sign::First);
            live.expect(now, &channel, user, Means::Presence);
        }
        for seconds in [10, 20, 30] {
            for user in [&anna, &ben] {
                assert_eq!(live.see(now + at(seconds), &channel, user), Sign::Known);
            }
        }
        assert_eq!(live.take_news().len(), 2, "other processes have to know");
        live.hear(now + at(30), &channel, &ben);
        for seconds in [40, 50, 60] {
            live.see(now + at(seconds), &channel, &anna);
            live.see(now + at(seconds), &channel, &ben);
        }
        assert_eq!(due(&mut live, now + at(64)), []);
        assert_eq!(
            due(&mut live, now + at(65)),
            [Due::Silent(channel.clone(), ben, Means::Heartbeats)]
        );
        assert_eq!(due(&mut live, now + at(94)), []);
        assert_eq!(
            due(&mut live, now + at(95)),
            [Due::Silent(channel, anna, Means::Presence)]
        );
    }
}
