//! `patchbay conference …`

use clap::{Args, Subcommand, ValueEnum};

use super::output::{CommandError, print, table};
use super::password;
use crate::ids::RoomName;
use crate::storage::{ConferenceChange, ConferenceRecord, Guests, NewConference, NewGuests, Records};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Add a conference
    ///
    /// People dial its alias, as apps do, or enter the room of that name, as the page /room and other clients do: the PIN is then the
    /// room's password. A PIN has 4 to 20 digits; take at least six, because shorter ones can be guessed. After ten wrong PINs from one
    /// address each further try has to wait a minute.
    Add {
        /// What people dial: the name of its room
        alias: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Change what is given of a conference; those who are inside stay
    Set {
        /// What people dial
        alias: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Remove a conference: its alias is then the name of a room that anybody may enter who may enter the server
    Remove { alias: String },
    /// Show all conferences, without their PINs
    List,
}

#[derive(Args)]
pub(super) struct Settings {
    /// The name that people are shown [default when added: the alias]
    #[arg(long)]
    name: Option<String>,
    /// The PIN by which hosts enter. Other users of this machine can see it in the list of processes: without a value it is asked
    /// for, or read as a line from standard input. `add` also asks without this flag
    #[arg(long, value_name = "PIN", num_args = 0..=1, conflicts_with = "no_host_pin")]
    host_pin: Option<Option<String>>,
    /// Let everybody enter as a host, without a PIN
    #[arg(long)]
    no_host_pin: bool,
    /// The guests who may enter [default when added: nobody, or pin with --guest-pin]
    #[arg(long, value_name = "WHO")]
    guests: Option<WhichGuests>,
    /// The PIN by which guests enter; without a value it is asked for after that of hosts, or read as a line
    #[arg(long, value_name = "PIN", num_args = 0..=1)]
    guest_pin: Option<Option<String>>,
    /// Whether guests wait until a host is there. Where a client cannot wait, it is told to come later [default when added: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    wait_for_host: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhichGuests {
    /// None: all need the PIN of hosts
    Nobody,
    /// Those who know the PIN for guests
    Pin,
    /// Everybody, without a PIN
    Anybody,
}

/// What the flags say, with the PINs that were asked for.
struct Given {
    name: Option<String>,
    host_pin: Option<Option<String>>,
    guests: Option<NewGuests>,
    waits_for_host: Option<bool>,
}

impl Settings {
    fn read(self, asks_for_host_pin: bool) -> Result<Given, CommandError> {
        let pin = |given: Option<String>, what| given.map_or_else(|| password::asked(what), Ok);
        let host_pin = match (self.host_pin, self.no_host_pin) {
            (_, true) => Some(None),
            (Some(given), false) => Some(Some(pin(given, "PIN for hosts")?)),
            (None, false) if asks_for_host_pin => Some(Some(pin(None, "PIN for hosts")?)),
            (None, false) => None,
        };
        let guests = match (self.guests, self.guest_pin) {
            (Some(WhichGuests::Nobody | WhichGuests::Anybody), Some(_)) => {
                return Err("a PIN for guests is of use only with --guests pin".into());
            }
            (Some(WhichGuests::Nobody), None) => Some(NewGuests::Nobody),
            (Some(WhichGuests::Anybody), None) => Some(NewGuests::Anybody),
            (Some(WhichGuests::Pin), given) => Some(NewGuests::WithPin(pin(given.flatten(), "PIN for guests")?)),
            (None, Some(given)) => Some(NewGuests::WithPin(pin(given, "PIN for guests")?)),
            (None, None) => None,
        };
        Ok(Given {
            name: self.name,
            host_pin,
            guests,
            waits_for_host: self.wait_for_host,
        })
    }
}

pub(super) async fn run(command: Command, records: &Records) -> Result<(), CommandError> {
    match command {
        Command::Add { alias, settings } => {
            let given = settings.read(true)?;
            let new = NewConference {
                alias: RoomName::from(alias.as_str()),
                name: given.name.unwrap_or_else(|| alias.clone()),
                host_pin: given.host_pin.flatten(),
                guests: given.guests.unwrap_or(NewGuests::Nobody),
                waits_for_host: given.waits_for_host.unwrap_or(false),
            };
            records.add_conference(new).await?;
            print(&format!("added {alias}\n"))
        }
        Command::Set { alias, settings } => {
            let given = settings.read(false)?;
            let change = ConferenceChange {
                name: given.name,
                host_pin: given.host_pin,
                guests: given.guests,
                waits_for_host: given.waits_for_host,
            };
            records.set_conference(&RoomName::from(alias.as_str()), change).await?;
            print(&format!("changed {alias}\n"))
        }
        Command::Remove { alias } => {
            records.remove_conference(&RoomName::from(alias.as_str())).await?;
            print(&format!("removed {alias}\n"))
        }
        Command::List => list(records).await,
    }
}

async fn list(records: &Records) -> Result<(), CommandError> {
    let conferences = records.conferences().await?;
    if conferences.is_empty() {
        return print("there are no conferences\n");
    }
    let titles = ["ALIAS", "NAME", "HOSTS", "GUESTS", "WAIT FOR A HOST"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(conferences.into_iter().map(row));
    print(&table(&rows))
}

fn row(conference: ConferenceRecord) -> Vec<String> {
    let hosts = if conference.has_host_pin { "pin" } else { "anybody" };
    let guests = match conference.guests {
        Guests::Nobody => "nobody",
        Guests::WithPin => "pin",
        Guests::Anybody => "anybody",
    };
    let waits = if conference.waits_for_host { "yes" } else { "no" };
    let alias = conference.alias.to_string();
    vec![
        alias,
        conference.name,
        hosts.to_owned(),
        guests.to_owned(),
        waits.to_owned(),
    ]
}
