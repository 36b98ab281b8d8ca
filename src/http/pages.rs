//! The pages: everything under `static/`, embedded in the program (read from disk in development builds).
//!
//! Names have no version, so browsers must ask each time; the ETag keeps the answer short.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::arrival::Arrivals;
use super::host;

#[derive(rust_embed::RustEmbed)]
#[folder = "static/"]
struct Static;

/// The attribute in the document of a page that has to ask first; `static/common/consent.js` looks for it.
const FROM_ELSEWHERE: &str = "data-opened=\"elsewhere\"";

/// A request for a page.
struct Visit {
    headers: HeaderMap,
    from_elsewhere: bool,
}

impl FromRequestParts<Arrivals> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, arrivals: &Arrivals) -> Result<Visit, Infallible> {
        let host = host::of_parts(parts);
        Ok(Visit {
            from_elsewhere: arrivals.is_from_elsewhere(&parts.headers, host.as_ref()),
            headers: std::mem::take(&mut parts.headers),
        })
    }
}

pub fn router<S: Clone + Send + Sync + 'static>(arrivals: Arrivals) -> Router<S> {
    let fixed = |path: &'static str| get(move |visit: Visit| page(path, visit));
    Router::new()
        .route(
            "/",
            get(|RawQuery(query), visit: Visit| async move { page(first_page(query.as_deref()), visit).await }),
        )
        .route("/room", fixed("room/index.html"))
        .route("/messages", fixed("messages/index.html"))
        .route("/calls", fixed("calls/index.html"))
        .route("/device", fixed("device/index.html"))
        .route("/favicon.ico", fixed("favicon.ico"))
        .route(
            "/static/{*path}",
            get(|Path(path): Path<String>, visit: Visit| async move { page(&path, visit).await }),
        )
        .with_state(arrivals)
}

/// The page for the address without a path: a call from one to another where both are named, otherwise the start page.
fn first_page(query: Option<&str>) -> &'static str {
    let has = |name: &str| {
        let mut pairs = query
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs.any(|(key, value)| key == name && !value.is_empty())
    };
    match has("userId") && has("sendId") {
        true => "call/index.html",
        false => "start/index.html",
    }
}

/// The answer for everything that no route serves.
pub(crate) async fn not_found() -> Response {
    let body = Static::get("not-found/index.html").map(|file| file.data.into_owned());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (
        StatusCode::NOT_FOUND,
        [(header::CONTENT_TYPE, html)],
        body.unwrap_or_default(),
    )
        .into_response()
}

async fn page(path: &str, visit: Visit) -> Response {
    let Some(file) = Static::get(path) else {
        return not_found().await;
    };
    let kind = content_type(file.metadata.mimetype());
    let needs_consent = visit.from_elsewhere && kind.starts_with("text/html");
    // Each of the two documents has a tag of its own, so that a browser that keeps one does not show it instead of the
    // other.
    let variant = if needs_consent { "-elsewhere" } else { "" };
    let etag = format!("\"{}{variant}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let cached = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, etag.clone()),
    ];
    if knows(&visit.headers, &etag) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    let body = match file.data {
        bytes if needs_consent => Body::from(marked(&bytes)),
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (cached, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// The document with [`FROM_ELSEWHERE`] at its root.
fn marked(document: &[u8]) -> String {
    String::from_utf8_lossy(document).replacen("<html ", &format!("<html {FROM_ELSEWHERE} "), 1)
}

/// The Content-Type of a file. Text is declared as UTF-8: a browser's guess depends on its language.
fn content_type(media_type: &str) -> String {
    if media_type.starts_with("text/") {
        format!("{media_type}; charset=utf-8")
    } else {
        media_type.to_owned()
    }
}

/// Whether the client has this version. RFC 9110 §13.1.2: any of the listed tags, compared weakly, or `*`.
fn knows(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*")
}
