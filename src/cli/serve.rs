//! `patchbay serve`: runs the server until a signal stops it, or until it cannot go on.

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::logging::Logging;
use super::output::CommandError;
use crate::config::Config;
use crate::hub::HubEnd;
use crate::server::Server;

/// Time for which a server that has failed may end connections: what it can still do for its clients it does at once, and each
/// second more keeps its supervisor from starting another.
const GOODBYE_MAX: Duration = Duration::from_secs(3);

/// The failure of a part without which the server cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the server has failed, and ends: {0}. Start it again, or let a supervisor do so")]
pub(super) struct Failed(HubEnd);

/// The end by a second signal, while the server was ending in order.
#[derive(Debug, thiserror::Error)]
#[error("ended at once, as a second signal asked for")]
pub(super) struct Interrupted;

pub(super) async fn run(config: Config) -> Result<(), CommandError> {
    let logging = Logging::begin(&config.log)?;
    let result = serve(config, &logging).await;
    logging.end();
    result
}

async fn serve(config: Config, logging: &Logging) -> Result<(), CommandError> {
    raise_descriptor_limit();
    // Signals are taken before anything starts, so that none is missed.
    let mut signals = Signals::take()?;
    // The start has a task of its own: a disk that hangs may block the thread that it runs on.
    let starting = tokio::spawn(Server::start(config));
    let server = tokio::select! {
        started = starting => started??,
        () = signals.end() => {
            tracing::info!("a signal ended the start");
            return Ok(());
        }
    };
    let mut stdout = std::io::stdout();
    for line in server.welcome() {
        // Nobody may be reading; the server runs all the same.
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
    logging.report();
    let stopped = async {
        match failed {
            None => server.stop().await,
            Some(_) => drop(tokio::time::timeout(GOODBYE_MAX, server.stop()).await),
        }
    };
    tokio::select! {
        () = stopped => {}
        () = signals.end() => return Err(Interrupted.into()),
    }
    failed.map_or(Ok(()), |failed| Err(failed.into()))
}

/// The wish that a signal stands for.
enum Wish {
    End,
    Reload,
}

/// All signals that a terminal or a service manager sends, and that would end a program without a handler. (Rust ignores
/// SIGPIPE from the start.)
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

/// Raises the limit of file descriptors: every connection takes one, and the usual soft limit of 1,024 is for programs that
/// use `select`.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    match raised {
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of file descriptors"),
    }
}
