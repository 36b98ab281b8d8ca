//! Changes to records of calls without a request: by the hub's events, and by time.

use std::time::Duration;

use super::Channels;
use super::life::{Consequence, Missed};
use super::lines::user_of;
use super::live::{Due, Means};
use crate::clock::seconds;
use crate::domain::{CallEnd, CallEvent, CallOver, Decline, EndReason, Event};
use crate::hub::Events;
use crate::ids::{RoomName, UserId};
use crate::storage::{CallRecord, Ending};

/// Time between two looks at the deadlines. Shorter only costs; longer would show who has left later than the clients expect.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Looks between two records of who has been heard of: two seconds. Another process of the same database reads them before it
/// takes somebody for lost.
const LOOKS_PER_NEWS: u32 = 4;

/// Time within which another process has recorded that it has heard of somebody, with what is lost by whole seconds.
pub(super) const RECORDED_WITHIN: Duration = Duration::from_secs(4);

/// People whose signs of life one transaction records: it takes some milliseconds, in which nothing else can be written.
pub(super) const AT_ONCE: usize = 200;

impl Channels {
    /// Follows a call at the hub, until its session there has ended.
    pub(super) async fn follow(self, channel: RoomName, mut events: Events) {
        while let Some(event) = events.next().await {
            let followed = match event {
                Event::Call(event) => self.take(&channel, event).await,
                // Its records go on after a restart.
                Event::Ended(EndReason::Shutdown) => return,
                Event::Ended(_) => {
                    self.change(&channel, None, |call, now_s| match call.is_taken() {
                        true => Consequence::Nothing,
                        false => call.close(Ending::Cancelled, now_s),
                    })
                    .await
                }
                _ => Ok(()),
            };
            if let Err(error) = followed {
                report_failure("a call's record could not be changed", &error);
            }
        }
    }

    async fn take(&self, channel: &RoomName, event: CallEvent) -> Result<(), sqlx::Error> {
        match event {
            CallEvent::Accepted { by, .. } => {
                let until = (self.passed)() + self.open_for();
                self.live().watch(channel, until);
                let user = user_of(&by);
                self.change(channel, Some(user), |call, now_s| {
                    call.answer(user, now_s);
                    Consequence::Nothing
                })
                .await
            }
            CallEvent::CalleeOut { callee, reason, .. } => {
                let user = user_of(&callee);
                let Some(ending) = refused(reason) else { return Ok(()) };
                self.change(channel, Some(user), |call, now_s| call.out(user, ending, now_s))
                    .await
            }
            CallEvent::Over(over) => self.over(channel, &over).await,
            CallEvent::Incoming { .. } => Ok(()),
        }
    }

    /// The call is over at the hub.
    async fn over(&self, channel: &RoomName, over: &CallOver) -> Result<(), sqlx::Error> {
        let (user, reason) = (user_of(&over.other), over.reason);
        self.change(channel, Some(user), |call, now_s| match reason {
            // They are heard of by other means than the session that was lost.
            CallEnd::Lost if over.accepted && call.is_in(user) => Consequence::Nothing,
            _ if over.accepted => call.leave(user, Ending::Ended, now_s),
            // Who talks does not stop because it no longer rings.
            _ => call.stop_ringing(refused(reason).unwrap_or(Ending::NoAnswer), now_s),
        })
        .await
    }

    /// Changes the record of a call, and does what follows.
    async fn change(
        &self,
        channel: &RoomName,
        user: Option<&UserId>,
        change: impl FnOnce(&mut CallRecord, i64) -> Consequence,
    ) -> Result<(), sqlx::Error> {
        let now_s = self.now_s();
        let changed = self.records.change_call(channel, |call, _| change(call, now_s)).await?;
        if let Some(consequence) = changed {
            let nobody = UserId::from("");
            self.follow_up(channel, user.unwrap_or(&nobody), &consequence).await;
        }
        Ok(())
    }

    /// Watches the calls that are not over, as far as this process knows of them ([`super::upkeep`]). Never ends.
    pub(crate) async fn watch(self) {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for look in 1_u32.. {
            looks.tick().await;
            self.look().await;
            if look % LOOKS_PER_NEWS == 0 {
                self.record_news().await;
            }
        }
    }

