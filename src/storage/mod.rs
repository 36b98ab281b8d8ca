//! Who exists, which rooms have passwords, who has which contacts, and what waits for whom: records in SQLite or PostgreSQL.
//!
//! The same statements and migrations serve both; [`database`] knows the difference, nothing else does.

mod accounts;
mod checks;
mod database;
mod errors;
mod files;
mod gate;
mod mailbox;
mod messages;
mod passwords;
mod rooms;
mod users;

use std::path::PathBuf;
use std::sync::Arc;

pub use accounts::{DevicePlaces, DeviceRecord, Recorded, TokenSecret};
use database::{Database, writing};
pub use errors::{AdmitError, OpenError, RecordError};
pub use files::{FileRecord, StoredFile};
pub use gate::Gate;
pub use mailbox::Mailbox;
pub use messages::{Growth, MailboxRoom};
use passwords::Passwords;
pub use rooms::RoomRecord;
pub use users::PersonChange;

use crate::{config, text};

/// What is written to try whether anything can be: the few pages of a login or a message.
const TRIAL_BYTES: usize = 8_192;

/// The users and rooms of this server. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    database: Database,
    passwords: Arc<Passwords>,
}

impl Directory {
    /// Opens the database and brings it up to date. A missing SQLite file is made, with its directory.
    pub async fn open(config: &config::Storage) -> Result<Directory, OpenError> {
        Ok(Directory {
            database: Database::open(config).await?,
            passwords: Arc::new(Passwords::new()),
        })
    }

    /// The file that opening would make, with its whole path. `None` where there is a database already.
    pub fn missing_file(config: &config::Storage) -> Option<PathBuf> {
        database::missing_file(config)
    }

    /// Whether records can be read now.
    pub async fn check(&self) -> Result<(), sqlx::Error> {
        self.database.check().await?;
        self.has_users().await.map(drop)
    }

    /// Whether records can be written now: writes one, which nobody reads.
    pub async fn try_writing(&self) -> Result<(), sqlx::Error> {
        // Another content than the last time: SQLite leaves pages alone that would be as they are.
        let sql = "INSERT INTO trial_writes (id, content) VALUES (0, $1) \
            ON CONFLICT (id) DO UPDATE SET content = CASE trial_writes.content WHEN $1 THEN $2 ELSE $1 END";
        let contents = ["-", "+"].map(|sign| sign.repeat(TRIAL_BYTES));
        writing!(&self.database, pool => sqlx::query(sql)
            .bind(&contents[0])
            .bind(&contents[1])
            .execute(pool)
            .await
            .map(drop))
    }

    /// Where the records are, without credentials.
    pub fn place(&self) -> &str {
        self.database.place()
    }

    /// Waits for what is being written.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

/// What can be a key in both databases. PostgreSQL stores no NUL; an id with one is in no table, which is no failure.
fn storable(text: &str) -> Option<&str> {
    (!text.contains('\0')).then_some(text)
}

/// Refuses ids that cannot be recorded, or could not be told from others when listed.
fn check_id(what: &'static str, id: &str) -> Result<(), RecordError> {
    if id.is_empty() || !text::NAME.holds(id) || id.chars().any(char::is_control) {
        let max = text::NAME.characters;
        return Err(RecordError::BadId { what, max });
    }
    Ok(())
}
