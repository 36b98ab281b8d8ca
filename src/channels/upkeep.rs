//! What is done beside the deadlines, because it may take long: which calls are to be watched, also those of a process that has
//! ended; and old records are removed.

use std::time::Duration;

use super::Channels;
use super::live::Means;
use super::watch::{AT_ONCE, LOOK_INTERVAL, RECORDED_WITHIN, report_failure};
use crate::ids::{RoomName, UserId};
use crate::storage::CallRecord;

/// Time between two looks for calls that no living process looks after.
const TAKE_OVER_INTERVAL: Duration = Duration::from_secs(10);

/// Time that somebody has who seems to be silent everywhere: a process that hears of them, and could not record that while storage
/// failed, does so meanwhile.
const SECOND_CHANCE: Duration = Duration::from_secs(10);

/// Deadlines that one look sets at most, spread over the time until the next one: each is a transaction, and those of a process with
/// thousands of calls would hold up all others.
const TAKEN_OVER_MAX: u32 = 1_000;
const BETWEEN_DEADLINES: Duration = Duration::from_millis(10);

/// Looks for such calls between two removals of old records: a quarter of an hour.
const LOOKS_PER_REMOVAL: u32 = 90;

/// Calls that one transaction removes. With a hundred people and all events that are kept, each has some hundred rows: more would hold
/// up requests and deadlines, which write to the same database.
const CALLS_REMOVED_AT_ONCE: u64 = 20;

/// Records of other kinds that one transaction removes.
const REMOVED_AT_ONCE: u64 = 200;

/// Pause between two such transactions, for everybody else.
const BETWEEN_REMOVALS: Duration = Duration::from_millis(100);

impl Channels {
    /// Finds calls that are to be watched, and removes old records. Never ends.
    pub(crate) async fn upkeep(self) {
        let mut attempts = tokio::time::interval(LOOK_INTERVAL);
        attempts.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            attempts.tick().await;
            match self.load().await {
                Ok(()) => break,
                Err(error) => report_failure("the calls that are not over could not be read", &error),
            }
        }
        if let Err(error) = self.records.count_calls().await {
            report_failure("the records of calls could not be counted", &error);
        }
        let mut looks = tokio::time::interval(TAKE_OVER_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for look in 1_u32.. {
            looks.tick().await;
            if let Err(error) = self.take_over().await {
                report_failure("it could not be read which calls nobody looks after", &error);
            }
            if look % LOOKS_PER_REMOVAL == 1 {
                self.expire().await;
            }
        }
    }

    /// Watches the calls that were open when the server ended: they have their whole time again, and those that rang ring again.
    /// Where it fails, it is to be done again: those that are watched already stay as they are.
    pub async fn load(&self) -> Result<(), sqlx::Error> {
        for channel in self.records.open_channels().await? {
            if self.live().is_watched(&channel) {
                continue;
            }
            if let Some(call) = self.records.call(&channel).await? {
                self.adopt(&call);
                if is_ringing(&call)
                    && let Err(refused) = self.ring_again(&call).await
                {
                    tracing::warn!(%refused, "a call that rang when the server ended does not ring again");
                }
            }
        }
        Ok(())
    }

    fn adopt(&self, call: &CallRecord) {
        let now = (self.passed)();
        let until = match is_ringing(call) {
            true => now + self.settings.ring_for,
            false => now + self.open_for(),
        };
        let mut live = self.live();
        live.watch(&call.channel, until);
        for member in call.members.iter().filter(|member| call.is_in(&member.user)) {
            live.expect(now, &call.channel, &member.user, Means::Presence);
        }
    }

    /// Watches calls that no living process looks after: somebody in one has not been heard of by any, or it is open for longer than
    /// its process would have let it be.
    pub async fn take_over(&self) -> Result<(), sqlx::Error> {
        let (now_s, most) = (self.now_s(), AT_ONCE as i64);
        let ago = |time: Duration| now_s.saturating_sub(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        let silent_since_s = ago(RECORDED_WITHIN).saturating_sub(self.settings.silence_s());
        let mut taken = 0;
        let mut after = Some((0, 0));
        while let Some(place) = after.filter(|_| taken < TAKEN_OVER_MAX) {
            let (silent, next) = self.records.silent_members(silent_since_s, place, most).await?;
            self.give_second_chance(&silent, &mut taken);
            after = next;
        }
        // A call that rang when its process ended rings anew if that is started again.
        let rung = 2 * self.settings.ring_for + RECORDED_WITHIN;
        let since_s = (ago(rung), ago(2 * self.open_for()));
        let mut after = Some((0, String::new()));
        while let Some(place) = after.filter(|_| taken < TAKEN_OVER_MAX) {
            let (overdue, next) = self.records.overdue_calls(since_s, place, most).await?;
            let now = (self.passed)();
            let mut live = self.live();
            for channel in overdue {
                // One that was begun or rung anew by this process has its own deadline.
                if !self.lines.has(&channel) {
                    live.watch(&channel, now + taken * BETWEEN_DEADLINES);
                    taken += 1;
                }
            }
            after = next;
        }
        Ok(())
    }

    fn give_second_chance(&self, silent: &[(RoomName, UserId)], taken: &mut u32) {
        let now = (self.passed)();
        let mut live = self.live();
        for (channel, user) in silent {
            if live.is_expected(channel, user) {
                continue;
            }
            if !live.is_watched(channel) {
                live.watch(channel, now + self.open_for());
            }
            let until = now + SECOND_CHANCE + *taken * BETWEEN_DEADLINES;
            live.expect_until(until, channel, user, Means::Presence);
            *taken += 1;
        }
    }

    /// Removes records that are too old, some at a time.
    async fn expire(&self) {
        let before_s = self.now_s().saturating_sub(self.settings.keep_records_s);
        let records = &self.records;
        let (few, many) = (CALLS_REMOVED_AT_ONCE, REMOVED_AT_ONCE);
        let removed = async {
            while records.expire_calls(before_s, few as i64).await? == few {
                tokio::time::sleep(BETWEEN_REMOVALS).await;
            }
            while records.expire_tasks(before_s, many as i64).await? == many {
                tokio::time::sleep(BETWEEN_REMOVALS).await;
            }
            while records.expire_push_devices(before_s, many as i64).await? == many {
                tokio::time::sleep(BETWEEN_REMOVALS).await;
            }
            Ok(())
        };
        if let Err(error) = removed.await {
            report_failure("old records of calls could not be removed", &error);
        }
    }
}

fn is_ringing(call: &CallRecord) -> bool {
    call.has_callees() && !call.is_taken()
}
