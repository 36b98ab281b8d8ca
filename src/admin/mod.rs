//! Health and metrics, for whoever runs the server.

mod descriptions;
mod health;
mod metrics;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::hub::HubHandle;
use crate::media::engine::Media;
use crate::storage::Directory;

pub use metrics::Metrics;

/// What health and metrics are read from.
#[derive(Clone)]
pub struct Admin {
    pub directory: Directory,
    pub hub: HubHandle,
    pub media: Media,
    pub metrics: Metrics,
    pub access: MetricsAccess,
    /// Cancelled when the server begins to stop.
    pub stopping: CancellationToken,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever reaches the listener.
    Anyone,
    /// Clients on this machine that do not come through a proxy.
    ThisMachine,
    /// They are served elsewhere.
    Nobody,
}

pub fn router<S: Clone + Send + Sync + 'static>(admin: Admin) -> Router<S> {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(|State(admin): State<Admin>| health::ready(admin)))
        .route("/metrics", get(metrics::render))
        .with_state(admin)
}

/// Keeps metrics small while nobody reads them. Never ends.
pub async fn upkeep(metrics: Metrics) {
    let mut ticks = tokio::time::interval(metrics::UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}
