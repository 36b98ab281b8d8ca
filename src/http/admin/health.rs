//! Health: whether the server's loops turn, and whether it can do its work now, with the reasons if
//! not.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::state::Admin;

/// 200, or 503 with one line for each loop that stands still: the hub, or a media worker.
pub(super) fn alive(admin: &Admin) -> Response {
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

/// 200, or 503 with the reasons. The reasons are the same for everybody, and name no address or path.
pub(super) async fn ready(admin: Admin) -> Response {
    let mut reasons = Vec::new();
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
    let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
    (status, Json(body)).into_response()
}
