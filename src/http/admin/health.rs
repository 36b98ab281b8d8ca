//! Health: whether the server's loops turn, and whether it can do its work now, with the reasons if
//! not.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::state::Admin;
use crate::http::openapi::answers::ErrorBody;

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether the server can do its work now.
    ready: bool,
    /// Reasons why not. They are the same for everybody, and name no address or path.
    reasons: Vec<&'static str>,
}

/// Whether the server is alive
///
/// Whether its loops turn: signaling, and each media worker. If not, it has to be started again.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operators",
    responses(
        (status = 200, description = "All loops turn.", body = String, content_type = "text/plain", example = "alive\n"),
        (status = 503, description = "One line for each loop that stands still.", content((String = "text/plain"), (ErrorBody = "application/json"))),
    )
)]
pub(super) async fn alive(State(admin): State<Admin>) -> Response {
    let now = (admin.clock)();
    let mut still = String::new();
    if admin.hub.stands_still(now) {
        still.push_str("signaling stands still\n");
    }
    for (worker, turns) in admin.media.turning(now).into_iter().enumerate() {
        if !turns {
            still.push_str(&format!("media worker {worker} stands still\n"));
        }
    }
    if still.is_empty() {
        "alive\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, still).into_response()
    }
}

/// Whether the server is ready
///
/// Whether it can do its work now. If not, requests are better sent to another one.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operators",
    responses(
        (status = 200, description = "Ready.", body = Readiness),
        (status = 503, description = "Not ready, with the reasons; or the answer took too long.", content((Readiness = "application/json"))),
    )
)]
pub(super) async fn ready(State(admin): State<Admin>) -> Response {
    let mut reasons: Vec<&'static str> = Vec::new();
    if admin.stopping.is_cancelled() {
        reasons.push("the server is stopping");
    }
    if !admin.hub.is_running() {
        reasons.push("signaling has ended");
    }
    if !admin.media.turning((admin.clock)()).contains(&true) {
        reasons.push("no media worker runs");
    }
    reasons.extend(admin.trial.reasons().await);
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let ready = reasons.is_empty();
    (status, Json(Readiness { ready, reasons })).into_response()
}
