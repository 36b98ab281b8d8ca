//! `patchbay account …`

use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::output::{CommandError, print, table};
use super::{password, users};
use crate::domain::Person;
use crate::ids::UserId;
use crate::storage::Records;

/// Bytes of the longest file: some hundred thousand people.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the fields of an imported file are.
const COLUMNS: &str = "account,password,name";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Let a user log in with a password; a user who is not there yet is added
    Add {
        /// The user's id, with which they log in; others call them by it
        id: String,
        /// The name shown to others [default: the id]; a user who is there keeps theirs
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        password: password::Given,
    },
    /// Change a password
    Password {
        id: String,
        #[command(flatten)]
        password: password::Given,
    },
    /// Remove an account, and the user with it
    Remove { id: String },
    /// Show all accounts
    List,
    /// Add the accounts in a file: a line for each, with account, password and, if you like, name, as a spreadsheet
    /// writes them (CSV). A first line "account,password,name" is passed over. If a line is wrong, nothing is added
    Import {
        /// The file; - is standard input
        file: PathBuf,
    },
}

impl Command {
    /// Whether it adds something.
    pub fn adds(&self) -> bool {
        matches!(self, Command::Add { .. } | Command::Import { .. })
    }
}

pub(super) async fn run(command: Command, records: &Records) -> Result<(), CommandError> {
    match command {
        Command::Add { id, name, password } => {
            let entry = Entry {
                name: name.unwrap_or_else(|| id.clone()),
                password: password.read()?,
                id,
            };
            let was_open = !records.has_users().await?;
            add(records, &entry).await?;
            print(&format!("added {}\n{}", entry.id, closed(was_open)))
        }
        Command::Password { id, password } => {
            let password = password.read()?;
            records
                .set_user_password(&UserId::from(id.as_str()), Some(&password))
                .await?;
            print(&format!("changed the password of {id}\n"))
        }
        Command::Remove { id } => {
            let found = records.user_account(&id).await?;
            match found.is_some_and(|found| found.person.user.as_str() == id) {
                true => users::remove(records, &id).await,
                false => Err(format!("there is no account `{id}`").into()),
            }
        }
        Command::List => list(records).await,
        Command::Import { file } => import(records, &file).await,
    }
}

/// What changes for everybody with the first user.
fn closed(was_open: bool) -> &'static str {
    match was_open {
        true => "there were no users before: from now on only users may enter\n",
        false => "",
    }
}

async fn list(records: &Records) -> Result<(), CommandError> {
    let accounts = records.user_accounts().await?;
    if accounts.is_empty() {
        return print("there are no accounts\n");
    }
    let mut rows = vec![["NUMBER", "ACCOUNT", "NAME"].map(str::to_owned).to_vec()];
    let row = |account: crate::storage::UserAccount| {
        let Person { user, name, .. } = account.person;
        vec![account.number.to_string(), user.to_string(), name]
    };
    rows.extend(accounts.into_iter().map(row));
    print(&table(&rows))
}

/// One account that is to be added.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    id: String,
    password: String,
    name: String,
}

async fn add(records: &Records, entry: &Entry) -> Result<(), CommandError> {
    let person = Person {
        user: UserId::from(entry.id.as_str()),
        name: entry.name.clone(),
        prefix: String::new(),
        postfix: String::new(),
    };
    Ok(records.add_user_account(&person, &entry.password).await?)
}

async fn import(records: &Records, file: &Path) -> Result<(), CommandError> {
    let entries = entries(&text_of(file)?)?;
    for (line, entry) in &entries {
        if let Some(known) = records.user_account(&entry.id).await?
            && known.person.user.as_str() == entry.id
        {
            return Err(format!(
                "line {line}: the account `{}` exists already; nothing was added",
                entry.id
            )
            .into());
        }
    }
    let was_open = !records.has_users().await?;
    for (count, (line, entry)) in entries.iter().enumerate() {
        let added = add(records, entry).await;
        added.map_err(|error| format!("line {line}: {error}; {count} before it were added"))?;
    }
    let closed = closed(was_open && !entries.is_empty());
    print(&format!("added {} accounts\n{closed}", entries.len()))
}

