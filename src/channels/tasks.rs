//! Calls that are made when their time comes: each once, by whichever process of a database looks first.

use std::time::Duration;

use tokio::task::JoinSet;

use super::lines::Requester;
use super::{ChannelError, Channels};
use crate::ids::UserId;
use crate::storage::{CallTask, NewTask, Scheduled, TaskClaim};

/// Time between two looks at the clock. The wall clock decides, and it may be put forward or back at any time, so nothing is
/// planned ahead.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

/// Time ahead for which a call can be scheduled: a year. A task holds a place until its time has come.
const AHEAD_MAX_S: i64 = 366 * 24 * 3_600;

/// Calls that are made side by side. One that takes long, because storage or the hub is slow, does not delay the others; more
/// would only wait for the same database.
const FIRING_MAX: usize = 32;

/// Time after its own for which a task is still worth a call, as when the server did not run at that time: a day. Nobody expects
/// yesterday's call.
const LATE_MAX_S: i64 = 24 * 3_600;

/// Time after which a task is tried again whose attempt has failed, or whose process has ended meanwhile. Requests to storage and
/// the hub give up sooner; if one does not, its call and that of the next attempt cannot both be recorded.
const AGAIN_AFTER_S: i64 = 10;

/// Time by which a task is tried longer than a call rings: what takes its place, as sixteen calls of the same caller that ring,
/// is over by then.
const TRIED_LONGER: Duration = Duration::from_secs(30);

const TOO_LATE: &str = "the server did not run at its time, nor within a day after it";

impl Channels {
    /// Records a call that is to be made, or changes one. Returns its number.
    pub async fn schedule(
        &self,
        requester: Requester,
        id: Option<i64>,
        (caller, callees): (&UserId, Vec<UserId>),
        due_s: i64,
        task: String,
    ) -> Result<i64, ChannelError> {
        self.lines.check_callees(caller, &callees)?;
        if due_s < self.now_s() {
            return Err(ChannelError::Past);
        }
        if due_s > self.now_s().saturating_add(AHEAD_MAX_S) {
            return Err(ChannelError::TooFar);
        }
        // Whoever may not speak for the caller makes no calls in their name later, either.
        self.lines.check_speaker(requester, caller).await?;
        let new = NewTask {
            id,
            caller: caller.clone(),
            callees,
            due_s,
            task,
            client: requester.client,
        };
        match self.records.schedule(&new, self.settings.tasks).await? {
            Scheduled::Task(id) => Ok(id),
            Scheduled::Missing => Err(ChannelError::NoSuchTask),
            Scheduled::IsFiring => Err(ChannelError::TaskIsFiring),
            Scheduled::NoPlace(denied) => Err(denied.into()),
        }
    }

    /// A page of somebody's tasks, the newest first, and the number of all.
    pub async fn tasks(
        &self,
        requester: Requester,
        caller: &UserId,
        (skip, most): (i64, i64),
    ) -> Result<(Vec<CallTask>, i64), ChannelError> {
        self.lines.check_speaker(requester, caller).await?;
        Ok(self.records.tasks(caller, skip, most).await?)
    }

    /// Removes a task of this caller. The app's back end need not say whose it is.
    pub async fn remove_task(
        &self,
        requester: Requester,
        id: i64,
        caller: Option<&UserId>,
    ) -> Result<(), ChannelError> {
        match caller {
            Some(caller) => self.lines.check_speaker(requester, caller).await?,
            None if !requester.is_trusted => return Err(ChannelError::NobodyNamed),
            None => {}
        }
        match self.records.remove_task(id, caller).await? {
            true => Ok(()),
            false => Err(ChannelError::NoSuchTask),
        }
    }

    /// Makes calls when their time comes. Never ends.
    pub(crate) async fn keep_time(self) {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut firing = JoinSet::new();
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                // Others wait for this place.
                Some(_) = firing.join_next(), if firing.len() >= FIRING_MAX => {}
            }
            while firing.try_join_next().is_some() {}
            if let Err(error) = self.begin_due_calls(&mut firing).await {
                super::watch::report_failure("scheduled calls could not be looked up", &error);
            }
        }
    }

    /// Makes the calls whose time has come, and returns when all have been made, or have failed.
    pub async fn make_due_calls(&self) -> Result<(), sqlx::Error> {
        let mut firing = JoinSet::new();
        loop {
            self.begin_due_calls(&mut firing).await?;
            if firing.join_next().await.is_none() {
                return Ok(());
            }
        }
    }

    /// Begins to make the calls whose time has come, as many as there are places for.
    async fn begin_due_calls(&self, firing: &mut JoinSet<()>) -> Result<(), sqlx::Error> {
        let free = FIRING_MAX.saturating_sub(firing.len());
        let now_s = self.now_s();
        let since_s = now_s.saturating_sub(AGAIN_AFTER_S);
        for id in self.records.due_tasks(now_s, since_s, free as i64).await? {
            if let Some((task, claim)) = self.records.claim_task(id, now_s, since_s).await? {
                firing.spawn(self.clone().fire(task, claim));
            }
        }
        Ok(())
    }

    /// Makes the call of a task. The call and that it was made are recorded in one step, so it is made once, whatever fails.
    async fn fire(self, task: CallTask, claim: TaskClaim) {
        let now_s = self.now_s();
        let late_s = now_s.saturating_sub(task.due_s);
        let is_tried_enough = {
            let tried_for_s = now_s.saturating_sub(task.tried_s.unwrap_or(now_s));
            let most = self.settings.ring_for + TRIED_LONGER;
            u64::try_from(tried_for_s).is_ok_and(|tried_for_s| tried_for_s >= most.as_secs())
        };
        let called = match late_s > LATE_MAX_S {
            true => Err((TOO_LATE.to_owned(), true)),
            false => {
                // With the rights and the share of whoever made the task. With a key, that was the app's back end.
                let maker = Requester {
                    client: task.client,
                    is_trusted: self.settings.wants_key,
                };
                let people = (&task.caller, task.callees.as_slice());
                match self.begin(maker, people, String::new(), Some(claim)).await {
                    Ok(_) => Ok(()),
                    Err(ChannelError::TaskTaken) => return,
                    Err(error) => Err((error.to_string(), is_tried_enough || !error.is_passing())),
                }
            }
        };
        let (failure, is_final) = match called {
            Ok(()) => {
                metrics::counter!("patchbay_call_tasks_total", "outcome" => "fired").increment(1);
                tracing::info!(task = task.id, late_s, "a scheduled call has been made");
                return;
            }
            Err(failed) => failed,
        };
        if is_final {
            metrics::counter!("patchbay_call_tasks_total", "outcome" => "failed").increment(1);
            tracing::warn!(task = task.id, late_s, failure, "a scheduled call has failed");
        } else {
            tracing::info!(task = task.id, late_s, failure, "a scheduled call is tried again");
        }
        // Where this cannot be recorded either, the task is claimed again all the same.
        if let Err(error) = self.records.fail_task(claim, &failure, is_final).await {
            super::watch::report_failure("it could not be recorded why a scheduled call was not made", &error);
        }
    }
}
