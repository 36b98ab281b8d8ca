//! Why a push service cannot be used.

use std::path::PathBuf;

use super::keys::KeyFileError;
use crate::destination::BadUrl;

/// The reason why a push service cannot be used: a sentence that names the key of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("{0}: {1}")]
    Key(&'static str, #[source] KeyFileError),
    #[error("{0}: {1}")]
    Url(&'static str, #[source] BadUrl),
    #[error("push.certificates: {path}: {problem}", path = .path.display())]
    Certificates { path: PathBuf, problem: String },
    #[error("push: no request can be made: {0}")]
    Client(#[from] reqwest::Error),
}
