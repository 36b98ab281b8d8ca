//! What goes wrong over HTTP, as a status and one sentence for whoever asked: `{"error": "…"}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A refusal or failure, told to the client. The cause, where there is one, goes to the log and not over the wire.
#[derive(Debug)]
pub struct HttpError {
    pub status: StatusCode,
    pub sentence: String,
}

impl HttpError {
    pub fn new(status: StatusCode, sentence: impl Into<String>) -> HttpError {
        HttpError {
            status,
            sentence: sentence.into(),
        }
    }

    /// Ours, not the client's: logged with its cause, told without it.
    pub fn internal(doing: &str, cause: &(dyn std::error::Error + 'static)) -> HttpError {
        tracing::error!(cause, "{doing} failed");
        HttpError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{doing} failed; the server's log says why"),
        )
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(serde_json::json!({ "error": self.sentence }))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
