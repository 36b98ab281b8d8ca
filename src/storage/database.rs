//! One of two databases behind one set of statements. SQLite takes PostgreSQL's `$1` as a parameter, so every
//! statement is written once; [`on_database`] runs it on whichever pool there is.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::errors::OpenError;
use crate::config;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long to wait for another process's write (SQLite), a free connection, or a server that does not answer.
/// A client that joins waits as long; more would seem to hang, less would fail on a slow disk.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) enum Database {
    Sqlite {
        pool: SqlitePool,
        place: String,
        /// None in memory.
        file: Option<PathBuf>,
    },
    Postgres {
        pool: PgPool,
        place: String,
    },
}

/// `on_database!(database, pool => expression)`: the expression with the pool that there is.
macro_rules! on_database {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            $crate::storage::database::Database::Sqlite { pool: $pool, .. } => $body,
            $crate::storage::database::Database::Postgres { pool: $pool, .. } => $body,
        }
    };
}
pub(super) use on_database;

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

    /// A deleted SQLite file goes on being read by those who have it open; to be told is better.
    pub(super) async fn check(&self) -> Result<(), sqlx::Error> {
        let Database::Sqlite { file: Some(file), .. } = self else {
            return Ok(());
        };
        tokio::fs::metadata(file).await.map(drop).map_err(sqlx::Error::Io)
    }

    pub(super) async fn close(&self) {
        on_database!(self, pool => pool.close().await);
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
    // In memory the "file" is a URI (sqlite.org/inmemorydb.html).
    let in_memory = file.to_string_lossy().starts_with("file:");
    let place = if in_memory {
        "in memory".to_owned()
    } else {
        absolute(&file).display().to_string()
    };
    if !in_memory {
        make_private(&file)?;
    }
    let options = options
        .create_if_missing(true)
        // Readers do not wait for the writer, and the command line can change records while the server runs.
        .journal_mode(SqliteJournalMode::Wal)
        // Safe with WAL: a power cut may lose the last change, never the database.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE);
    let failed = |error| OpenError::of_sqlite(error, place.clone());
    // One connection by itself first: the pool would go on trying, and then know no reason.
    let probe = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    probe.close().await.map_err(failed)?;
    let pool = SqlitePoolOptions::new()
        .max_connections(config.max_connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        // A database in memory lives as long as a connection to it.
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(failed)?;
    let migrated = MIGRATIONS.run(&pool).await;
    migrated.map_err(|e| migrate_error(e, place.clone(), OpenError::of_sqlite))?;
    Ok(Database::Sqlite {
        pool,
        place,
        file: (!in_memory).then_some(file),
    })
}

/// The file that opening would make. `None` where there is one, or where none is made.
pub(super) fn missing_file(config: &config::Storage) -> Option<PathBuf> {
    if !config.url.starts_with("sqlite:") {
        return None;
    }
    let options = SqliteConnectOptions::from_str(&config.url).ok()?;
    let file = options.get_filename();
    let names_a_file = !file.as_os_str().is_empty() && !file.to_string_lossy().starts_with("file:");
    (names_a_file && !file.exists()).then(|| absolute(file))
}

/// So that a message says which of two files of the same name it means. As it is where there is no current directory.
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
    // One connection by itself first: the pool would go on trying, and then know no reason.
    let probed = tokio::time::timeout(PATIENCE, async {
        PgConnection::connect_with(&options).await?.close().await
    });
    probed
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
        .map_err(|e| OpenError::of_postgres(e, place.clone()))?;
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options);
    let migrated = MIGRATIONS.run(&pool).await;
    migrated.map_err(|e| migrate_error(e, place.clone(), OpenError::of_postgres))?;
    Ok(Database::Postgres { pool, place })
}

/// Makes the directory, and an empty file, for our eyes only: both hold password hashes. What is there already keeps
/// its permissions; what cannot be made SQLite reports better.
fn make_private(file: &Path) -> Result<(), OpenError> {
    if let Some(directory) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| OpenError::Directory {
            path: directory.to_owned(),
            source,
        })?;
    }
    let _ = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
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

/// A URL that can be shown and logged.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // The last "@": a password may contain one that was not encoded.
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
