//! The store of uploads: one file for each, named by the server, with a record in storage. Bounded in total, and each in its
//! time.

use std::collections::HashSet;
use std::fs::{DirBuilder, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use crate::clock::{WallClock, now_s};
use crate::config;
use crate::shares::{ClientAddress, Denied, Place, Places, Pot, Share};
use crate::storage::{FileRecord, Records};

/// Downloads at once. Each has a descriptor and two pieces of its file in memory, whatever its client reads.
const DOWNLOADS_MAX: u64 = 1_024;
/// Downloads that an address may have in any case: a page that shows a chat's pictures fetches all of them.
const DOWNLOADS_AT_LEAST: u64 = 32;

/// Bytes that the smallest file takes in a file system.
const BLOCK_BYTES: u64 = 4_096;
/// Uploads at a time that an address may have in any case.
const SLOTS_AT_LEAST: u64 = 2;
/// Expired files deleted before others may use the disk: some tenths of a second on a slow one.
const SWEEP_AT_ONCE: usize = 200;

/// The uploads. Cheap to clone.
#[derive(Clone)]
pub struct FileStore {
    pub(super) config: Arc<config::Files>,
    pub(super) records: Records,
    /// Places for uploads at a time.
    pub(super) slots: Places,
    /// Places for downloads, each of which has a file open.
    pub(super) downloads: Places,
    /// Space for all uploads together, in bytes.
    space: Places,
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

/// An upload in progress. If it is dropped without [`Upload::keep`], it leaves nothing behind. Its file is locked until it
/// is recorded: a file that is neither recorded nor locked was left by a crash.
pub(super) struct Upload {
    files: FileStore,
    id: String,
    /// The file; `None` only during the drop.
    file: Option<File>,
    size: u64,
    /// The space taken for `size`. `None` once it is recorded.
    space: Option<Place>,
    client: ClientAddress,
}

/// The reason why bytes were not stored.
#[derive(Debug)]
pub(super) enum WriteError {
    TooLarge,
    /// All uploads together would be too large.
    Full,
    /// All uploads of the client's address would be too large.
    ShareUsedUp,
    DiskFull,
    Io(std::io::Error),
}

impl FileStore {
    /// Makes the directory, deletes what crashes have left, and counts the files. One client address may use `percent` of
    /// places and space, and in any case one file of the greatest length.
    pub async fn open(
        config: &config::Files,
        percent: u8,
        records: Records,
        clock: WallClock,
    ) -> Result<FileStore, FilesError> {
        let pot = |total, at_least| Places::new(Pot::new(total, Share { percent, at_least }));
        let files = FileStore {
            downloads: pot(DOWNLOADS_MAX, DOWNLOADS_AT_LEAST),
            slots: pot(config.max_uploads as u64, SLOTS_AT_LEAST),
            space: pot(config.total_bytes(), charge(config.max_bytes())),
            config: Arc::new(config.clone()),
            records,
            clock,
        };
        let path = files.config.directory.clone();
        let found = blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            unlocked(&path)
        });
        let found = found.await.map_err(|e| files.unusable(e))?;
        // The records are read after the files were found unlocked, so those that another process has recorded since are
        // among them.
        let recorded = files.records.file_sizes().await?;
        let count = |pot: &mut Pot| {
            recorded
                .iter()
                .for_each(|file| pot.count(file.client, charge(file.size_bytes)))
        };
        files.space.with(count);
        let known: HashSet<String> = recorded.into_iter().map(|file| file.id).collect();
        let left: Vec<String> = found.into_iter().filter(|id| !known.contains(id)).collect();
        files.clear(left).await.map_err(|e| files.unusable(e))?;
        Ok(files)
    }

    fn unusable(&self, source: std::io::Error) -> FilesError {
        FilesError::Directory {
            path: self.config.directory.clone(),
            source,
        }
    }

    /// Deletes the files that crashes have left.
    async fn clear(&self, ids: Vec<String>) -> std::io::Result<()> {
        let paths: Vec<PathBuf> = ids.iter().map(|id| self.path(id)).collect();
        let cleared = blocking(move || {
            let mut bytes = 0;
            for path in &paths {
                bytes += path.metadata()?.len();
                std::fs::remove_file(path)?;
            }
            Ok((paths.len(), bytes))
        });
        let (files, bytes) = cleared.await?;
        metrics::counter!("patchbay_files_half_uploads_cleared_total").increment(files as u64);
        if files > 0 {
            tracing::info!(files, bytes, "deleted incomplete uploads that an earlier run left");
        }
        Ok(())
    }

    pub(super) fn path(&self, id: &str) -> PathBuf {
        self.config.directory.join(id)
    }

    pub(super) fn now_s(&self) -> i64 {
        now_s(&self.clock)
    }

    /// Deletes some expired files, the oldest first. Returns whether there are more to delete.
    pub async fn sweep(&self) -> Result<bool, sqlx::Error> {
        let expired = self.records.expired_files(self.now_s(), SWEEP_AT_ONCE as i64).await?;
        let may_be_more = expired.len() == SWEEP_AT_ONCE;
        let mut deleted = false;
        for record in expired {
            // The file is deleted first: nobody can fetch it any more, and its record counts it as long as it takes space.
            match tokio::fs::remove_file(self.path(&record.id)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "an expired upload could not be deleted; trying again later");
                    continue;
                }
                _ => {}
            }
            self.records.remove_file(&record.id).await?;
            deleted = true;
            self.space
                .with(|space| space.give_back(record.client, charge(record.size_bytes)));
        }
        // Where nothing can be deleted now, the next ones cannot be deleted either.
        Ok(may_be_more && deleted)
    }

    /// Makes an empty file under a fresh name, if the client's address may have one more.
    pub(super) async fn begin(&self, client: ClientAddress) -> Result<Upload, WriteError> {
        let space = Some(self.space.take(client, 0).map_err(WriteError::denied)?);
        let random: [u8; 16] = rand::random();
        let id = hex::encode(random);
        let path = self.path(&id);
        let file = blocking(move || {
            let file = std::fs::File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            // Where files cannot be locked, files left by a crash stay.
            let _ = file.lock();
            Ok(file)
        });
        Ok(Upload {
            files: self.clone(),
            id,
            file: Some(File::from_std(file.await.map_err(WriteError::of)?)),
            size: 0,
            space,
            client,
        })
    }

    /// Whether uploads can be written now: writes one, and deletes it.
    pub(crate) async fn try_writing(&self) -> std::io::Result<()> {
        match self.write_a_block().await {
            // The uploads may have used up all space allowed to them.
            Ok(()) | Err(WriteError::TooLarge | WriteError::Full | WriteError::ShareUsedUp) => Ok(()),
            Err(WriteError::DiskFull) => Err(std::io::ErrorKind::StorageFull.into()),
            Err(WriteError::Io(error)) => Err(error),
        }
    }

    async fn write_a_block(&self) -> Result<(), WriteError> {
        let mut upload = self.begin(ClientAddress::THIS_MACHINE).await?;
        let written = async {
            upload.write(&[0; BLOCK_BYTES as usize]).await?;
            upload.flush().await
        };
        let written = written.await;
        upload.discard().await;
        written
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
        let file = self.file.as_mut().ok_or(WriteError::Full)?;
        file.write_all(bytes).await.map_err(WriteError::of)
    }

    /// Returns errors of tokio's file, which writes in the background.
    async fn flush(&mut self) -> Result<(), WriteError> {
        let file = self.file.as_mut().ok_or(WriteError::Full)?;
        file.flush().await.map_err(WriteError::of)
    }

    fn charge(&mut self, size: u64) -> Result<(), WriteError> {
        let space = self.space.as_mut().ok_or(WriteError::Full)?;
        let more = charge(size).saturating_sub(space.amount());
        space.grow(more).map_err(WriteError::denied)
    }

    /// Deletes the file unless it is recorded, and returns when that is done.
    pub(super) async fn discard(mut self) {
        if let Some(end) = self.end() {
            // Dropping `self` would do the same.
            let _ = tokio::task::spawn_blocking(end).await;
        }
    }

    /// Returns work that closes the file, and deletes it if it is not recorded. Both wait for a disk, and must not hold up a
    /// thread that serves sockets. `None` if that is done already.
    fn end(&mut self) -> Option<impl FnOnce() + Send + use<>> {
        let (file, space, path) = (self.file.take()?, self.space.take(), self.files.path(&self.id));
        Some(move || {
            drop(file);
            if let Some(space) = space {
                let _ = std::fs::remove_file(path);
                // The space is given back only once the file no longer takes it.
                drop(space);
            }
        })
    }

    /// Records the file; from now on it can be fetched.
    pub(super) async fn keep(&mut self, name: String, media_type: String) -> Result<FileRecord, KeepError> {
        self.charge(self.size).map_err(KeepError::Write)?;
        self.flush().await.map_err(KeepError::Write)?;
        let record = FileRecord {
            id: self.id.clone(),
            name,
            media_type,
            size_bytes: self.size,
            client: self.client,
            expires_at_s: self
                .files
                .now_s()
                .saturating_add(self.files.config.expire_after().as_secs() as i64),
        };
        self.files.records.add_file(&record).await.map_err(KeepError::Record)?;
        if let Some(space) = self.space.take() {
            space.keep();
        }
        Ok(record)
    }
}

