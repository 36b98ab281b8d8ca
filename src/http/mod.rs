//! The front door: router, TLS, static pages, files, and the one WebSocket loop for all families.

mod accounts;
mod acme;
pub(crate) mod admin;
mod arrival;
pub(crate) mod client;
mod conferences;
pub(crate) mod connection;
mod dapi;
pub mod desk;
pub(crate) mod door;
pub(crate) mod errors;
pub mod files;
mod headers;
pub(crate) mod host;
pub(crate) mod listeners;
mod machine;
pub(crate) mod media_door;
mod metrics;
mod open_sockets;
mod openapi;
pub mod origin;
mod pages;
mod state;
pub mod tls;
pub(crate) mod watch;
pub mod websocket;
mod whip;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use admin::Admin;
use arrival::Arrivals;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
pub(crate) use conferences::{Participants, Registrations};
use files::FileStore;
use host::Hosts;
use origin::{Origins, Sharing};
pub(crate) use state::AppState;
use tower::Layer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};
use tracing::Level;
use utoipa_axum::router::OpenApiRouter;

use crate::config::Config;

/// Time for a handler to answer. Ours answer at once or wait for storage, which gives up sooner. Uploads,
/// WebSockets, and offers of participants who wait for a host have limits of their own.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Everything that the listeners serve.
pub fn router(state: AppState, files: FileStore, admin: Admin, allowlist: &Allowlist) -> Router {
    let config = Arc::clone(&state.config);
    let guarded = |router: OpenApiRouter<AppState>, sharing: Sharing| {
        origin::guarded(router, &allowlist.origins, sharing).with_state(state.clone())
    };
    // The key of an app's back end.
    let calls = Sharing::of([Method::GET, Method::POST]).sending([header::AUTHORIZATION]);
    let quick = OpenApiRouter::with_openapi(openapi::beginning())
        .merge(pages::router(
            Arrivals::new(&config.http.trusted_sites),
            config.dapi.enabled,
        ))
        .merge(openapi::router())
        .merge(admin::router(admin))
        .merge(guarded(
            websocket::router().merge(accounts::router()),
            Sharing::of([Method::POST]),
        ))
        .merge(guarded(dapi::router(&config, &allowlist.origins), calls))
        .merge(conferences::router(&allowlist.origins).with_state(state.clone()))
        .merge(whip::router(&allowlist.origins).with_state(state.clone()))
        .fallback(pages::not_found)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            ANSWER_WITHIN,
        ));
    let all = quick
        .merge(files::router(files, &config.http, &allowlist.origins))
        .merge(conferences::patient_router(&allowlist.origins).with_state(state.clone()));
    let mut served = openapi::served(all);
    if let Some(challenges) = state.challenges {
        served = served.merge(acme::router(challenges));
    }
    finish(served, &config, allowlist)
        // Outside of everything, because each layer may refuse.
        .layer(from_fn_with_state(config.dapi.enabled, dapi::in_envelope))
}

/// Everything that a separate listener serves to operators.
pub(crate) fn admin_router(config: &Config, admin: Admin, allowlist: &Allowlist) -> Router {
    let (router, _) = admin::router(admin).fallback(pages::not_found).split_for_parts();
    finish(router, config, allowlist)
}

/// The host names and origins that are let in. They are checked before everything else.
#[derive(Clone)]
pub struct Allowlist {
    pub(crate) hosts: Hosts,
    pub origins: Origins,
}

/// Adds the layers that all answers of a listener share.
fn finish(router: Router, config: &Config, allowlist: &Allowlist) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_response(metrics::time)
        .on_failure(DefaultOnFailure::new().level(Level::WARN));
    let router = router
        .layer(from_fn(errors::in_one_shape))
        .layer(from_fn_with_state(allowlist.hosts.clone(), host::check));
    let http = Arc::new(config.http.clone());
    let router = headers::with_security_headers(router, &config.http, allowlist.origins.ports())
        .layer(from_fn_with_state(http, client::recognize))
        .layer(from_fn(metrics::count))
        .layer(trace);
    // This layer is around the router, because the router picks the route: an address may end with a slash or without.
    Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(router))
}

/// The span of a request. It has the route, not path and query: those contain the ids of users, rooms and files.
fn span(request: &Request) -> tracing::Span {
    tracing::debug_span!("http", method = %request.method(), route = metrics::route_of(request))
}
