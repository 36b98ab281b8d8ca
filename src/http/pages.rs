//! The pages: everything under `static/`, embedded in the program (read from disk in development builds).
//!
//! Names carry no version, so browsers are told to ask each time; the ETag makes that a short answer.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

#[derive(rust_embed::RustEmbed)]
#[folder = "static/"]
struct Static;

pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/",
            get(|RawQuery(query), headers: HeaderMap| async move { page(first_page(query.as_deref()), headers).await }),
        )
        .route("/room", get(|headers: HeaderMap| page("room/index.html", headers)))
        .route(
            "/messages",
            get(|headers: HeaderMap| page("messages/index.html", headers)),
        )
        .route("/device", get(|headers: HeaderMap| page("device/index.html", headers)))
        .route("/favicon.ico", get(|headers: HeaderMap| page("favicon.ico", headers)))
        .route(
            "/static/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move { page(&path, headers).await }),
        )
}

/// A call from one to another where both are named, otherwise the start page.
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

/// For everything that no route serves.
pub async fn not_found() -> Response {
    let body = Static::get("not-found/index.html").map(|file| file.data.into_owned());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (
        StatusCode::NOT_FOUND,
        [(header::CONTENT_TYPE, html)],
        body.unwrap_or_default(),
    )
        .into_response()
}

async fn page(path: &str, headers: HeaderMap) -> Response {
    let Some(file) = Static::get(path) else {
        return not_found().await;
    };
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let cached = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, etag.clone()),
    ];
    if knows(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    let body = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Body::from(bytes),
        std::borrow::Cow::Owned(bytes) => Body::from(bytes),
    };
    let kind = content_type(file.metadata.mimetype());
    (cached, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Text is UTF-8, and says so: a browser's guess depends on its language.
fn content_type(media_type: &str) -> String {
    if media_type.starts_with("text/") {
        format!("{media_type}; charset=utf-8")
    } else {
        media_type.to_owned()
    }
}

/// RFC 9110 §13.1.2: any of the listed tags, compared weakly, or `*`.
fn knows(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*")
}
