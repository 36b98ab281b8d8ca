//! The database: SQLite or PostgreSQL behind one set of statements. SQLite accepts PostgreSQL's `$1` as a parameter, so every statement is
//! written once. [`reading`], [`writing`] and [`alone`] run it on the configured database.
//!
//! Reads have connections of their own: whoever joins a room only reads, and must not wait behind logins that wait for somebody
//! else's write.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection};
use tokio::fs::{DirBuilder, OpenOptions};

use super::errors::OpenError;
use crate::config;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Time to wait for another process's write (SQLite), a free connection, or a server that does not answer. A client that joins
/// waits as long. Longer would look as if it hung; shorter would fail on a slow disk.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) enum Database {
    Sqlite {
        pools: Pools<SqlitePool>,
        place: String,
        /// The database's file. `None` in memory.
        file: Option<PathBuf>,
    },
    Postgres {
        pools: Pools<PgPool>,
        place: String,
    },
}

#[derive(Clone)]
pub(super) struct Pools<P> {
    pub(super) reads: P,
    pub(super) writes: P,
}

/// Records that are first read and then written depending on that, so no other writer may change them in between, in this
/// process or another. The numbers are keys of PostgreSQL's advisory locks, which all users of a database share.
#[derive(Clone, Copy)]
#[repr(i64)]
pub(super) enum LockKey {
    Devices = 0x7061_7463_6862_0001,
    Contacts = 0x7061_7463_6862_0002,
    Secrets = 0x7061_7463_6862_0003,
    Messages = 0x7061_7463_6862_0004,
    Apps = 0x7061_7463_6862_0005,
    Channels = 0x7061_7463_6862_0006,
    Webhooks = 0x7061_7463_6862_0007,
    Tasks = 0x7061_7463_6862_0008,
    PushDevices = 0x7061_7463_6862_0009,
    Users = 0x7061_7463_6862_000a,
    Conferences = 0x7061_7463_6862_000b,
}

/// `reading!(database, pool => expression)`: runs the expression with the connections for reading.
macro_rules! reading {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            $crate::storage::database::Database::Sqlite { pools, .. } => {
                let $pool = &pools.reads;
                $body
            }
            $crate::storage::database::Database::Postgres { pools, .. } => {
                let $pool = &pools.reads;
                $body
            }
        }
    };
}
pub(super) use reading;

/// `writing!(database, pool => expression)`: runs the expression with the connections for writing.
macro_rules! writing {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            $crate::storage::database::Database::Sqlite { pools, .. } => {
                let $pool = &pools.writes;
                $body
            }
            $crate::storage::database::Database::Postgres { pools, .. } => {
                let $pool = &pools.writes;
                $body
            }
        }
    };
}
pub(super) use writing;

/// `alone!(database, subject, transaction => expression)`: runs the expression in a transaction during which nobody else writes
/// records of that subject. A `?` in it leaves everything unchanged.
macro_rules! alone {
    ($database:expr, $subject:expr, $transaction:ident => $body:expr) => {
        match $database {
            $crate::storage::database::Database::Sqlite { pools, .. } => {
                // A plain BEGIN would let two transactions read, and then wait for one another
                // (sqlite.org/lang_transaction.html).
                let mut $transaction = pools.writes.begin_with("BEGIN IMMEDIATE").await?;
                let outcome = $body;
                $transaction.commit().await?;
                outcome
            }
            $crate::storage::database::Database::Postgres { pools, .. } => {
                let mut $transaction = pools.writes.begin().await?;
                $crate::storage::database::lock(&mut $transaction, $subject).await?;
                let outcome = $body;
                $transaction.commit().await?;
                outcome
            }
        }
    };
}
pub(super) use alone;

/// Waits until no other transaction holds this subject. This one then holds it until it ends.
pub(super) async fn lock(transaction: &mut PgConnection, subject: LockKey) -> Result<(), sqlx::Error> {
    let patience = format!("SET LOCAL lock_timeout = '{}s'", PATIENCE.as_secs());
    sqlx::query(AssertSqlSafe(patience)).execute(&mut *transaction).await?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(subject as i64);
    lock.execute(transaction).await.map(drop)
}

impl Database {
    pub(super) async fn open(config: &config::Storage) -> Result<Database, OpenError> {
        match config.url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => open_sqlite(config).await,
            Some("postgres" | "postgresql") => open_postgres(config).await,
            _ => Err(OpenError::Url {
                url: without_password(&config.url),
                problem: String::new(),
            }),
        }
    }

    pub(super) fn place(&self) -> &str {
        match self {
            Database::Sqlite { place, .. } | Database::Postgres { place, .. } => place,
        }
    }

    /// Fails if the SQLite file has been deleted. Those who have it open could read it still, so nothing else would report it.
    pub(super) async fn check(&self) -> Result<(), sqlx::Error> {
        let Database::Sqlite { file: Some(file), .. } = self else {
            return Ok(());
        };
        tokio::fs::metadata(file).await.map(drop).map_err(sqlx::Error::Io)
    }

    /// The time of the database, in milliseconds since 1970-01-01 UTC. SQLite's is that of this machine, which all processes of a
    /// file share (sqlite.org/wal.html §1).
    pub(super) async fn now_ms(&self) -> Result<i64, sqlx::Error> {
        let of_sqlite = "SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)";
        let of_postgres = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        let (now_ms,): (i64,) = match self {
            Database::Sqlite { pools, .. } => sqlx::query_as(of_sqlite).fetch_one(&pools.reads).await?,
            Database::Postgres { pools, .. } => sqlx::query_as(of_postgres).fetch_one(&pools.reads).await?,
        };
        Ok(now_ms)
    }

    pub(super) async fn close(&self) {
        reading!(self, pool => pool.close().await);
        writing!(self, pool => pool.close().await);
    }
}

