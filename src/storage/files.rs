//! Records of uploads: their names, and the time until which they are kept. `http::files` keeps the bytes.

use super::database::{reading, writing};
use super::{Records, storable};
use crate::shares::ClientAddress;

/// The record of one upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// A random id, chosen by the server.
    pub id: String,
    /// The name for display and download.
    pub name: String,
    pub media_type: String,
    pub size_bytes: u64,
    /// The address whose share of the space it uses.
    pub client: ClientAddress,
    /// The time when it expires, in seconds since 1970-01-01 UTC.
    pub expires_at_s: i64,
}

/// The size of a file, and whose share it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    pub id: String,
    pub size_bytes: u64,
    pub client: ClientAddress,
}

type Row = (String, String, String, i64, String, i64);

fn record((id, name, media_type, size_bytes, client, expires_at_s): Row) -> FileRecord {
    FileRecord {
        id,
        name,
        media_type,
        size_bytes: u64::try_from(size_bytes).unwrap_or(0),
        client: ClientAddress::from_record(&client),
        expires_at_s,
    }
}

impl Records {
    pub async fn add_file(&self, file: &FileRecord) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO files (id, name, media_type, size_bytes, expires_at, client) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        writing!(&self.database, pool => sqlx::query(sql)
            .bind(&file.id)
            .bind(&file.name)
            .bind(&file.media_type)
            .bind(i64::try_from(file.size_bytes).unwrap_or(i64::MAX))
            .bind(file.expires_at_s)
            .bind(file.client.to_record())
            .execute(pool)
            .await
            .map(drop))
    }

    pub async fn file(&self, id: &str) -> Result<Option<FileRecord>, sqlx::Error> {
        let Some(id) = storable(id) else { return Ok(None) };
        let sql = "SELECT id, name, media_type, size_bytes, client, expires_at FROM files WHERE id = $1";
        let row: Option<Row> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(record))
    }

    /// The sizes of all files that are kept.
    pub async fn file_sizes(&self) -> Result<Vec<StoredFile>, sqlx::Error> {
        let sql = "SELECT id, size_bytes, client FROM files";
        let rows: Vec<(String, i64, String)> =
            reading!(&self.database, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let stored = |(id, size_bytes, client): (String, i64, String)| StoredFile {
            id,
            size_bytes: u64::try_from(size_bytes).unwrap_or(0),
            client: ClientAddress::from_record(&client),
        };
        Ok(rows.into_iter().map(stored).collect())
    }

    /// The expired files, at most `limit`.
    pub async fn expired_files(&self, now_s: i64, limit: i64) -> Result<Vec<FileRecord>, sqlx::Error> {
        let sql = "SELECT id, name, media_type, size_bytes, client, expires_at FROM files WHERE expires_at <= $1 \
            ORDER BY expires_at LIMIT $2";
        let rows: Vec<Row> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(now_s).bind(limit).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(record).collect())
    }

    pub async fn remove_file(&self, id: &str) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM files WHERE id = $1";
        writing!(&self.database, pool => sqlx::query(sql).bind(id).execute(pool).await.map(drop))
    }
}
