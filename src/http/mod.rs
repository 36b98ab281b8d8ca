//! The front door: router, TLS, static pages, files, and the one WebSocket loop for all families.

mod accounts;
pub mod client;
pub mod door;
pub mod errors;
pub mod files;
mod headers;
pub mod listeners;
mod metrics;
pub mod origin;
mod pages;
pub mod tls;
pub mod watch;
pub mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};
use tracing::Level;

use crate::accounts::Accounts;
use crate::admin::{self, Admin};
pub use crate::clock::WallClock;
use crate::config::Config;
use crate::hub::HubHandle;
use crate::storage::Directory;
use files::Files;

/// What every request handler can reach.
#[derive(Clone)]
pub struct AppState {
    pub config: Arc<Config>,
    pub hub: HubHandle,
    pub directory: Directory,
    pub clock: WallClock,
    pub accounts: Accounts,
}

/// How long a handler may take. Ours answer at once or wait for storage, which gives up sooner. Uploads and WebSockets
/// have limits of their own.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Everything that the listeners serve.
pub fn router(state: AppState, files: Files, admin: Admin) -> Router {
    let config = Arc::clone(&state.config);
    let quick = Router::new()
        .merge(pages::router())
        .merge(admin::router(admin))
        .merge(websocket::router().merge(accounts::router()).with_state(state))
        .fallback(pages::not_found)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            ANSWER_WITHIN,
        ));
    finish(quick.merge(files::router(files, &config.http)), &config)
}

/// What all answers of a listener have in common.
fn finish(router: Router, config: &Config) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_response(metrics::time)
        .on_failure(DefaultOnFailure::new().level(Level::WARN));
    let http = Arc::new(config.http.clone());
    headers::with_security_headers(router, &config.http)
        .layer(axum::middleware::from_fn_with_state(http, client::recognize))
        .layer(axum::middleware::from_fn(metrics::count))
        .layer(trace)
}

/// The route, not the path and query: those carry the ids of users, rooms and files.
fn span(request: &Request) -> tracing::Span {
    tracing::debug_span!("http", method = %request.method(), route = metrics::route_of(request))
}
