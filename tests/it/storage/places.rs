//! The places where scenarios keep their records: a SQLite file of its own, or a PostgreSQL database
//! of its own.

use patchbay::config;
use patchbay::storage::{OpenError, Records};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// The variable set by `tests/run`, which starts a server for the time of the tests.
const POSTGRES: &str = "PATCHBAY_TEST_POSTGRES_URL";

pub enum Place {
    Sqlite(TempDir),
    Postgres { server: String, name: String },
}

impl Place {
    pub fn sqlite() -> Place {
        Place::Sqlite(tempfile::tempdir().unwrap())
    }

    pub async fn postgres() -> Place {
        let server = std::env::var(POSTGRES).unwrap_or_else(|_| {
            panic!("{POSTGRES} must name a PostgreSQL server: a URL with a user who may make databases")
        });
        let name = format!("patchbay_{:016x}", rand::random::<u64>());
        execute_postgres(&server, &format!("CREATE DATABASE {name}")).await;
        Place::Postgres { server, name }
    }

    pub async fn remove(&self) {
        if let Place::Postgres { server, name } = self {
            execute_postgres(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }

    pub fn config(&self) -> config::Storage {
        config::Storage {
            url: self.url(),
            ..config::Storage::default()
        }
    }

    fn url(&self) -> String {
        match self {
            Place::Sqlite(folder) => format!("sqlite:{}", folder.path().join("records.db").display()),
            Place::Postgres { server, name } => with_database(server, name),
        }
    }

    pub async fn try_open(&self) -> Result<Records, OpenError> {
        Records::open(&self.config()).await
    }

    pub async fn open(&self) -> Records {
        self.try_open().await.unwrap()
    }

    /// Begins a write for which writes of devices by all other connections wait.
    pub async fn hold_writes(&self) -> Held {
        match self {
            Place::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Held::Sqlite(connection)
            }
            Place::Postgres { .. } => {
                let mut connection = PgConnection::connect(&self.url()).await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                connection
                    .execute("LOCK TABLE devices IN EXCLUSIVE MODE")
                    .await
                    .unwrap();
                Held::Postgres(connection)
            }
        }
    }

    /// Executes SQL without the knowledge of those who have the database open.
    pub async fn execute(&self, sql: &str) {
        match self {
            Place::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
                connection.execute(AssertSqlSafe(sql)).await.unwrap();
            }
            Place::Postgres { .. } => execute_postgres(&self.url(), sql).await,
        }
    }
}

/// Another client's write that does not end by itself.
pub enum Held {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Held {
    pub async fn release(self) {
        match self {
            Held::Sqlite(mut connection) => connection.execute("ROLLBACK").await.map(drop),
            Held::Postgres(mut connection) => connection.execute("ROLLBACK").await.map(drop),
        }
        .unwrap();
    }
}

async fn execute_postgres(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// The server's URL with another database in its path; the query stays.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let base = address.rsplit_once('/').map_or(address, |(base, _)| base);
    format!("{base}/{name}?{query}")
}
