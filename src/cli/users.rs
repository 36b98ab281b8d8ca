//! `patchbay user …`

use clap::{Args, Subcommand};

use super::output::{CommandError, print, table};
use crate::domain::Person;
use crate::ids::UserId;
use crate::storage::{PersonChange, Records};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Let a person in
    Add {
        /// The user's id, as clients send it
        id: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Change how a person is shown
    Set {
        id: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Remove a person, who can then no longer enter rooms
    Remove { id: String },
    /// Show all users
    List,
}

#[derive(Args)]
pub(super) struct Shown {
    /// The name shown to others [default when added: the id]
    #[arg(long)]
    name: Option<String>,
    /// Text shown before the name
    #[arg(long)]
    prefix: Option<String>,
    /// Text shown after the name
    #[arg(long)]
    postfix: Option<String>,
}

pub(super) async fn run(command: Command, records: &Records) -> Result<(), CommandError> {
    match command {
        Command::Add { id, shown } => {
            let person = Person {
                user: UserId::from(id.as_str()),
                name: shown.name.unwrap_or(id),
                prefix: shown.prefix.unwrap_or_default(),
                postfix: shown.postfix.unwrap_or_default(),
            };
            records.add_user(&person).await?;
            print(&format!("added {}\n", person.user))
        }
        Command::Set { id, shown } => {
            let change = PersonChange {
                name: shown.name,
                prefix: shown.prefix,
                postfix: shown.postfix,
            };
            records.set_user(&UserId::from(id.as_str()), &change).await?;
            print(&format!("changed {id}\n"))
        }
        Command::Remove { id } => remove(records, &id).await,
        Command::List => list(records).await,
    }
}

pub(super) async fn remove(records: &Records, id: &str) -> Result<(), CommandError> {
    records.remove_user(&UserId::from(id)).await?;
    let left = match records.has_users().await? {
        true => "",
        false => "there are no users left: anybody may enter now\n",
    };
    print(&format!("removed {id}\n{left}"))
}

async fn list(records: &Records) -> Result<(), CommandError> {
    let users = records.users().await?;
    if users.is_empty() {
        return print("there are no users: anybody may enter\n");
    }
    let mut rows = vec![["ID", "NAME", "PREFIX", "POSTFIX"].map(str::to_owned).to_vec()];
    rows.extend(
        users
            .into_iter()
            .map(|p| vec![p.user.to_string(), p.name, p.prefix, p.postfix]),
    );
    print(&table(&rows))
}
