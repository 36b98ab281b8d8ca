//! What the front door counts.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// A connection, for as long as it is held.
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

/// Counts and times requests by route, never by path: paths carry the names of files, and clients can invent any.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = route_of(&request);
    #[allow(
        clippy::disallowed_methods,
        reason = "the shell: how long a request took is real time"
    )]
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("patchbay_http_requests_total", "route" => route.clone(), "status" => status).increment(1);
    metrics::histogram!("patchbay_http_request_seconds", "route" => route).record(began.elapsed().as_secs_f64());
    response
}

/// The pattern that matched, one of few.
pub(super) fn route_of(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or("none", MatchedPath::as_str).to_owned()
}
