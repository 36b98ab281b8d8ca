//! The state behind uploads and downloads.

use std::sync::Arc;

use super::store::FileStore;
use crate::config::Http;

#[derive(Clone)]
pub(super) struct State {
    pub(super) files: FileStore,
    pub(super) http: Arc<Http>,
}
