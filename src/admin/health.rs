//! Whether the server can do its work now, with reasons when it cannot.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Admin;

/// 200, or 503 with what is wrong. The reasons are the same for everybody and name no address or path.
pub(super) async fn ready(admin: Admin) -> Response {
    let mut reasons = Vec::new();
    if admin.stopping.is_cancelled() {
        reasons.push("the server is stopping");
    }
    if !admin.hub.is_running() {
        reasons.push("signaling has ended");
    }
    if !admin.media.is_running() {
        reasons.push("a media worker has ended");
    }
    if let Err(error) = admin.directory.check().await {
        let cause: &(dyn std::error::Error + 'static) = &error;
        tracing::warn!(cause, "not ready: storage failed");
        reasons.push("storage does not answer");
    }
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
    (status, Json(body)).into_response()
}
