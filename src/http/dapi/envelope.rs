//! Refusals below `/dapi` that no handler of this family makes: an address that does not exist, a page that may not ask, a server
//! that takes too long. They keep their status, and get the object that all answers of this family are in.

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::signaling::dapi::{self as wire, Refused};

/// Bytes of the longest refusal of the server.
const WORDS_BYTES_MAX: usize = 4_096;

const NO_SUCH_REQUEST: &str = "there is no such request";

/// Marks an answer that is in the object already.
#[derive(Clone, Copy)]
struct Enveloped;

pub(super) fn respond(status: StatusCode, answer: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    // The answer may hold a token.
    let headers = [
        (header::CONTENT_TYPE, json),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (status, headers, answer).into_response();
    response.extensions_mut().insert(Enveloped);
    response
}

/// A refusal of somebody who may not ask, or of a request that is none.
pub(super) fn refuse(status: StatusCode, sentence: &str) -> Response {
    respond(status, wire::answer::<()>(Err(Refused::unreadable(sentence))))
}

/// Where calls over HTTP are not served, their addresses are as any that does not exist.
pub(crate) async fn in_envelope(State(is_served): State<bool>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_below = is_served && (path == "/dapi" || path.starts_with("/dapi/"));
    let response = next.run(request).await;
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_below || !is_refusal || response.extensions().get::<Enveloped>().is_some() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let words = to_bytes(body, WORDS_BYTES_MAX).await.unwrap_or_default();
    let mut enveloped = refuse(status, &sentence(status, &words));
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CACHE_CONTROL] {
        parts.headers.remove(name);
    }
    enveloped.headers_mut().extend(parts.headers);
    enveloped
}

/// What the server has said, or else what the status says.
fn sentence(status: StatusCode, words: &[u8]) -> String {
    if status == StatusCode::NOT_FOUND {
        return NO_SUCH_REQUEST.to_owned();
    }
    let said: Option<Value> = serde_json::from_slice(words).ok();
    let said = said.and_then(|said| said.get("error")?.as_str().map(str::to_owned));
    said.unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use tower::ServiceExt;

    use super::*;
    use crate::http::errors::HttpError;

    /// The status of the answer at this path, its `Retry-After`, and its body.
    async fn refused(is_served: bool, path: &str) -> (u16, bool, String) {
        let slow = || async { HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "try again") };
        let bare = || async { StatusCode::PAYLOAD_TOO_LARGE };
        let router = Router::new()
            .route("/dapi/slow", any(slow))
            .route("/dapi/bare", any(bare))
            .route("/slow", any(slow))
            .layer(from_fn_with_state(is_served, in_envelope));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let (status, comes_again) = (response.status(), response.headers().contains_key(header::RETRY_AFTER));
        let body = to_bytes(response.into_body(), WORDS_BYTES_MAX).await.unwrap();
        (
            status.as_u16(),
            comes_again,
            String::from_utf8_lossy(&body).into_owned(),
        )
    }

    #[tokio::test]
    async fn a_refusal_of_the_server_keeps_its_status_its_headers_and_its_words() {
        let enveloped = r#"{"success":false,"msg":"try again"}"#.to_owned();
        assert_eq!(refused(true, "/dapi/slow").await, (503, true, enveloped));
        let bare = r#"{"success":false,"msg":"payload too large"}"#.to_owned();
        assert_eq!(refused(true, "/dapi/bare").await, (413, false, bare));
        let plain = r#"{"error":"try again"}"#.to_owned();
        assert_eq!(refused(true, "/slow").await, (503, true, plain.clone()));
        assert_eq!(refused(false, "/dapi/slow").await, (503, true, plain));
    }
}