#[derive(Debug)]
pub(super) enum KeepError {
    Write(WriteError),
    Record(sqlx::Error),
}

impl Drop for Upload {
    /// Ends the upload. If the program ends before that is done, the next start deletes the file.
    fn drop(&mut self) {
        if let Some(end) = self.end() {
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(end)),
                Err(_) => end(),
            }
        }
    }
}

impl WriteError {
    fn denied(denied: Denied) -> WriteError {
        match denied {
            Denied::UsedUp => WriteError::Full,
            Denied::ShareUsedUp => WriteError::ShareUsedUp,
        }
    }

    pub(super) fn of(error: std::io::Error) -> WriteError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => WriteError::DiskFull,
            _ => WriteError::Io(error),
        }
    }
}

/// The space that a file takes: whole blocks, at least one. Otherwise empty files would be free.
fn charge(size: u64) -> u64 {
    size.max(1).div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
}

/// The files named by the server that nobody is writing. Files of others are left alone.
fn unlocked(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_id(&name) {
            continue;
        }
        let file = std::fs::File::open(entry.path())?;
        match file.try_lock() {
            Ok(()) => found.push(name),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "cannot find out whether an upload is still being written: it is kept");
            }
        }
    }
    Ok(found)
}

/// Whether it is 128 bits in hexadecimal: the only names that the server gives to files, and looks up.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use std::time::SystemTime;

    use super::*;

    /// A runtime with one thread for blocking work, which is then done in order.
    #[test]
    fn an_upload_that_is_given_up_is_deleted_where_nothing_else_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = config::Files {
            directory: folder.path().to_owned(),
            ..config::Files::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let storage = config::Storage {
                url: "sqlite::memory:".to_owned(),
                ..config::Storage::default()
            };
            let records = Records::open(&storage).await.unwrap();
            let files = FileStore::open(&config, 50, records, Arc::new(|| SystemTime::UNIX_EPOCH))
                .await
                .unwrap();
            let mut upload = files.begin(ClientAddress::THIS_MACHINE).await.unwrap();
            upload.write(b"some bytes").await.unwrap();
            upload.flush().await.unwrap();
            let path = files.path(&upload.id);
            let (release, hanging) = mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || hanging.recv());
            drop(upload);
            assert!(path.exists(), "it was deleted by the thread that serves sockets");
            drop(release);
            blocking(|| Ok(())).await.unwrap();
            assert!(!path.exists());
        });
    }
}
