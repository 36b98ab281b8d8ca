//! Where uploads lie: one file each, named by the server, with a record in storage. Bounded in total, and each for
//! some time.

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::config;
use crate::http::WallClock;
use crate::storage::{Directory, FileRecord};

/// What the smallest file costs, as file systems count.
const BLOCK_BYTES: u64 = 4_096;
/// How long a file without a record is left alone: another process may be about to record it.
const ORPHAN_AFTER: Duration = Duration::from_secs(3_600);
/// Expired files deleted before others get their turn.
const SWEEP_AT_ONCE: i64 = 200;

/// The uploads. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    pub(super) config: Arc<config::Files>,
    pub(super) directory: Directory,
    pub(super) slots: Arc<Semaphore>,
    used_bytes: Arc<AtomicU64>,
    clock: WallClock,
}

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("cannot keep uploads in {path}: {source}. Make the directory writable, or change files.directory",
        path = .path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("the database failed: {0}")]
    Records(#[from] sqlx::Error),
}

/// An upload that is being written. Dropped without [`Upload::keep`], it leaves nothing behind.
pub(super) struct Upload {
    files: Files,
    id: String,
    file: File,
    size: u64,
    /// What `size` counts for, while it is not recorded.
    charged: u64,
    kept: bool,
}

/// Why bytes were not taken.
#[derive(Debug)]
pub(super) enum WriteError {
    TooLarge,
    /// All uploads together would be.
    Full,
    DiskFull,
    Io(std::io::Error),
}

impl Files {
    /// Makes the directory, clears away what crashes left, and counts what is there.
    pub async fn open(config: &config::Files, directory: Directory, clock: WallClock) -> Result<Files, FilesError> {
        let files = Files {
            slots: Arc::new(Semaphore::new(config.max_uploads)),
            config: Arc::new(config.clone()),
            directory,
            used_bytes: Arc::default(),
            clock,
        };
        let recorded = files.directory.file_sizes().await?;
        let used = recorded.iter().map(|(_, size)| charge(*size)).sum();
        files.used_bytes.store(used, Ordering::Relaxed);
        let known = recorded.into_iter().map(|(id, _)| id).collect();
        let (path, now) = (files.config.directory.clone(), (files.clock)());
        let cleared = tokio::task::spawn_blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            clear_orphans(&path, &known, now)
        });
        let cleared = cleared.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        cleared.map_err(|source| FilesError::Directory {
            path: files.config.directory.clone(),
            source,
        })?;
        Ok(files)
    }

    pub(super) fn path(&self, id: &str) -> PathBuf {
        self.config.directory.join(id)
    }

    pub(super) fn now_s(&self) -> i64 {
        let since = (self.clock)().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    /// Deletes what has expired.
    pub async fn sweep(&self) -> Result<(), sqlx::Error> {
        let expired = self.directory.expired_files(self.now_s(), SWEEP_AT_ONCE).await?;
        for record in expired {
            // The record first: a file without one is cleared away at the next start, a record without a file is a
            // link that is broken for good.
            self.directory.remove_file(&record.id).await?;
            self.release(charge(record.size_bytes));
            if let Err(error) = tokio::fs::remove_file(self.path(&record.id)).await {
                tracing::warn!(%error, "an expired upload could not be deleted");
            }
        }
        Ok(())
    }

    /// Makes an empty file under a fresh name.
    pub(super) async fn begin(&self) -> Result<Upload, std::io::Error> {
        let random: [u8; 16] = rand::random();
        let id = hex::encode(random);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(&id))
            .await?;
        Ok(Upload {
            files: self.clone(),
            id,
            file,
            size: 0,
            charged: 0,
            kept: false,
        })
    }

    fn reserve(&self, bytes: u64) -> bool {
        let total = self.config.total_bytes();
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= total);
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn release(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Upload {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let size = self.size + bytes.len() as u64;
        if size > self.files.config.max_bytes() {
            return Err(WriteError::TooLarge);
        }
        self.charge(size)?;
        self.size = size;
        self.file.write_all(bytes).await.map_err(WriteError::of)
    }

    fn charge(&mut self, size: u64) -> Result<(), WriteError> {
        let more = charge(size) - self.charged;
        if !self.files.reserve(more) {
            return Err(WriteError::Full);
        }
        self.charged += more;
        Ok(())
    }

    /// Records the file; from now on it can be fetched.
    pub(super) async fn keep(mut self, name: String, media_type: String) -> Result<FileRecord, KeepError> {
        self.charge(self.size).map_err(KeepError::Write)?;
        // tokio's file writes in the background: what failed there is told here.
        self.file
            .flush()
            .await
            .map_err(|e| KeepError::Write(WriteError::of(e)))?;
        let record = FileRecord {
            id: self.id.clone(),
            name,
            media_type,
            size_bytes: self.size,
            expires_at_s: self
                .files
                .now_s()
                .saturating_add(self.files.config.expire_after().as_secs() as i64),
        };
        self.files
            .directory
            .add_file(&record)
            .await
            .map_err(KeepError::Record)?;
        self.kept = true;
        Ok(record)
    }
}

#[derive(Debug)]
pub(super) enum KeepError {
    Write(WriteError),
    Record(sqlx::Error),
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept {
            self.files.release(self.charged);
            let _ = std::fs::remove_file(self.files.path(&self.id));
        }
    }
}

impl WriteError {
    pub(super) fn of(error: std::io::Error) -> WriteError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => WriteError::DiskFull,
            _ => WriteError::Io(error),
        }
    }
}

/// What a file counts for: whole blocks, at least one. Otherwise empty files would be free.
fn charge(size: u64) -> u64 {
    size.max(1).div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

/// Removes files that we named and nobody knows; leaves alone what somebody else put there.
fn clear_orphans(path: &Path, known: &HashSet<String>, now: SystemTime) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let age = entry.metadata()?.modified()?;
        let old = now.duration_since(age).is_ok_and(|age| age > ORPHAN_AFTER);
        if old && is_id(&name) && !known.contains(&name) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// 128 bits in hexadecimal: what the server names files, and the only thing that is looked up.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
