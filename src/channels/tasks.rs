//! Calls that are made when their time comes: each once, by whichever process of a database looks first.

use std::time::Duration;

use super::lines::Requester;
use super::{ChannelError, Channels};
use crate::ids::UserId;
use crate::storage::{CallTask, NewTask, Scheduled};

/// Time between two looks at the clock. The wall clock decides, and it may be put forward or back at any time, so nothing is
/// planned ahead.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

/// Tasks that are looked up at once. More are found at the next look, without a pause.
const AT_ONCE: i64 = 100;

/// Time after its own for which a task is still worth a call, as when the server did not run at that time: a day. Nobody expects
/// yesterday's call.
const LATE_MAX_S: i64 = 24 * 3_600;

/// Time after which a task that was claimed and never finished has failed: requests to storage and the hub give up sooner.
const FIRING_MAX_S: i64 = 60;

const TOO_LATE: &str = "the server did not run at its time, nor within a day after it";
const CUT_OFF: &str = "the server ended while the call was being made";

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
        if callees.contains(caller) {
            return Err(ChannelError::CallsItself);
        }
        if due_s < self.now_s() {
            return Err(ChannelError::Past);
        }
        // Whoever may not speak for the caller makes no calls in their name later, either.
        self.lines.speak_for(requester, caller).await?;
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
        loop {
            looks.tick().await;
            if let Err(error) = self.make_due_calls().await {
                super::watch::report_failure("scheduled calls could not be looked up or recorded", &error);
            }
        }
    }

    /// Makes the calls whose time has come.
    pub async fn make_due_calls(&self) -> Result<(), sqlx::Error> {
        loop {
            let due = self.records.due_tasks(self.now_s(), AT_ONCE).await?;
            for id in &due {
                if let Some(task) = self.records.claim_task(*id, self.now_s()).await? {
                    self.fire(task).await?;
                }
            }
            if due.len() < AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    async fn fire(&self, task: CallTask) -> Result<(), sqlx::Error> {
        let late_s = self.now_s().saturating_sub(task.due_s);
        let called = match late_s > LATE_MAX_S {
            true => Err(TOO_LATE.to_owned()),
            false => {
                // With the rights and the share of whoever made the task. With a key, that was the app's back end.
                let maker = Requester {
                    client: task.client,
                    is_trusted: self.settings.wants_key,
                };
                let called = self.call(maker, &task.caller, task.callees, String::new()).await;
                called.map(|entry| entry.channel).map_err(|error| error.to_string())
            }
        };
        let outcome = match &called {
            Ok(channel) => {
                metrics::counter!("patchbay_call_tasks_total", "outcome" => "fired").increment(1);
                tracing::info!(task = task.id, late_s, "a scheduled call has been made");
                Ok(channel.as_str())
            }
            Err(failure) => {
                metrics::counter!("patchbay_call_tasks_total", "outcome" => "failed").increment(1);
                tracing::warn!(task = task.id, late_s, failure, "a scheduled call has failed");
                Err(failure.as_str())
            }
        };
        self.records.finish_task(task.id, outcome).await
    }

    /// Removes old tasks, and takes those for failed whose process has ended.
    pub async fn tidy_tasks(&self) -> Result<(), sqlx::Error> {
        let now_s = self.now_s();
        let given_up = self
            .records
            .give_up_tasks(now_s.saturating_sub(FIRING_MAX_S), CUT_OFF)
            .await?;
        if given_up > 0 {
            metrics::counter!("patchbay_call_tasks_total", "outcome" => "failed").increment(given_up);
            tracing::warn!(
                tasks = given_up,
                "the server ended while these scheduled calls were being made"
            );
        }
        let before_s = now_s.saturating_sub(self.settings.keep_records_s);
        self.records.expire_push_devices(before_s).await?;
        self.records.expire_tasks(before_s).await.map(drop)
    }
}
