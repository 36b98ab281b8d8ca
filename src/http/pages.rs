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

/// What the document of a page says at its root, for this request or this server.
#[derive(Clone, Copy)]
struct Mark {
    attribute: &'static str,
    /// What it adds to the document's tag.
    tag: &'static str,
}

/// The page has to ask first; `static/common/consent.js` looks for it.
const FROM_ELSEWHERE: Mark = Mark {
    attribute: "data-opened=\"elsewhere\"",
    tag: "-elsewhere",
};

/// There is no call API; `static/start/start.css` looks for it.
const WITHOUT_CALLS: Mark = Mark {
    attribute: "data-calls=\"off\"",
    tag: "-without-calls",
};

/// What the pages of this server depend on.
#[derive(Clone)]
struct Terms {
    arrivals: Arrivals,
    /// Whether the call API is there.
    has_calls: bool,
}

/// A request for a page.
struct Visit {
    headers: HeaderMap,
    marks: Vec<Mark>,
}

impl FromRequestParts<Terms> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, terms: &Terms) -> Result<Visit, Infallible> {
        let host = host::of_parts(parts);
        let from_elsewhere = terms.arrivals.is_from_elsewhere(&parts.headers, host.as_ref());
        let marks = [
            from_elsewhere.then_some(FROM_ELSEWHERE),
            (!terms.has_calls).then_some(WITHOUT_CALLS),
        ];
        Ok(Visit {
            headers: std::mem::take(&mut parts.headers),
            marks: marks.into_iter().flatten().collect(),
        })
    }
}

pub fn router<S: Clone + Send + Sync + 'static>(arrivals: Arrivals, has_calls: bool) -> Router<S> {
    let fixed = |path: &'static str| get(move |visit: Visit| page(path, visit));
    let calls = match has_calls {
        true => Router::new().route("/calls", fixed("calls/index.html")),
        false => Router::new(),
    };
    calls
        .route(
            "/",
            get(|RawQuery(query), visit: Visit| async move { page(first_page(query.as_deref()), visit).await }),
        )
        .route("/room", fixed("room/index.html"))
        .route("/messages", fixed("messages/index.html"))
        .route("/device", fixed("device/index.html"))
        .route("/favicon.ico", fixed("favicon.ico"))
        .route(
            "/static/{*path}",
            get(|Path(path): Path<String>, visit: Visit| async move { page(&path, visit).await }),
        )
        .with_state(Terms { arrivals, has_calls })
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
    let marks = match kind.starts_with("text/html") {
        true => visit.marks,
        false => Vec::new(),
    };
    // Each of the documents has a tag of its own, so that a browser that keeps one does not show it instead of another.
    let variant: String = marks.iter().map(|mark| mark.tag).collect();
    let etag = format!("\"{}{variant}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let cached = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, etag.clone()),
    ];
    if knows(&visit.headers, &etag) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    let body = match file.data {
        bytes if !marks.is_empty() => Body::from(marked(&bytes, &marks)),
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (cached, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// The document with these marks at its root.
fn marked(document: &[u8], marks: &[Mark]) -> String {
    let attributes: String = marks.iter().map(|mark| format!("{} ", mark.attribute)).collect();
    String::from_utf8_lossy(document).replacen("<html ", &format!("<html {attributes}"), 1)
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
