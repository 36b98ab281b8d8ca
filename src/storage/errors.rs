//! Errors of storage, and refusals to enter, in sentences that name the thing and say what to do.

use std::path::PathBuf;
use std::time::Duration;

/// The reason why the database cannot be used at start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "storage.url `{url}` is not understood{problem}. Write sqlite:<path of a file>, or \
        postgres://user:password@host[:port]/database"
    )]
    Url { url: String, problem: String },
    #[error("cannot make the directory {path} for the database: {source}. Make it yourself, or change storage.url",
        path = .path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("the database {place} is locked by another program. Stop that program, or change storage.url")]
    Locked { place: String },
    #[error(
        "the database {place} is damaged, or not a database: {source}. Restore it from a copy, or move the file away \
        to start with an empty one"
    )]
    Damaged { place: String, source: sqlx::Error },
    #[error("the database {place} cannot be written: {source}. Check the permissions of the file and its directory")]
    Unwritable { place: String, source: sqlx::Error },
    #[error("the disk of the database {place} is full. Make room on it")]
    DiskFull { place: String },
    #[error(
        "the database {place} cannot be reached: {source}. Is it running, and are host and port in storage.url right?"
    )]
    Unreachable { place: String, source: sqlx::Error },
    #[error("the database {place} refuses us: {source}. Check user, password and database name in storage.url")]
    Refused { place: String, source: sqlx::Error },
    #[error(
        "the database {place} was written by another version of patchbay (migration {version}). Use a version at least \
        as new, or another database"
    )]
    OtherVersion { place: String, version: i64 },
    #[error("the database {place} cannot be used: {source}")]
    Other {
        place: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The reason why a record cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("{what} must have 1 to {max} characters, none of them a control character")]
    BadId { what: &'static str, max: usize },
    #[error("a name, prefix or postfix must have at most {max} characters, none of them a control character")]
    BadText { max: usize },
    #[error("{what} `{id}` exists already")]
    Exists { what: &'static str, id: String },
    #[error("{what} `{id}` does not exist")]
    Missing { what: &'static str, id: String },
    #[error("there are {most} {what} already, and no more may be")]
    Full { what: &'static str, most: i64 },
    #[error("a password must have 1 to {max} characters")]
    BadPassword { max: usize },
    #[error("a PIN must have {min} to {max} digits, and nothing else")]
    BadPin { min: usize, max: usize },
    #[error("the PINs of hosts and of guests must differ")]
    SamePins,
    #[error("without a PIN for hosts everybody enters as a host, so there are no guests: give it a PIN for hosts, too")]
    GuestsWithoutHosts,
    #[error("this is a name of channels of the call API, which are entered with access tokens; choose another alias")]
    IsChannel,
    #[error("`{0}` is a room with a record: remove that first (`patchbay room remove`)")]
    IsRoom(String),
    #[error("`{0}` is a conference: set its PINs instead (`patchbay conference set`)")]
    IsConference(String),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

impl RecordError {
    /// Distinguishes a duplicate from other failures of an INSERT.
    pub(super) fn of_insert(error: sqlx::Error, what: &'static str, id: &str) -> RecordError {
        let duplicate = error.as_database_error().is_some_and(|e| e.is_unique_violation());
        if duplicate {
            RecordError::Exists {
                what,
                id: id.to_owned(),
            }
        } else {
            RecordError::Database(error)
        }
    }

    /// Checks that a change found its record: it changed `rows`.
    pub(super) fn unless_found(rows: u64, what: &'static str, id: &str) -> Result<(), RecordError> {
        if rows > 0 {
            return Ok(());
        }
        Err(RecordError::Missing {
            what,
            id: id.to_owned(),
        })
    }
}

impl OpenError {
    pub(super) fn of_sqlite(error: sqlx::Error, place: String) -> OpenError {
        // Extended result codes carry the primary one in their low byte (sqlite.org/rescode.html).
        let primary = error
            .as_database_error()
            .and_then(|e| e.code())
            .and_then(|code| code.parse::<i32>().ok())
            .map(|code| code & 0xff);
        match primary {
            Some(5 | 6) => OpenError::Locked { place },
            Some(11 | 26) => OpenError::Damaged { place, source: error },
            Some(3 | 8 | 14 | 23) => OpenError::Unwritable { place, source: error },
            Some(13) => OpenError::DiskFull { place },
            _ => OpenError::Other {
                place,
                source: Box::new(error),
            },
        }
    }

    pub(super) fn of_postgres(error: sqlx::Error, place: String) -> OpenError {
        // SQLSTATE classes (PostgreSQL, appendix A): 28 authorization, 3D database name, 42 access, 53 resources, 57 shutdown.
        let state = error
            .as_database_error()
            .and_then(|e| e.code())
            .map(|code| code.into_owned());
        match state.as_deref().and_then(|code| code.get(..2)) {
            Some("28" | "3D" | "42") => OpenError::Refused { place, source: error },
            Some("53" | "57") => OpenError::Unreachable { place, source: error },
            Some(_) => OpenError::Other {
                place,
                source: Box::new(error),
            },
            None => OpenError::Unreachable { place, source: error },
        }
    }
}

/// The reason why a person may not enter.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    #[error("no such user")]
    UnknownUser,
    #[error("the room's password is missing or wrong")]
    WrongPassword,
    #[error("there were too many wrong passwords for this room from your network; wait {} s", wait.as_secs() + 1)]
    TooManyGuesses { wait: Duration },
    #[error("storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for AdmitError {
    fn from(error: sqlx::Error) -> Self {
        AdmitError::Storage(Box::new(error))
    }
}
