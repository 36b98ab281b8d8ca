//! The log: lines on standard error. A thread of its own writes them, so that a reader who does not read holds up nothing
//! else.

use std::io::{IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::damping::Damping;
use super::output::CommandError;
use crate::config::{Log, LogFormat};

/// Lines that wait to be written. Later ones are lost, and counted. These are a few MiB, and more lines than a start or an
/// end writes.
const LINES_MAX: usize = 8_192;

/// Time for which the end waits for lines that perhaps nobody reads.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Logging {
    damping: Damping,
    writer: WorkerGuard,
}

impl Logging {
    /// Begins to log, and to count panics. Call it once, in a runtime.
    pub(super) fn begin(config: &Log) -> Result<Logging, CommandError> {
        let (lines, writer) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_MAX)
            .thread_name("log")
            .finish(std::io::stderr());
        let lost = lines.error_counter();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(lines)
            // A line that cannot be written is lost, for example when the terminal has been closed: an error on the same
            // terminal would panic.
            .log_internal_errors(false);
        let lines = match config.format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        let filter = EnvFilter::try_new(&config.filter)?;
        let damping = Damping::new(config.max_lines_per_kind);
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(damping.clone())
            .with(lines);
        subscriber.try_init()?;
        log_panics();
        tokio::spawn(upkeep(damping.clone(), lost));
        Ok(Logging { damping, writer })
    }

    /// Reports the lines left out so far, before the lines of the end.
    pub(super) fn report(&self) {
        self.damping.begin_period();
    }

    /// Returns when everything is written, or when nobody has read it for a while.
    pub(super) fn end(self) {
        self.report();
        within(WRITTEN_WITHIN, move || drop(self.writer));
    }
}

/// Begins a new period every few seconds, and reports lines that were lost. Never ends.
async fn upkeep(damping: Damping, lost: ErrorCounter) {
    let mut periods = tokio::time::interval(super::damping::PERIOD);
    let mut reported = 0;
    loop {
        periods.tick().await;
        damping.begin_period();
        let lines = lost.dropped_lines();
        metrics::counter!("patchbay_log_lines_lost_total").absolute(lines as u64);
        if lines > reported {
            tracing::warn!(
                lines = lines - reported,
                "lines of this log were lost: they were not read in time"
            );
            reported = lines;
        }
    }
}

/// Makes every panic a line of the log, and counts it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        metrics::counter!("patchbay_panics_total").increment(1);
        let backtrace = std::backtrace::Backtrace::capture();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => tracing::error!(thread, %panic, %backtrace, "panic"),
            _ => tracing::error!(thread, %panic, "panic"),
        }
    }));
}

/// Writes a line to standard error. Nobody may be there to read it.
pub(super) fn write_line(line: String) {
    within(WRITTEN_WITHIN, move || {
        let _ = writeln!(std::io::stderr(), "{line}");
    });
}

/// Runs `work` on a thread of its own, and waits for its end, but no longer than `most`.
fn within(most: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    let _ = finished.recv_timeout(most);
}
