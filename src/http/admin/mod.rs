//! Health, metrics, and who is in which room, for operators.

mod descriptions;
#[cfg(debug_assertions)]
mod faults;
mod health;
mod metrics;
mod recorder;
mod rooms;
mod state;
mod trial;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
pub(crate) use recorder::Metrics;
pub(crate) use state::{Admin, MetricsAccess};
pub(crate) use trial::WriteTrial;

pub fn router<S: Clone + Send + Sync + 'static>(admin: Admin) -> Router<S> {
    let router = Router::new()
        .route(
            "/healthz",
            get(|State(admin): State<Admin>| async move { health::alive(&admin) }),
        )
        .route("/readyz", get(|State(admin): State<Admin>| health::ready(admin)))
        .route("/metrics", get(metrics::render))
        .route("/admin/v1/rooms", get(rooms::list));
    #[cfg(debug_assertions)]
    let router = router.route("/debug/fault", axum::routing::post(faults::fault));
    router.with_state(admin)
}

/// Keeps metrics small while nobody reads them. Never ends.
pub(crate) async fn upkeep(metrics: Metrics) {
    let mut ticks = tokio::time::interval(recorder::UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}
