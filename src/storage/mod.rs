//! Who exists, which rooms have passwords, who has which contacts, and what waits for whom: records in SQLite or PostgreSQL.
//!
//! The same statements and migrations serve both; [`database`] knows the difference, nothing else does.

mod accounts;
mod database;
mod errors;
mod files;
mod mailbox;
mod messages;
mod passwords;
mod rooms;
mod users;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config;
use crate::ids::{RoomName, UserId};
use crate::text;

pub use accounts::{DeviceRecord, TokenSecret};
use database::{Database, on_database};
pub use errors::{OpenError, RecordError};
pub use files::{FileRecord, StoredFile};
pub use mailbox::Mailbox;
pub use messages::{Growth, MailboxRoom};
use passwords::Passwords;
pub use rooms::RoomRecord;
pub use users::ProfileChange;

/// What is written to try whether anything can be: the few pages of a login or a message.
const TRIAL_BYTES: usize = 8_192;

/// The users and rooms of this server. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    database: Database,
    passwords: Arc<Passwords>,
}

/// How somebody is shown to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub user: UserId,
    pub name: String,
    pub prefix: String,
    pub postfix: String,
}

#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    #[error("no such user")]
    UnknownUser,
    #[error("the room's password is missing or wrong")]
    WrongPassword,
    #[error("storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for AdmitError {
    fn from(error: sqlx::Error) -> Self {
        AdmitError::Storage(Box::new(error))
    }
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

    /// Whether `user` may enter `room`, and how he is shown. A room without a password lets everybody in whom
    /// [`Directory::recognize`] does.
    pub async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Profile, AdmitError> {
        told(self.try_admit(user, room, password).await)
    }

    /// Whether `user` may use this server, and how he is shown. With no users configured anyone may, under his id as
    /// name.
    pub async fn recognize(&self, user: &UserId) -> Result<Profile, AdmitError> {
        told(self.try_recognize(user).await)
    }

    async fn try_recognize(&self, user: &UserId) -> Result<Profile, AdmitError> {
        match self.user(user).await? {
            Some(profile) => Ok(profile),
            None if self.has_users().await? => Err(AdmitError::UnknownUser),
            None => Ok(Profile {
                user: user.clone(),
                name: user.as_str().to_owned(),
                prefix: String::new(),
                postfix: String::new(),
            }),
        }
    }

    async fn try_admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Profile, AdmitError> {
        let profile = self.try_recognize(user).await?;
        let Some(hash) = self.password_hash(room).await? else {
            return Ok(profile);
        };
        match password {
            Some(password) if self.passwords.verify(&hash, password).await => Ok(profile),
            _ => Err(AdmitError::WrongPassword),
        }
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
        on_database!(&self.database, pool => sqlx::query(sql)
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

/// Logs and counts what is not the client's fault.
fn told(admitted: Result<Profile, AdmitError>) -> Result<Profile, AdmitError> {
    if let Err(AdmitError::Storage(cause)) = &admitted {
        metrics::counter!("patchbay_storage_errors_total").increment(1);
        let cause: &(dyn std::error::Error + 'static) = cause.as_ref();
        tracing::error!(cause, "storage failed; somebody could not enter");
    }
    admitted
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
