//! The command line.

mod accounts;
mod conferences;
mod contacts;
mod damping;
mod devices;
mod doctor;
#[cfg(feature = "load")]
mod load;
mod logging;
mod output;
mod password;
mod push;
mod robot;
mod rooms;
mod serve;
mod tokens;
mod users;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use output::{CommandError, print};

use crate::config::{self, Config};
use crate::storage::Records;

#[derive(Parser)]
#[command(
    name = "patchbay",
    version,
    about = "Group calls in the browser: a WebRTC SFU with its signaling inside"
)]
struct Arguments {
    /// Configuration file [default: ./patchbay.toml if there is one]
    #[arg(long, global = true, env = "PATCHBAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting that overrides file and environment, for example media.first_port=9000; see `patchbay config`
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE")]
    settings: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (the default command)
    Serve,
    /// People who may enter; while there are no users, anybody may
    #[command(subcommand)]
    User(users::Command),
    /// Users who log in with a password
    #[command(subcommand)]
    Account(accounts::Command),
    /// Rooms with passwords; other rooms need no record
    #[command(subcommand)]
    Room(rooms::Command),
    /// Conferences: rooms that are entered with PINs, as host or as guest
    #[command(subcommand)]
    Conference(conferences::Command),
    /// Contacts of accounts: the people whom they see and can call
    #[command(subcommand)]
    Contact(contacts::Command),
    /// Tokens by which clients prove who they are
    #[command(subcommand)]
    Token(tokens::Command),
    /// Devices of accounts
    #[command(subcommand)]
    Device(devices::Command),
    /// What wakes apps that are closed
    #[command(subcommand)]
    Push(push::Command),
    /// Robots, which play a recording in a room
    #[command(subcommand)]
    Robot(robot::Command),
    /// Join a server as many publishers and subscribers, and measure what arrives
    #[cfg(feature = "load")]
    Load(Box<crate::load::Options>),
    /// Try everything that a start needs, look at what the server will meet, and report what is wrong and what to do. Exit code 0:
    /// sound; 1: faults; 2: warnings
    Doctor(doctor::Options),
    /// Print every setting with its default and reason
    Config,
}

/// EX_SOFTWARE of sysexits.h: the program itself has failed, and it makes sense to start it again.
const SOFTWARE_FAILED: u8 = 70;

/// The exit code that a shell reports for a program ended by SIGINT: 128 + 2.
const INTERRUPTED: u8 = 130;

/// Time for which the end waits for work that cannot be cancelled, such as that on a disk: a disk that hangs may never
/// answer.
const WORK_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Runs the program. Exit code 0: done; 1: failed, with a sentence on standard error that says why; 2: wrong arguments; 70:
/// the server ran, and a part failed without which it cannot go on; 130: a second signal asked for the end.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            if error.is::<serve::Interrupted>() {
                return ExitCode::from(INTERRUPTED);
            }
            logging::write_line(format!("patchbay: {error}"));
            if error.is::<serve::Failed>() {
                ExitCode::from(SOFTWARE_FAILED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, CommandError> {
    if let Some(Command::Config) = arguments.command {
        return print(config::MANUAL).map(|()| ExitCode::SUCCESS);
    }
    if let Some(Command::Robot(command)) = arguments.command {
        return robot::run(command).map(|()| ExitCode::SUCCESS);
    }
    #[cfg(feature = "load")]
    if let Some(Command::Load(options)) = arguments.command {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(load::run(*options)).map(|()| ExitCode::SUCCESS);
    }
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        // A variable whose name is not text is not one of ours.
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    let config = config::load(arguments.config.as_deref(), environment, &arguments.settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let done = match arguments.command {
            None | Some(Command::Serve) => serve::run(config).await,
            Some(Command::Doctor(options)) => return doctor::run(config, &options).await,
            Some(Command::User(command)) => {
                let records = open(&config, matches!(command, users::Command::Add { .. })).await?;
                users::run(command, &records).await
            }
            Some(Command::Account(command)) => {
                let records = open(&config, command.adds()).await?;
                accounts::run(command, &records).await
            }
            Some(Command::Room(command)) => {
                let records = open(&config, matches!(command, rooms::Command::Add { .. })).await?;
                rooms::run(command, &records).await
            }
            Some(Command::Conference(command)) => {
                let records = open(&config, matches!(command, conferences::Command::Add { .. })).await?;
                conferences::run(command, &records).await
            }
            Some(Command::Contact(command)) => {
                let records = open(&config, matches!(command, contacts::Command::Add { .. })).await?;
                contacts::run(command, &records, &config).await
            }
            Some(Command::Token(command)) => tokens::run(command, open_made(&config).await?, &config).await,
            Some(Command::Device(command)) => devices::run(command, &open(&config, false).await?).await,
            Some(Command::Push(command)) => push::run(command, &open_made(&config).await?, &config).await,
            Some(Command::Config | Command::Robot(_)) => Ok(()),
            #[cfg(feature = "load")]
            Some(Command::Load(_)) => Ok(()),
        };
        done.map(|()| ExitCode::SUCCESS)
    });
    runtime.shutdown_timeout(WORK_ENDS_WITHIN);
    result
}

/// Opens the database, and prints a line with its place on standard error: in another folder the same command means another
/// database. Only a command that adds something makes a database; the others find an empty one.
async fn open(config: &Config, adds: bool) -> Result<Records, CommandError> {
    match Records::missing_file(&config.storage) {
        Some(file) if !adds => {
            let _ = writeln!(std::io::stderr(), "there is no database {}", file.display());
            let nothing = config::Storage {
                url: "sqlite::memory:".to_owned(),
                ..config.storage.clone()
            };
            Ok(Records::open(&nothing).await?)
        }
        missing => {
            let records = Records::open(&config.storage).await?;
            let made = missing.map_or("", |_| ", made just now");
            let _ = writeln!(std::io::stderr(), "database {}{made}", records.place());
            Ok(records)
        }
    }
}

/// Opens a server's database. Where there is none, none is made: it would have a secret of its own, and the intended server
/// would refuse tokens signed with that.
async fn open_made(config: &Config) -> Result<Records, CommandError> {
    if let Some(file) = Records::missing_file(&config.storage) {
        let file = file.display();
        return Err(format!(
            "there is no database {file}; run this in the server's folder, or name its configuration with --config"
        )
        .into());
    }
    open(config, false).await
}
