//! Errors over HTTP: a status and one sentence for the client: `{"error": "…"}`.

use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::openapi::answers::ErrorBody;

/// Bytes that are kept of the framework's own words for a refusal: it writes one line.
const WORDS_BYTES_MAX: usize = 1_024;

/// Time after which a client may come again for which there is no place now. Places become free all the time.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A refusal or failure, as the client sees it. The cause, where there is one, goes to the log and not over the wire.
#[derive(Debug)]
pub(crate) struct HttpError {
    pub status: StatusCode,
    pub sentence: String,
    /// Time after which the client may try again. A client that is sent 503 always gets one.
    retry_after: Option<Duration>,
}

impl HttpError {
    pub fn new(status: StatusCode, sentence: impl Into<String>) -> HttpError {
        HttpError {
            status,
            sentence: sentence.into(),
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
        }
    }

    /// The same, for a client that may try again after this time.
    pub(crate) fn with_retry_after(self, time: Duration) -> HttpError {
        HttpError {
            retry_after: Some(time),
            ..self
        }
    }

    /// A failure of the server, not of the client: its cause is logged, and not sent.
    pub(crate) fn internal(doing: &str, cause: &(dyn std::error::Error + 'static)) -> HttpError {
        tracing::error!(cause, "{doing} failed");
        HttpError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{doing} failed; the server's log says why"),
        )
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.sentence })).into_response();
        if let Some(time) = self.retry_after {
            // Whole seconds (RFC 9110 §10.2.3), none too early.
            let seconds = time.as_millis().div_ceil(1_000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

/// Gives refusals by the framework, which no handler has seen, the same shape as all others. Error pages stay as they
/// are.
pub(super) async fn in_one_shape(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || has_a_shape(status, response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let words = axum::body::to_bytes(body, WORDS_BYTES_MAX).await.unwrap_or_default();
    let sentence = sentence(status, &method, &String::from_utf8_lossy(&words));
    let mut shaped = HttpError::new(status, sentence).into_response();
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    shaped.headers_mut().extend(parts.headers);
    shaped
}

/// Whether the answer already has words of the server's own. A 503 of the server's, such as that of a loop that stands
/// still, is a plain line for operators.
fn has_a_shape(status: StatusCode, headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return kind.is_some();
    }
    kind.is_some_and(|kind| kind.starts_with("application/json") || kind.starts_with("text/html"))
}

fn sentence(status: StatusCode, method: &Method, words: &str) -> String {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            format!("this address does not answer {method}; the Allow header says what it answers")
        }
        StatusCode::SERVICE_UNAVAILABLE => "the server took too long to answer; try again".to_owned(),
        _ if words.trim().is_empty() => status.canonical_reason().unwrap_or("refused").to_lowercase(),
        _ => format!("the request is not understood: {}", words.trim()),
    }
}
