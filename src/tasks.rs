//! Tasks that must run as long as the server does.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

/// Pause before a task that has ended begins anew: it may fail again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs work that never ends. If it ends all the same, or panics, that is logged and counted, and it begins anew.
pub(crate) async fn never_ending<F: Future<Output = ()>>(name: &'static str, work: impl Fn() -> F) {
    loop {
        let outcome = AssertUnwindSafe(work()).catch_unwind().await;
        let how = outcome.map_or("panicked", |()| "ended");
        metrics::counter!("patchbay_task_losses_total", "task" => name).increment(1);
        tracing::error!(task = name, how, "a task that must never end has ended; it begins anew");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_ends_or_panics_begins_anew_after_a_pause() {
        let begun = Cell::new(0);
        let work = || {
            begun.set(begun.get() + 1);
            let times = begun.get();
            async move {
                match times {
                    1 => {}
                    2 => panic!("this is a test"),
                    _ => std::future::pending().await,
                }
            }
        };
        let since = tokio::time::Instant::now();
        let running = never_ending("testing", work);
        tokio::time::timeout(Duration::from_secs(60), running)
            .await
            .unwrap_err();
        assert_eq!(begun.get(), 3);
        assert_eq!(since.elapsed(), Duration::from_secs(60));
    }
}
