//! The counters of the front door.

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// A connection that counts as long as this is held.
pub(super) struct OpenConnection(());

impl OpenConnection {
    pub(super) fn new() -> OpenConnection {
        metrics::gauge!("patchbay_http_connections").increment(1.0);
        OpenConnection(())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::gauge!("patchbay_http_connections").decrement(1.0);
    }
}

/// Counts requests by route, never by path: paths contain the names of files, and clients can invent
/// any.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = route_of(&request);
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("patchbay_http_requests_total", "route" => route, "status" => status).increment(1);
    response
}

/// Records the time of a request. Called when the head of its answer is ready.
pub(super) fn time<B>(response: &axum::http::Response<B>, latency: Duration, _: &tracing::Span) {
    metrics::histogram!("patchbay_http_request_seconds").record(latency.as_secs_f64());
    tracing::debug!(status = response.status().as_u16(), ?latency, "answered");
}

/// The pattern of the route that matched, one of few.
pub(super) fn route_of(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or("none", MatchedPath::as_str).to_owned()
}