async fn open_sqlite(config: &config::Storage) -> Result<Database, OpenError> {
    let options = SqliteConnectOptions::from_str(&config.url).map_err(|e| bad_url(config, &e))?;
    let file = options.get_filename().to_owned();
    if file.as_os_str().is_empty() {
        // SQLite would make an unnamed file for each connection (sqlite.org/inmemorydb.html).
        return Err(OpenError::Url {
            url: config.url.clone(),
            problem: ": it names no file".to_owned(),
        });
    }
    // The "file" of a database in memory is a URI (sqlite.org/inmemorydb.html).
    let in_memory = file.to_string_lossy().starts_with("file:");
    let place = if in_memory {
        "in memory".to_owned()
    } else {
        absolute(&file).display().to_string()
    };
    if !in_memory {
        make_private(&file).await?;
    }
    let options = options
        .create_if_missing(true)
        // With WAL readers do not wait for the writer, and the command line can change records while the server runs.
        .journal_mode(SqliteJournalMode::Wal)
        // This is safe with WAL: a power cut may lose the last change, never the database.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE);
    let failed = |error| OpenError::of_sqlite(error, place.clone());
    // One connection alone comes first: the pool would try for long, and then not know the reason.
    let probe = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    probe.close().await.map_err(failed)?;
    // A file that disappears later is not made again: an empty database has no users, so anybody could enter.
    let options = options.create_if_missing(in_memory);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .min_connections(1)
            .acquire_timeout(PATIENCE)
            // A database in memory lives as long as a connection to it.
            .idle_timeout(None)
            .max_lifetime(None)
            // SQLite ends a transaction by itself where the disk is full (sqlite.org/lang_transaction.html §2.3). The library
            // then believes that it is still open, and would refuse every later one on that connection.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
    };
    // One connection is enough: SQLite runs one write at a time.
    let writes = pool(1).connect_with(options.clone()).await.map_err(failed)?;
    let migrated = MIGRATIONS.run(&writes).await;
    migrated.map_err(|e| migrate_error(e, place.clone(), OpenError::of_sqlite))?;
    // A statement that writes by mistake on a connection for reading fails at once, instead of waiting.
    let reads = options.pragma("query_only", "ON");
    let reads = pool(config.max_connections).connect_with(reads).await.map_err(failed)?;
    Ok(Database::Sqlite {
        pools: Pools { reads, writes },
        place,
        file: (!in_memory).then_some(file),
    })
}

/// The file that opening would make. `None` where it exists, or where the database needs none.
pub(super) fn missing_file(config: &config::Storage) -> Option<PathBuf> {
    if !config.url.starts_with("sqlite:") {
        return None;
    }
    let options = SqliteConnectOptions::from_str(&config.url).ok()?;
    let file = options.get_filename();
    let names_a_file = !file.as_os_str().is_empty() && !file.to_string_lossy().starts_with("file:");
    (names_a_file && !file.exists()).then(|| absolute(file))
}

/// The whole path of a file, so that a message shows which of two files of the same name it means. Unchanged where there is no
/// current directory.
fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

async fn open_postgres(config: &config::Storage) -> Result<Database, OpenError> {
    let options = PgConnectOptions::from_str(&config.url).map_err(|e| bad_url(config, &e))?;
    let server = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let name = options.get_database().unwrap_or(options.get_username());
    let place = format!("`{name}` on {server}");
    let options = options.application_name("patchbay");
    // One connection alone comes first: the pool would try for long, and then not know the reason.
    let probed = tokio::time::timeout(PATIENCE, async {
        PgConnection::connect_with(&options).await?.close().await
    });
    probed
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
        .map_err(|e| OpenError::of_postgres(e, place.clone()))?;
    let pool = |connections: u32| {
        PgPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options.clone())
    };
    let for_writing = config.max_connections / 2;
    let writes = pool(for_writing);
    let migrated = MIGRATIONS.run(&writes).await;
    migrated.map_err(|e| migrate_error(e, place.clone(), OpenError::of_postgres))?;
    let reads = pool(config.max_connections - for_writing);
    let pools = Pools { reads, writes };
    Ok(Database::Postgres { pools, place })
}

/// Makes the directory and an empty file, readable by our user only: the database holds password hashes. Those that exist keep
/// their permissions. Where the file cannot be made, SQLite reports that better.
async fn make_private(file: &Path) -> Result<(), OpenError> {
    if let Some(directory) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory).await;
        made.map_err(|source| OpenError::Directory {
            path: directory.to_owned(),
            source,
        })?;
    }
    let mut options = OpenOptions::new();
    let _ = options.append(true).create(true).mode(0o600).open(file).await;
    Ok(())
}

fn bad_url(config: &config::Storage, error: &sqlx::Error) -> OpenError {
    OpenError::Url {
        url: without_password(&config.url),
        problem: format!(" ({error})"),
    }
}

fn migrate_error(error: MigrateError, place: String, of: fn(sqlx::Error, String) -> OpenError) -> OpenError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => of(error, place),
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
            OpenError::OtherVersion { place, version }
        }
        other => OpenError::Other {
            place,
            source: Box::new(other),
        },
    }
}

/// The URL without its password, so that it can be shown and logged.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // The credentials end at the last "@": a password may contain one that was not encoded.
    match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_shown_url_has_no_password() {
        assert_eq!(without_password("postgres://u:se@cret@h:1/d"), "postgres://u:…@h:1/d");
        assert_eq!(without_password("mysql://u:secret@h/d"), "mysql://u:…@h/d");
        assert_eq!(without_password("sqlite:data/a.db"), "sqlite:data/a.db");
    }
}
