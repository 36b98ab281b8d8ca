//! Files that participants share: `POST /files` stores one, `GET /files/<id>/<name>` returns it.
//!
//! Whoever knows the address may fetch the file: its id has 128 random bits. A file is only ever sent as a download, never as a
//! page of this server.

mod download;
mod meter;
pub mod multipart;
pub(crate) mod names;
mod state;
mod store;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use state::State;
pub use store::FileStore;
pub(crate) use store::FilesError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Http;
use crate::http::origin::{self, Origins, Sharing};

/// Time between two searches for expired files. They can no longer be fetched from the second they expire.
const SWEEP_INTERVAL: Duration = Duration::from_secs(300);
/// The pause while more files wait to be deleted: others use the disk and the database meanwhile. Short enough that all the
/// smallest files that one address may have are deleted within minutes.
const SWEEP_PAUSE: Duration = Duration::from_millis(200);

/// The routes of uploads and downloads.
pub fn router<S: Clone + Send + Sync + 'static>(files: FileStore, http: &Http, origins: &Origins) -> OpenApiRouter<S> {
    let state = State {
        files,
        http: Arc::new(http.clone()),
    };
    origin::guarded(
        OpenApiRouter::new().routes(routes!(upload::upload)),
        origins,
        Sharing::of([Method::POST]),
    )
    .routes(routes!(download::download))
    .with_state(state)
}

/// Deletes expired files. Never ends.
pub async fn sweep(files: FileStore) {
    loop {
        let more = files.sweep().await.unwrap_or_else(|error| {
            let cause: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(cause, "expired uploads could not be found; trying again later");
            false
        });
        tokio::time::sleep(if more { SWEEP_PAUSE } else { SWEEP_INTERVAL }).await;
    }
}
