//! The log: lines on standard error, written by a thread of their own, so that whoever does not read them holds up nothing.

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

/// Lines that wait to be written; later ones are lost, and counted. A few MiB, and more than a start or an end writes.
const LINES_MAX: usize = 8_192;

/// How long the end waits for lines that nobody may be reading.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Logging {
    damping: Damping,
    writer: WorkerGuard,
}

impl Logging {
    /// Begins to log, and to count panics. To be called once, in a runtime.
    pub(super) fn begin(config: &Log) -> Result<Logging, CommandError> {
        let (lines, writer) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_MAX)
            .thread_name("log")
            .finish(std::io::stderr());
        let lost = lines.error_counter();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(lines)
            // What cannot be written is lost, as when the terminal has gone: to say so on the same terminal would panic.
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

    /// Reports what was left out, before the lines of the end.
    pub(super) fn report(&self) {
        self.damping.begin_period();
    }

    /// Returns when everything is written, or somebody has not read it for a while.
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

/// A panic is a line of the log, and counted, wherever it happens.
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
pub(super) fn say(line: String) {
    within(WRITTEN_WITHIN, move || {
        let _ = writeln!(std::io::stderr(), "{line}");
    });
}

/// Does it on a thread of its own, and waits for that for so long.
fn within(most: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    let _ = finished.recv_timeout(most);
}
