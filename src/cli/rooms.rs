//! `patchbay room …`

use clap::{Args, Subcommand};

use super::output::{CommandError, print, table};
use super::password;
use crate::ids::RoomName;
use crate::storage::Records;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Give a room a record, with a password
    Add {
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Change the password; those who are inside stay
    SetPassword {
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Forget a room: anybody who may enter the server may then enter it
    Remove { name: String },
    /// Show all rooms that have a record
    List,
}

#[derive(Args)]
#[group(multiple = false)]
pub(super) struct Password {
    #[command(flatten)]
    given: password::Given,
    /// Let everybody in
    #[arg(long)]
    no_password: bool,
}

impl Password {
    fn read(self) -> Result<Option<String>, CommandError> {
        if self.no_password {
            return Ok(None);
        }
        self.given.read().map(Some)
    }
}

pub(super) async fn run(command: Command, records: &Records) -> Result<(), CommandError> {
    match command {
        Command::Add { name, password } => {
            let password = password.read()?;
            records
                .add_room(&RoomName::from(name.as_str()), password.as_deref())
                .await?;
            print(&format!("added {name}\n"))
        }
        Command::SetPassword { name, password } => {
            let password = password.read()?;
            records
                .set_room_password(&RoomName::from(name.as_str()), password.as_deref())
                .await?;
            print(&format!("changed {name}\n"))
        }
        Command::Remove { name } => {
            records.remove_room(&RoomName::from(name.as_str())).await?;
            print(&format!("removed {name}\n"))
        }
        Command::List => list(records).await,
    }
}

async fn list(records: &Records) -> Result<(), CommandError> {
    let rooms = records.rooms().await?;
    if rooms.is_empty() {
        return print("there are no rooms with a record; any name may be entered\n");
    }
    let mut rows = vec![["NAME", "PASSWORD"].map(str::to_owned).to_vec()];
    rows.extend(rooms.into_iter().map(|room| {
        let password = if room.has_password { "yes" } else { "no" };
        vec![room.room.to_string(), password.to_owned()]
    }));
    print(&table(&rows))
}