    /// Takes all deadlines that have passed.
    pub async fn look(&self) {
        loop {
            let due = self.live().poll_due((self.passed)());
            let (channel, missed, taken) = match due {
                None => break,
                Some(Due::Call(channel)) => {
                    let taken = self.call_due(&channel).await;
                    (channel, None, taken)
                }
                Some(Due::Silent(channel, user, by)) => {
                    let taken = self.silent(&channel, &user, by).await;
                    (channel, Some((user, by)), taken)
                }
            };
            if let Err(error) = taken {
                report_failure("a call's record could not be changed", &error);
                // It is tried again.
                let now = (self.passed)();
                let mut live = self.live();
                live.watch(&channel, now + self.settings.silence());
                if let Some((user, by)) = missed {
                    live.expect(now, &channel, &user, by);
                }
                break;
            }
        }
        metrics::gauge!("patchbay_open_channels").set(self.live().count() as f64);
    }

    async fn call_due(&self, channel: &RoomName) -> Result<(), sqlx::Error> {
        let now_s = self.now_s();
        let due = |call: &mut CallRecord, _: &mut Vec<_>| {
            if call.has_callees() && !call.is_taken() {
                call.close(Ending::NoAnswer, now_s);
            } else if call.people_in() == 0 {
                call.close(Ending::Ended, now_s);
            }
            call.is_over()
        };
        match self.records.change_call(channel, due).await? {
            Some(false) => self.live().watch(channel, (self.passed)() + self.open_for()),
            Some(true) | None => self.end(channel).await,
        }
        Ok(())
    }

    async fn silent(&self, channel: &RoomName, user: &UserId, by: Means) -> Result<(), sqlx::Error> {
        if by == Means::Presence && self.is_in_room(channel, user).await {
            self.live().expect((self.passed)(), channel, user, by);
            return Ok(());
        }
        let now_s = self.now_s();
        let silence_s = self.settings.silence_s();
        let miss = self.records.change_call(channel, |call, reports| {
            let missed = call.miss(user, silence_s, reports, now_s);
            (missed, call.is_over())
        });
        match miss.await? {
            Some((Missed::Silent(consequence), _)) => {
                metrics::counter!("patchbay_channel_silences_total").increment(1);
                self.follow_up(channel, user, &consequence).await;
            }
            Some((Missed::Heard { ago_s }, _)) => {
                let left = Duration::from_secs(u64::try_from(silence_s.saturating_sub(ago_s)).unwrap_or(0));
                let until = (self.passed)() + left + RECORDED_WITHIN;
                self.live().expect_until(until, channel, user, by);
                return Ok(());
            }
            Some((Missed::Gone, false)) => {}
            Some((Missed::Gone, true)) | None => self.end(channel).await,
        }
        // Also where another process has recorded that they have left: they may be in the room of this one.
        self.lines.end_stay(channel, user).await;
        Ok(())
    }

    /// Records who has been heard of since the last time.
    pub async fn record_news(&self) {
        let (now, date) = ((self.passed)(), (self.clock)());
        let news = self.live().take_news();
        let seen = |(channel, user, heard)| {
            let heard = date.checked_sub(now.saturating_duration_since(heard));
            (channel, user, seconds(heard.unwrap_or(date)))
        };
        let news: Vec<_> = news.into_iter().map(seen).collect();
        for seen in news.chunks(AT_ONCE) {
            if let Err(error) = self.records.see_members(seen).await {
                report_failure("it could not be recorded who is in a call", &error);
                self.live()
                    .keep_news(seen.iter().map(|(channel, user, _)| (channel, user)));
            }
        }
    }
}

/// How a call ends that nobody answers for this reason. `None` for a reason that says nothing of the callee.
fn refused(reason: CallEnd) -> Option<Ending> {
    match reason {
        CallEnd::Declined(Decline::Busy) => Some(Ending::Busy),
        CallEnd::Declined(_) => Some(Ending::Declined),
        CallEnd::TimedOut => Some(Ending::NoAnswer),
        CallEnd::GivenUp => Some(Ending::Cancelled),
        _ => None,
    }
}

/// Failures that no client is answered: nothing is lost, because deadlines are tried again.
pub(super) fn report_failure(what: &str, error: &sqlx::Error) {
    metrics::counter!("patchbay_storage_errors_total").increment(1);
    let cause: &(dyn std::error::Error + 'static) = error;
    tracing::warn!(cause, "{what}");
}
