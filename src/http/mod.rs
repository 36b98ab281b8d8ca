//! The front door: router, TLS, static pages, files, and the one WebSocket loop for all families.

use std::sync::Arc;

use crate::config::Config;
use crate::hub::HubHandle;
use crate::storage::Directory;

/// What every request handler can reach.
#[derive(Clone)]
pub struct AppState {
    pub config: Arc<Config>,
    pub hub: HubHandle,
    pub directory: Directory,
}
