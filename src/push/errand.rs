//! One device's notices of one call: attempts until its service has them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, error, info, warn};

use super::means::Means;
use super::outcome::{Attempt, Outcome};
use super::services::Message;
use crate::alias::alias;
use crate::domain::Address;
use crate::ids::{PushService, PushTarget};
use crate::storage::Forgotten;

/// The pause after the first attempt, which doubles after each, and the longest. A service that is back after a second is asked
/// at once; one that is down for a minute is asked some ten times.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Time that an attempt has to end when the call is over. Whether the app has heard of the call decides whether it is sent that.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Time in which the notice that a call is over comes here after it has rung as long as it may.
const OVER_IS_SAID_WITHIN: Duration = Duration::from_secs(5);

/// A device of somebody, at its service.
pub(super) struct Device {
    pub owner: Address,
    pub target: PushTarget,
    pub service: PushService,
    pub token: String,
}

/// One notice for one device.
pub(super) struct Job {
    /// The notice, once its words are known, which is within seconds. `None` if the app knows no such notice.
    pub message: BoxFuture<'static, Option<Message>>,
    pub until: Instant,
    /// Time until which the call rings. `None` if the notice says that it is over: that is the last one of its call.
    pub rings_until: Option<Instant>,
}

pub(super) struct Errand {
    pub means: Means,
    /// Places of attempts at the same time.
    pub attempts: Arc<Semaphore>,
    pub device: Device,
}

/// How the attempts for one notice have ended.
struct Ended {
    /// Whether the device may have the notice.
    may_have_arrived: bool,
    /// The notice because of which they have ended.
    next: Option<Job>,
}

impl Errand {
    /// Does what is in the queue. Where the other end is dropped, the attempts for a call end.
    pub async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let Some(mut job) = jobs.recv().await else { return };
        loop {
            let Some(message) = (&mut job.message).await else {
                return;
            };
            let Some(rings_until) = job.rings_until else {
                self.attempts_for(&message, job.until, None).await;
                return;
            };
            let ended = self.attempts_for(&message, job.until, Some(&mut jobs)).await;
            if !ended.may_have_arrived {
                // The device has certainly heard of no call, and would ring for the notice that it is over: that one ends here.
                if ended.next.is_none() {
                    timeout_at(rings_until + OVER_IS_SAID_WITHIN, jobs.recv()).await.ok();
                }
                return;
            }
            // Whoever comes later finds it closed, and begins another task.
            jobs.close();
            match ended.next.or_else(|| jobs.try_recv().ok()) {
                Some(next) => job = next,
                None => return,
            }
        }
    }

    /// Makes attempts until the notice is taken, or no other may help, or its time is over, or another one comes.
    async fn attempts_for(
        &self,
        message: &Message,
        until: Instant,
        mut jobs: Option<&mut mpsc::Receiver<Job>>,
    ) -> Ended {
        let mut ended = Ended {
            may_have_arrived: false,
            next: None,
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let mut is_over = false;
            let attempt = {
                let mut attempt = std::pin::pin!(self.attempt(message, until));
                tokio::select! {
                    attempt = &mut attempt => attempt,
                    next = next_of(&mut jobs) => {
                        (ended.next, is_over) = (next, true);
                        timeout(ENDS_WITHIN, attempt).await.unwrap_or_else(|_| Attempt::without_answer())
                    }
                }
            };
            ended.may_have_arrived |= attempt.may_have_arrived();
            let Outcome::Again { pause: asked, .. } = attempt.outcome else {
                self.settle(&attempt).await;
                return ended;
            };
            if is_over {
                return ended;
            }
            let wait = asked
                .unwrap_or_default()
                .max(pause.mul_f64(rand::random_range(0.75..1.25)));
            let again_at = (self.means.passed)().checked_add(wait);
            let Some(again_at) = again_at.filter(|at| *at < until) else {
                self.settle(&attempt).await;
                return ended;
            };
            self.log_retry(&attempt, wait);
            tokio::select! {
                () = sleep_until(again_at) => pause = (pause * 2).min(LONGEST_PAUSE),
                next = next_of(&mut jobs) => {
                    ended.next = next;
                    return ended;
                }
            }
        }
    }

    async fn attempt(&self, message: &Message, until: Instant) -> Attempt {
        let Ok(Ok(_place)) = timeout_at(until, self.attempts.acquire()).await else {
            return Attempt::without_place();
        };
        let within = until.saturating_duration_since((self.means.passed)());
        let sending = self.means.services.send(&self.device.token, message, within);
        timeout_at(until, sending)
            .await
            .unwrap_or_else(|_| Attempt::without_answer())
    }

    /// Counts and logs what has become of a notice, and forgets a device that is gone.
    async fn settle(&self, attempt: &Attempt) {
        let (service, reason) = (self.device.service.name(), attempt.outcome.reason());
        if attempt.outcome == Outcome::Taken {
            metrics::counter!("patchbay_push_sent_total", "service" => service).increment(1);
            return debug!(service, "a push service has taken a notice");
        }
        count_failure(self.device.service, reason);
        let (user, said) = (self.device.owner.to_string(), &attempt.said);
        let user = alias(&user);
        match attempt.outcome {
            Outcome::Gone { since_s } => {
                info!(service, %user, said, "a device is gone");
                self.forget(since_s).await;
            }
            Outcome::NotAllowed => error!(service, said, "a push service does not let this server in: see [push]"),
            _ => warn!(service, %user, said, "a device is not notified"),
        }
    }

    fn log_retry(&self, attempt: &Attempt, wait: Duration) {
        let (service, said) = (self.device.service.name(), &attempt.said);
        metrics::counter!("patchbay_push_retries_total", "service" => service, "reason" => attempt.outcome.reason())
            .increment(1);
        info!(
            service,
            said,
            pause_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "a push service has not taken a notice; it is sent again"
        );
    }

    async fn forget(&self, since_s: Option<i64>) {
        let Device {
            owner,
            target,
            service,
            token,
        } = &self.device;
        match self.means.records.forget_push_token(*service, token, since_s).await {
            Ok(Forgotten::IsNewer) => return debug!("the device has set its token anew since then"),
            Ok(Forgotten::Removed | Forgotten::Unknown) => {}
            Err(cause) => {
                metrics::counter!("patchbay_storage_errors_total").increment(1);
                let cause = &cause as &dyn std::error::Error;
                error!(cause, "storage failed; a device that is gone is forgotten another time");
            }
        }
        metrics::counter!("patchbay_push_removed_tokens_total", "service" => service.name()).increment(1);
        self.means.hub.forget_push_target(owner.clone(), target.clone()).await;
    }
}

/// The next notice. `None` if there will be none, and the attempts are to end. Never comes where none can follow.
async fn next_of(jobs: &mut Option<&mut mpsc::Receiver<Job>>) -> Option<Job> {
    match jobs {
        Some(jobs) => jobs.recv().await,
        None => std::future::pending().await,
    }
}

pub(super) fn count_failure(service: PushService, reason: &'static str) {
    metrics::counter!("patchbay_push_failed_total", "service" => service.name(), "reason" => reason).increment(1);
}
