//! `patchbay serve`: runs the server until it is told to stop, or cannot go on.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::CommandError;
use super::damping::Damping;
use crate::config::{Config, Log, LogFormat};
use crate::hub::HubEnd;
use crate::server::Server;

/// What a shell reports for a program ended by SIGINT: 128 + 2.
const INTERRUPTED: i32 = 130;

/// How long a server that has failed may say goodbye: what it could still do for its clients is done at once, and each second
/// more keeps its supervisor from starting another.
const GOODBYE_MAX: Duration = Duration::from_secs(3);

/// A part failed without which the server cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the server has failed, and ends: {0}. Start it again, or let a supervisor do so")]
pub(super) struct Failed(HubEnd);

pub(super) async fn run(config: Config) -> Result<(), CommandError> {
    let damping = Damping::new(config.log.max_lines_per_kind);
    start_logging(&config.log, damping.clone())?;
    tokio::spawn(damping.clone().upkeep());
    log_panics();
    raise_descriptor_limit();
    // Before anything starts, so that a signal is not missed.
    let mut signals = Signals::take()?;
    let server = tokio::select! {
        started = Server::start(config) => started?,
        () = signals.end() => {
            tracing::info!("told to end before it had started");
            // Work for a disk that hangs cannot be given up, and would be waited for.
            std::process::exit(0)
        }
    };
    let mut stdout = std::io::stdout();
    for line in server.welcome() {
        // Nobody may be listening; the server runs all the same.
        let _ = writeln!(stdout, "{line}");
    }
    let _ = stdout.flush();
    let failed = loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break None,
                Wish::Reload => server.reload(),
            },
            why = server.failed() => break Some(Failed(why)),
        }
    };
    damping.begin_period();
    let stopped = async {
        match failed {
            None => server.stop().await,
            Some(_) => drop(tokio::time::timeout(GOODBYE_MAX, server.stop()).await),
        }
    };
    tokio::select! {
        () = stopped => {}
        () = signals.end() => std::process::exit(INTERRUPTED),
    }
    failed.map_or(Ok(()), |failed| Err(failed.into()))
}

/// What a signal asks for.
enum Wish {
    End,
    Reload,
}

/// All signals that a terminal or a service manager sends and that would end a program which does not expect them. (SIGPIPE is
/// ignored from the start, by Rust.)
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hang_up: Signal,
    user: [Signal; 2],
}

impl Signals {
    fn take() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
            user: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Cancel-safe.
    async fn next(&mut self) -> Wish {
        let [first, second] = &mut self.user;
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Wish::End,
                _ = self.terminate.recv() => return Wish::End,
                _ = self.quit.recv() => return Wish::End,
                _ = self.hang_up.recv() => return Wish::Reload,
                _ = first.recv() => tracing::info!("SIGUSR1 means nothing here"),
                _ = second.recv() => tracing::info!("SIGUSR2 means nothing here"),
            }
        }
    }

    /// Returns at the next signal that asks for the end.
    async fn end(&mut self) {
        while !matches!(self.next().await, Wish::End) {}
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

fn start_logging(config: &Log, damping: Damping) -> Result<(), CommandError> {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // What cannot be written is lost, as when the terminal has gone: to say so on the same terminal would panic.
        .log_internal_errors(false);
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let filter = EnvFilter::try_new(&config.filter)?;
    let subscriber = tracing_subscriber::registry().with(filter).with(damping).with(lines);
    Ok(subscriber.try_init()?)
}

/// Every connection takes a descriptor, and the usual soft limit of 1,024 is for programs that use `select`.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    match raised {
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of file descriptors"),
    }
}
