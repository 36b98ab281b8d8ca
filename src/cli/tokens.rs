//! `patchbay token …`

use clap::Subcommand;

use super::output::{CommandError, print};
use crate::accounts::Accounts;
use crate::auth::{DAYS_MAX, SECONDS_PER_DAY};
use crate::clock::now_s;
use crate::config::{self, Config};
use crate::ids::UserId;
use crate::server::{stopwatch, wall_clock};
use crate::storage::{AdmitError, Records};
use crate::text;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print a token that proves that a client is USER
    Issue {
        /// The user's id, as clients send it
        user: String,
        /// Days for which it is valid
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
        days: u32,
    },
}

pub(super) async fn run(command: Command, records: Records, config: &Config) -> Result<(), CommandError> {
    let Command::Issue { user, days } = command;
    if user.is_empty() || !text::NAME.holds(&user) {
        return Err(format!("a user has 1 to {} characters", text::NAME.characters).into());
    }
    let user = UserId(user.into());
    match records.recognize(&user).await {
        Ok(_) => {}
        Err(AdmitError::UnknownUser) => {
            return Err(format!("there is no user `{user}`; add them with `patchbay user add`").into());
        }
        Err(error) => return Err(error.into()),
    }
    let no_secret = format!(
        "{} has no secret to sign tokens with: the server makes one when it first starts with this database",
        records.place()
    );
    if records.token_secrets(|_| None).await?.is_empty() {
        return Err(no_secret.into());
    }
    // A running server has the newest secret, but would not load one that is made here.
    let settings = config::Accounts {
        rotate_secret_after_d: u32::MAX,
        ..config.accounts.clone()
    };
    let clock = wall_clock();
    let until_s = now_s(&clock).saturating_add(i64::from(days) * SECONDS_PER_DAY);
    let accounts = Accounts::open(
        records,
        settings,
        config.limits.address_share_percent,
        clock,
        stopwatch(),
    )
    .await?;
    let token = accounts.keys().issue(&user, until_s);
    print(&format!("{}\n", token.ok_or(no_secret)?))
}
