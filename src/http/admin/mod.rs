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

pub(crate) use recorder::Metrics;
pub(crate) use state::{Admin, MetricsAccess};
pub(crate) use trial::WriteTrial;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router<S: Clone + Send + Sync + 'static>(admin: Admin) -> OpenApiRouter<S> {
    let router = OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::render))
        .routes(routes!(rooms::list));
    #[cfg(debug_assertions)]
    let router = router.routes(routes!(faults::fault));
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
