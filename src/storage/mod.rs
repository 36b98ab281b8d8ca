//! Users, passwords of rooms and users, conferences, accounts with devices and contacts, the app that signs access tokens, waiting messages, and
//! uploads: records in SQLite or PostgreSQL.
//!
//! The same statements and migrations serve both. Only [`database`] knows the difference.

mod accounts;
mod admission;
mod apps;
mod call_upkeep;
mod channels;
mod checks;
mod common_clock;
mod conferences;
mod database;
mod entry;
mod errors;
mod files;
mod logins;
mod mailbox;
mod messages;
mod passwords;
mod push_devices;
mod quota;
mod rooms;
mod tasks;
mod users;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use accounts::{Recorded, TokenSecret};

pub use accounts::{DevicePlaces, DeviceRecord};
pub use admission::{Admitted, RoomAdmission};
pub use channels::{Begun, CallRecord, Ending, KeptReports, Member, MemberStatus, NewCall, RecentCall, Report};
pub use common_clock::CommonClock;
pub use conferences::{ConferenceChange, Entry, NewConference, NewGuests, NoEntry};
use database::{Database, writing};
pub use entry::{ConferenceRecord, Guests, ShownPin, Verdict};
pub use errors::{AdmitError, OpenError, RecordError};
pub use files::FileRecord;
pub use logins::NotLoggedIn;
pub(crate) use logins::local_part;
pub use mailbox::Mailbox;
pub(crate) use messages::{Growth, MailboxRoom};
use passwords::Passwords;
pub use push_devices::{Forgotten, PushDevice, PushRecorded};
pub use quota::Quota;
pub use tasks::{CallTask, NewTask, Scheduled, TaskClaim, TaskStatus};
pub use users::{PersonChange, UserAccount};
pub use webhooks::{Added, NewWebhook, WaitingWebhook};

use crate::{config, text};

/// Bytes of a trial write, which shows whether anything can be written: the few pages of a login or a message.
const TRIAL_BYTES: usize = 8_192;

/// All records of this server. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    database: Database,
    passwords: Arc<Passwords>,
}

impl Records {
    /// Opens the database and migrates it. A missing SQLite file is made, with its directory.
    pub async fn open(config: &config::Storage) -> Result<Records, OpenError> {
        Ok(Records {
            database: Database::open(config).await?,
            passwords: Arc::new(Passwords::new()),
        })
    }

    /// The file that opening would make, with its whole path. `None` where there is a database already.
    pub(crate) fn missing_file(config: &config::Storage) -> Option<PathBuf> {
        database::missing_file(config)
    }

    /// Whether records can be read now.
    pub async fn check(&self) -> Result<(), sqlx::Error> {
        self.database.check().await?;
        self.has_users().await.map(drop)
    }

    /// Whether records can be written now: writes one that nobody reads.
    pub(crate) async fn try_writing(&self) -> Result<(), sqlx::Error> {
        // The content differs from the last one: SQLite does not write pages that would stay the same.
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

    /// The place of the records, without credentials.
    pub fn place(&self) -> &str {
        self.database.place()
    }

    /// Closes the database once running writes are done.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

/// The text, if it can be a key in both databases. PostgreSQL stores no NUL, so an id with one is in no table; that is no
/// failure.
fn storable(text: &str) -> Option<&str> {
    (!text.contains('\0')).then_some(text)
}

/// Refuses ids that cannot be recorded, or that could look like others in a list.
fn check_id(what: &'static str, id: &str) -> Result<(), RecordError> {
    if id.is_empty() || !text::NAME.holds(id) || id.chars().any(char::is_control) {
        let max = text::NAME.characters;
        return Err(RecordError::BadId { what, max });
    }
    Ok(())
}
