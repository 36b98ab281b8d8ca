//! Damping: clients can cause some log lines as often as they like. Of each kind of line a limited number is written within
//! some seconds, and then one line that says how many were left out. Otherwise one client could fill a disk with lines
//! that say the same.
//!
//! A kind is a place in the source that logs, so there are as many kinds as such places.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Time after which each kind may log as many lines again: short enough that lines left out are reported while they
/// are caused, long enough to let through a burst that is worth reading.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

/// Counts lines and leaves some out. Cheap to clone.
#[derive(Clone)]
pub(super) struct Damping {
    lines_max: u32,
    kinds: Arc<Mutex<HashMap<Identifier, Kind>>>,
}

struct Kind {
    metadata: &'static Metadata<'static>,
    /// Lines in this period.
    lines: u32,
}

impl Damping {
    /// At most `lines_max` lines of each kind in each period.
    pub(super) fn new(lines_max: u32) -> Self {
        Self {
            lines_max,
            kinds: Arc::default(),
        }
    }

    /// Reports the lines left out in the period that ends.
    pub(super) fn begin_period(&self) {
        // The lock is not held while logging, because the log calls this layer again.
        let ended = std::mem::take(&mut *self.kinds());
        for kind in ended.into_values() {
            let left_out = kind.lines.saturating_sub(self.lines_max);
            if left_out > 0 {
                let (file, line) = (kind.metadata.file().unwrap_or_default(), kind.metadata.line());
                let period_s = PERIOD.as_secs();
                tracing::warn!(
                    left_out,
                    period_s,
                    file,
                    line,
                    "further lines like those from there were left out"
                );
            }
        }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Identifier, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Damping {
    /// All lines of the levels below INFO are written: whoever switches them on wants all of them.
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let mut kinds = self.kinds();
        let kind = kinds.entry(metadata.callsite()).or_insert(Kind { metadata, lines: 0 });
        kind.lines = kind.lines.saturating_add(1);
        kind.lines <= self.lines_max
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug, info, warn};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn count(written: &Mutex<Vec<u8>>, text: &str) -> usize {
        let written = written.lock().unwrap();
        String::from_utf8_lossy(&written).matches(text).count()
    }

    #[test]
    fn each_kind_has_so_many_lines_in_a_period_and_the_rest_is_counted() {
        let damping = Damping::new(20);
        // The test subscriber needs a writer that lives for ever.
        let written: &Mutex<Vec<u8>> = Box::leak(Box::default());
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(|| written.make_writer())
            .with_ansi(false);
        let subscriber = tracing_subscriber::registry()
            .with(tracing_subscriber::EnvFilter::new("debug"))
            .with(damping.clone())
            .with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let client = |n: u32| {
                info!(n, "joins");
                debug!(n, "in detail");
            };
            (0..1_000).for_each(client);
            warn!("of another kind");
            assert_eq!(count(written, "joins"), 20);
            assert_eq!(count(written, "in detail"), 1_000);
            assert_eq!(count(written, "of another kind"), 1);
            damping.begin_period();
            assert_eq!(count(written, "left_out=980"), 1);
            client(1);
            assert_eq!(count(written, "joins"), 21);
            damping.begin_period();
            assert_eq!(count(written, "left_out"), 1, "nothing was left out since");
        });
    }
}
