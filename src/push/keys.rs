//! The files of keys and secrets.

use std::path::{Path, PathBuf};

/// Bytes of such a file. A key has some 300.
const BYTES_MAX: u64 = 64 * 1024;

/// Why a file of a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot read {path}: {source}. Check the path and its permissions", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} {problem}", path = .path.display())]
    Content { path: PathBuf, problem: &'static str },
}

/// Reads a file of a key. What somebody else can read is used all the same, with a warning: `patchbay doctor` calls it wrong.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let failed = |source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > BYTES_MAX {
        return Err(content(path, "is too long for a file with a key alone in it"));
    }
    if is_open_to_others(path) {
        tracing::warn!("others can read {}: {TAKE_AWAY}", path.display());
    }
    std::fs::read(path).map_err(failed)
}

pub(super) fn content(path: &Path, problem: &'static str) -> KeyFileError {
    let path = path.to_owned();
    KeyFileError::Content { path, problem }
}

/// What to do about a file that others can read.
pub(crate) const TAKE_AWAY: &str = "take that away with chmod 600";

/// Whether others than the owner may read or write a file.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}
