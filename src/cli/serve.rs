//! `patchbay serve`: runs the server until it is told to stop.

use std::io::{IsTerminal, Write};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::CommandError;
use crate::config::{Config, Log, LogFormat};
use crate::server::Server;

/// What a shell reports for a program ended by SIGINT: 128 + 2.
const INTERRUPTED: i32 = 130;

pub(super) async fn run(config: Config) -> Result<(), CommandError> {
    start_logging(&config.log)?;
    raise_descriptor_limit();
    // Before anything starts, so that a signal is not missed.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let server = Server::start(config).await?;
    let mut stdout = std::io::stdout();
    for line in server.welcome() {
        // Nobody may be listening; the server runs all the same.
        let _ = writeln!(stdout, "{line}");
    }
    let _ = stdout.flush();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tokio::select! {
        () = server.stop() => Ok(()),
        _ = interrupt.recv() => std::process::exit(INTERRUPTED),
        _ = terminate.recv() => std::process::exit(INTERRUPTED),
    }
}

fn start_logging(config: &Log) -> Result<(), CommandError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.filter)?)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
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
