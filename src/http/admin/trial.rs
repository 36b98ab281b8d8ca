//! A trial whether records and uploads can be written, at most once in a few seconds, however often somebody asks.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::http::files::FileStore;
use crate::storage::Records;

/// Time for which an outcome counts. Operators ask every few seconds, and anybody may ask more often; each trial is two small
/// writes.
const COUNTS_FOR: Duration = Duration::from_secs(5);

/// Time for a trial, after which the answer is that it takes too long. A busy disk needs a second or two; supervisors and load
/// balancers stop waiting after five, and would take that for a broken network.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// The reason for a trial that has not ended: a disk or a database hangs.
const HANGS: &str = "storage takes too long";

/// The reason for a trial that could not be made.
const NOT_TRIED: &str = "storage cannot be tried";

/// Askers that wait for one trial; further ones wait for a place.
const REQUESTS: usize = 64;

/// The parts that cannot be written, in words for everybody.
pub(crate) type Reasons = Vec<&'static str>;

/// The handle for askers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct WriteTrial {
    requests: mpsc::Sender<oneshot::Sender<Reasons>>,
}

impl WriteTrial {
    /// A handle for askers, and the task that tries. It ends when the last handle is dropped.
    pub fn of(records: Records, files: FileStore) -> (WriteTrial, impl Future<Output = ()>) {
        WriteTrial::with(move || attempt(records.clone(), files.clone()))
    }

    fn with<F: Future<Output = Reasons>>(attempt: impl Fn() -> F) -> (WriteTrial, impl Future<Output = ()>) {
        let (requests, queue) = mpsc::channel(REQUESTS);
        (WriteTrial { requests }, answer(queue, attempt))
    }

    pub(crate) async fn reasons(&self) -> Reasons {
        let (request, answer) = oneshot::channel();
        self.requests.send(request).await.ok();
        answer.await.unwrap_or_else(|_| vec![NOT_TRIED])
    }
}

async fn answer<F>(mut queue: mpsc::Receiver<oneshot::Sender<Reasons>>, attempt: impl Fn() -> F)
where
    F: Future<Output = Reasons>,
{
    while let Some(request) = queue.recv().await {
        // A trial that panics counts as one that failed; the next one may succeed.
        let trying = AssertUnwindSafe(attempt()).catch_unwind();
        let trying = trying.map(|outcome| outcome.unwrap_or_else(|_| vec![NOT_TRIED]));
        tokio::pin!(trying);
        let reasons = match timeout(ANSWERED_WITHIN, &mut trying).await {
            Ok(reasons) => {
                request.send(reasons.clone()).ok();
                reasons
            }
            Err(_) => {
                request.send(vec![HANGS]).ok();
                tracing::warn!("not ready: {HANGS}");
                // No other trial begins before this one has ended: hanging trials would pile up.
                loop {
                    tokio::select! {
                        reasons = &mut trying => break reasons,
                        request = queue.recv() => match request {
                            Some(request) => drop(request.send(vec![HANGS])),
                            None => return,
                        },
                    }
                }
            }
        };
        let over = sleep(COUNTS_FOR);
        tokio::pin!(over);
        loop {
            tokio::select! {
                // Whoever asks at the very moment when the outcome expires gets a new trial.
                biased;
                () = &mut over => break,
                request = queue.recv() => match request {
                    Some(request) => drop(request.send(reasons.clone())),
                    None => return,
                },
            }
        }
    }
}

async fn attempt(records: Records, files: FileStore) -> Reasons {
    let mut reasons = Vec::new();
    let mut note = |reason: &'static str, error: &(dyn std::error::Error + 'static)| {
        tracing::warn!(error, "not ready: {reason}");
        reasons.push(reason);
    };
    if let Err(error) = records.check().await {
        note("storage does not answer", &error);
    } else if let Err(error) = records.try_writing().await {
        note("storage cannot be written", &error);
    }
    if let Err(error) = files.try_writing().await {
        note("uploads cannot be written", &error);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_once_in_five_seconds_however_often_and_by_however_many_it_is_asked() {
        let tried = &Cell::new(0);
        let attempt = || {
            tried.set(tried.get() + 1);
            let reasons = if tried.get() == 1 { vec!["no"] } else { vec![] };
            async move {
                sleep(Duration::from_secs(1)).await;
                reasons
            }
        };
        let (trial, task) = WriteTrial::with(attempt);
        let asking = async move {
            let at_once = futures_util::future::join_all((0..200).map(|_| trial.reasons())).await;
            assert!(at_once.iter().all(|reasons| *reasons == ["no"]));
            sleep(Duration::from_millis(4_900)).await;
            assert_eq!(trial.reasons().await, ["no"]);
            assert_eq!(tried.get(), 1);
            sleep(Duration::from_millis(200)).await;
            assert!(trial.reasons().await.is_empty());
            assert_eq!(tried.get(), 2);
            drop(trial);
        };
        tokio::join!(task, asking);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_while_a_trial_hangs_is_answered_and_no_second_one_begins_before_it_has_ended() {
        let tried = &Cell::new(0);
        let attempt = || {
            tried.set(tried.get() + 1);
            let takes = Duration::from_secs(if tried.get() == 1 { 100 } else { 0 });
            async move {
                sleep(takes).await;
                vec![]
            }
        };
        let (trial, task) = WriteTrial::with(attempt);
        let asking = async move {
            for nth in 0..9 {
                let answer = timeout(Duration::from_secs(4), trial.reasons()).await;
                assert_eq!(answer.expect("an answer in time"), [HANGS], "{nth}");
                sleep(Duration::from_secs(10)).await;
            }
            assert_eq!(tried.get(), 1);
            sleep(Duration::from_secs(20)).await;
            assert!(trial.reasons().await.is_empty());
            drop(trial);
        };
        tokio::join!(task, asking);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_panics_is_not_the_last_one() {
        let tried = &Cell::new(0);
        let attempt = || {
            tried.set(tried.get() + 1);
            let first = tried.get() == 1;
            async move {
                assert!(!first, "this is a test");
                vec![]
            }
        };
        let (trial, task) = WriteTrial::with(attempt);
        let asking = async move {
            assert_eq!(trial.reasons().await, [NOT_TRIED]);
            sleep(COUNTS_FOR).await;
            assert!(trial.reasons().await.is_empty());
            drop(trial);
        };
        tokio::join!(task, asking);
    }

    #[tokio::test]
    async fn a_request_when_nobody_tries_any_more_is_answered() {
        let (trial, task) = WriteTrial::with(|| async { vec![] });
        drop(task);
        assert_eq!(trial.reasons().await, [NOT_TRIED]);
    }
}