fn text_of(file: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let name = file.display();
    let (read, most) = (|error: std::io::Error| format!("{name}: {error}"), FILE_BYTES_MAX + 1);
    match file == Path::new("-") {
        true => stdin().take(most).read_to_string(&mut text),
        false => std::fs::File::open(file)
            .map_err(read)?
            .take(most)
            .read_to_string(&mut text),
    }
    .map_err(read)?;
    match u64::try_from(text.len()) {
        Ok(bytes) if bytes <= FILE_BYTES_MAX => Ok(text),
        _ => Err(format!("{name}: it has more than {FILE_BYTES_MAX} bytes").into()),
    }
}

/// The accounts in a file, each with the number of its line. Everything that can be seen to be wrong without storage is wrong
/// here, before anything is added.
fn entries(text: &str) -> Result<Vec<(usize, Entry)>, CommandError> {
    // Spreadsheets begin their files with it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found: Vec<(usize, Entry)> = Vec::new();
    let mut ids = std::collections::HashSet::new();
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).from_reader(text.as_bytes());
    for row in reader.into_records() {
        let row = row?;
        let line = row.position().map_or(0, |position| line_at(text, position));
        let is_title = line == 1 && COLUMNS.split(',').eq(row.iter());
        if is_title {
            continue;
        }
        let mut fields = row.iter();
        let (Some(id), Some(password), name, None) = (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("line {line}: it needs {COLUMNS}; nothing was added").into());
        };
        let (id, password) = (id.trim().to_owned(), password.to_owned());
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| id.clone());
        if id.is_empty() || password.is_empty() {
            return Err(format!("line {line}: account or password is missing; nothing was added").into());
        }
        if !ids.insert(id.clone()) {
            return Err(format!("line {line}: the account `{id}` is there twice; nothing was added").into());
        }
        found.push((line, Entry { id, password, name }));
    }
    Ok(found)
}

/// The line of a row. The position of one behind empty lines is that of the first of these.
fn line_at(text: &str, position: &csv::Position) -> usize {
    let from = usize::try_from(position.byte()).ok().and_then(|byte| text.get(byte..));
    let from = from.unwrap_or_default().chars();
    let empty_lines = from
        .take_while(|c| ['\r', '\n'].contains(c))
        .filter(|c| *c == '\n')
        .count();
    usize::try_from(position.line()).unwrap_or(0) + empty_lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String, String, String)> {
        let read = entries(text).unwrap();
        read.into_iter()
            .map(|(line, entry)| (line, entry.id, entry.password, entry.name))
            .collect()
    }

    fn entry(line: usize, id: &str, password: &str, name: &str) -> (usize, String, String, String) {
        (line, id.to_owned(), password.to_owned(), name.to_owned())
    }

    #[test]
    fn a_file_is_read_as_spreadsheets_write_it() {
        let expected = [
            entry(2, "anna", "se,\"cret", "安娜"),
            entry(3, "ben@example.org", " 1 ", "ben@example.org"),
            entry(5, "carl", "x\ny", "Carl"),
            entry(7, "dora", "z", "dora"),
        ];
        let text = "account,password,name\nanna,\"se,\"\"cret\",安娜\n ben@example.org , 1 ,\n\ncarl,\"x\ny\",\"Carl\"\ndora,z";
        assert_eq!(read(text), expected);
        assert_eq!(
            read(&format!(
                "\u{feff}{}",
                text.replace('\n', "\r\n").replace("x\r\ny", "x\ny")
            )),
            expected
        );
        assert_eq!(read(""), []);
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (text, said) in [
            ("anna", "line 1: it needs"),
            ("anna,1\nben,2,Ben,more", "line 2: it needs"),
            ("anna,1\n,2", "line 2: account or password"),
            ("anna,", "line 1: account or password"),
            ("anna,1\nanna,2", "line 2: the account `anna` is there twice"),
        ] {
            let error = entries(text).unwrap_err().to_string();
            assert!(error.starts_with(said), "{text}: {error}");
        }
    }
}
