//! `patchbay push …`

use clap::Subcommand;

use super::output::{CommandError, print, table};
use crate::config::Config;
use crate::ids::UserId;
use crate::push::{Attempt, Outcome, Services};
use crate::server;
use crate::storage::Records;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Let each device of somebody ring once by its push service, and print what the service says
    Test {
        /// The id of the user, or the name of the account
        account: String,
    },
}

pub(super) async fn run(command: Command, records: &Records, config: &Config) -> Result<(), CommandError> {
    let Command::Test { account } = command;
    let services = Services::open(&config.push, server::wall_clock(), server::stopwatch())?;
    let devices = records.push_devices(&UserId::from(account.as_str())).await?;
    if devices.is_empty() {
        return Err(format!("{account} has no device that is reached by push").into());
    }
    let mut rows = vec![
        ["DEVICE", "SERVICE", "OUTCOME", "THE SERVICE SAYS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut taken = true;
    for device in devices {
        let attempt = services.try_out(device.service, &device.token).await;
        taken &= attempt
            .as_ref()
            .is_some_and(|attempt| attempt.outcome == Outcome::Taken);
        let (outcome, said) = describe(attempt);
        rows.push(vec![
            device.device,
            device.service.name().to_owned(),
            outcome.to_owned(),
            said,
        ]);
    }
    print(&table(&rows))?;
    match taken {
        true => Ok(()),
        false => Err("not every device was notified".into()),
    }
}

fn describe(attempt: Option<Attempt>) -> (&'static str, String) {
    let Some(Attempt { outcome, said }) = attempt else {
        return ("not configured", "see [push] in the configuration".to_owned());
    };
    let words = match outcome {
        Outcome::Taken => "taken",
        Outcome::Gone { .. } => "gone: the next call forgets the device",
        Outcome::Again { .. } => "not taken now",
        Outcome::Refused => "refused",
        Outcome::NotAllowed => "not allowed: check key, ids and topic",
        Outcome::TooLarge => "too large",
    };
    (words, said)
}
