//! Health and metrics, for whoever runs the server.

mod descriptions;
#[cfg(debug_assertions)]
mod faults;
mod health;
mod metrics;
mod trial;

use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::hub::HubHandle;
use crate::media::engine::MediaWatch;

pub use metrics::Metrics;
pub use trial::WriteTrial;

/// What health and metrics are read from.
#[derive(Clone)]
pub struct Admin {
    pub trial: WriteTrial,
    pub hub: HubHandle,
    pub media: MediaWatch,
    pub metrics: Metrics,
    pub access: MetricsAccess,
    /// Cancelled when the server begins to stop.
    pub stopping: CancellationToken,
    pub clock: fn() -> Instant,
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
    let router = Router::new()
        .route(
            "/healthz",
            get(|State(admin): State<Admin>| async move { health::alive(&admin) }),
        )
        .route("/readyz", get(|State(admin): State<Admin>| health::ready(admin)))
        .route("/metrics", get(metrics::render));
    #[cfg(debug_assertions)]
    let router = router.route("/debug/fault", axum::routing::post(faults::fault));
    router.with_state(admin)
}

/// Keeps metrics small while nobody reads them. Never ends.
pub async fn upkeep(metrics: Metrics) {
    let mut ticks = tokio::time::interval(metrics::UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}
