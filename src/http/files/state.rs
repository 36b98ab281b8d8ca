//! The state behind uploads and downloads.

use std::sync::Arc;

use super::store::Files;
use crate::config::Http;

#[derive(Clone)]
pub(super) struct State {
    pub(super) files: Files,
    pub(super) http: Arc<Http>,
}
