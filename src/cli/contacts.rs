//! `patchbay contact …`

use clap::Subcommand;

use super::output::{CommandError, print, table};
use crate::accounts::is_phone;
use crate::config::Config;
use crate::storage::Records;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Give an account a contact; they see each other once each has the other
    Add {
        /// Whose contact it is: eleven digits. The account need not have logged in yet
        phone: String,
        /// The contact: eleven digits
        contact: String,
        /// Add the contact in the other direction too
        #[arg(long)]
        mutual: bool,
    },
    /// Remove a contact
    Remove { phone: String, contact: String },
    /// Show the contacts of one account, or of all
    List { phone: Option<String> },
}

pub(super) async fn run(command: Command, records: &Records, config: &Config) -> Result<(), CommandError> {
    match command {
        Command::Add { phone, contact, mutual } => {
            for number in [&phone, &contact] {
                if !is_phone(number) {
                    return Err(format!("`{number}` is not a phone number; write eleven digits").into());
                }
            }
            if phone == contact {
                return Err("an account cannot be its own contact; write two different phone numbers".into());
            }
            let most = config.accounts.max_contacts;
            records.add_contact(&phone, &contact, most).await?;
            if mutual {
                records.add_contact(&contact, &phone, most).await?;
            }
            let one_sided = match mutual || !config.accounts.mutual_contacts {
                true => "",
                false => "they see each other once both have added the other; --mutual does that\n",
            };
            print(&format!("added {contact} to the contacts of {phone}\n{one_sided}"))
        }
        Command::Remove { phone, contact } => {
            records.remove_contact(&phone, &contact).await?;
            print(&format!("removed {contact} from the contacts of {phone}\n"))
        }
        Command::List { phone } => list(records, phone.as_deref()).await,
    }
}

async fn list(records: &Records, phone: Option<&str>) -> Result<(), CommandError> {
    let contacts = records.contacts(phone).await?;
    if contacts.is_empty() {
        return print("there are no contacts\n");
    }
    let mut rows = vec![["PHONE", "CONTACT"].map(str::to_owned).to_vec()];
    rows.extend(contacts.into_iter().map(|(phone, contact)| vec![phone, contact]));
    print(&table(&rows))
}
