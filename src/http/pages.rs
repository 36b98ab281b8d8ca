//! The pages: everything under `static/`, embedded in the program (read from disk in development builds).
//!
//! Browsers ask for documents each time; an ETag keeps the answer short. Documents name files by addresses with a version,
//! which browsers keep for good. Text is compressed where the client takes that.

mod coding;
mod embedded;
mod version;

use std::borrow::Cow;
use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, RawQuery};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use coding::Coding;
use embedded::{Static, swagger_ui_file};

use super::arrival::Arrivals;
use super::host;
use super::openapi::answers::{Page, PageFile};

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

pub fn router<S: Clone + Send + Sync + 'static>(arrivals: Arrivals, has_calls: bool) -> OpenApiRouter<S> {
    let calls = match has_calls {
        true => OpenApiRouter::new().routes(routes!(calls)),
        false => OpenApiRouter::new(),
    };
    calls
        .routes(routes!(first))
        .routes(routes!(room))
        .routes(routes!(messages))
        .routes(routes!(device))
        .routes(routes!(meet))
        .routes(routes!(api))
        .routes(routes!(icon))
        .routes(routes!(file))
        .routes(routes!(swagger_ui))
        .with_state(Terms { arrivals, has_calls })
}

/// The start page
///
/// Or, where the query names both, the page of a call from one to another: `userId` calls, `sendId` is called.
#[utoipa::path(get, path = "/", tag = "pages", responses(Page))]
async fn first(RawQuery(query): RawQuery, visit: Visit) -> Response {
    page(first_page(query.as_deref()), visit).await
}

/// The page of a room
#[utoipa::path(get, path = "/room", tag = "pages", responses(Page))]
async fn room(visit: Visit) -> Response {
    page("room/index.html", visit).await
}

/// The page of messages and calls
#[utoipa::path(get, path = "/messages", tag = "pages", responses(Page))]
async fn messages(visit: Visit) -> Response {
    page("messages/index.html", visit).await
}

/// The page that calls over HTTP
#[utoipa::path(get, path = "/calls", tag = "pages", responses(Page))]
async fn calls(visit: Visit) -> Response {
    page("calls/index.html", visit).await
}

/// The page of a device with a telephone number
#[utoipa::path(get, path = "/device", tag = "pages", responses(Page))]
async fn device(visit: Visit) -> Response {
    page("device/index.html", visit).await
}

/// The page of meetings, and of calls to accounts
///
/// Of a user who logs in, or of a guest.
#[utoipa::path(get, path = "/meet", tag = "pages", responses(Page))]
async fn meet(visit: Visit) -> Response {
    page("meet/index.html", visit).await
}

/// The page that shows this document
///
/// It can also send requests, to try them.
#[utoipa::path(get, path = "/api", tag = "pages", responses(Page))]
async fn api(visit: Visit) -> Response {
    page("api/index.html", visit).await
}

/// The icon of all pages
#[utoipa::path(get, path = "/favicon.ico", tag = "pages", responses(PageFile))]
async fn icon(visit: Visit) -> Response {
    page("favicon.ico", visit).await
}

/// A file of the pages
#[utoipa::path(
    get,
    path = "/static/{*path}",
    tag = "pages",
    params(("path" = String, Path, description = "Path of the file. It may have slashes.")),
    responses(PageFile)
)]
async fn file(Path(path): Path<String>, visit: Visit) -> Response {
    let (path, version) = version::split(&path);
    let is_for_good = version.is_some_and(|version| version == version::current());
    match path.strip_prefix("swagger-ui/") {
        Some(name) => swagger_ui_answer(name, &visit, is_for_good).await,
        None => answer(path, visit, is_for_good).await,
    }
}

/// A file of Swagger UI
///
/// With it `/api` shows this document.
#[utoipa::path(
    get,
    path = "/static/swagger-ui/{file}",
    tag = "pages",
    params(("file" = String, Path, description = "Name of the file: `swagger-ui.css` or `swagger-ui-bundle.js`.")),
    responses(PageFile)
)]
async fn swagger_ui(Path(name): Path<String>, visit: Visit) -> Response {
    swagger_ui_answer(&name, &visit, false).await
}

async fn swagger_ui_answer(name: &str, visit: &Visit, is_for_good: bool) -> Response {
    let Some(file) = swagger_ui_file(name) else {
        return not_found().await;
    };
    let etag = format!("\"{}\"", version::current());
    let cached = cached(&etag, is_for_good);
    if knows(&visit.headers, &etag) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    let kind = [(header::CONTENT_TYPE, content_type(&file.content_type))];
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let coding = file.gzpipped.then_some([(header::CONTENT_ENCODING, "gzip")]);
    (cached, kind, coding.map(AppendHeaders), bytes).into_response()
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

/// A document, or a file whose address has no version.
async fn page(path: &str, visit: Visit) -> Response {
    answer(path, visit, false).await
}

/// `is_for_good`: the address stands for these bytes alone.
async fn answer(path: &str, visit: Visit, is_for_good: bool) -> Response {
    let Some(file) = Static::get(path) else {
        return not_found().await;
    };
    let kind = content_type(file.metadata.mimetype());
    let coding = Coding::negotiate(&visit.headers, &kind);
    let document = kind.starts_with("text/html").then(|| Document {
        marks: visit.marks,
        version: version::current(),
    });
    // Each form has a tag of its own, so that a browser that keeps one does not show it instead of another.
    let mut tag = hex::encode(&file.metadata.sha256_hash()[..16]);
    tag.extend(document.iter().map(Document::tag));
    tag.extend(coding.map(|coding| format!("-{}", coding.name())));
    let etag = format!("\"{tag}\"");
    let varies = [(header::VARY, "Accept-Encoding")];
    let cached = cached(&etag, is_for_good && document.is_none());
    if knows(&visit.headers, &etag) {
        return (StatusCode::NOT_MODIFIED, cached, varies).into_response();
    }
    let bytes = match &document {
        Some(document) => Bytes::from(document.of(&file.data)),
        None => Bytes::from_owner(file.data),
    };
    let body = match coding {
        Some(coding) => coding.of(&etag, &bytes),
        None => bytes,
    };
    let coding = coding.map(|coding| AppendHeaders([(header::CONTENT_ENCODING, coding.name())]));
    (cached, varies, [(header::CONTENT_TYPE, kind)], coding, body).into_response()
}

fn cached(etag: &str, is_for_good: bool) -> [(HeaderName, String); 2] {
    let kept = match is_for_good {
        // RFC 8246.
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    [
        (header::CACHE_CONTROL, kept.to_owned()),
        (header::ETAG, etag.to_owned()),
    ]
}

/// What makes a document of a file.
struct Document {
    marks: Vec<Mark>,
    version: String,
}

impl Document {
    fn tag(&self) -> String {
        let marks: String = self.marks.iter().map(|mark| mark.tag).collect();
        format!("-{}{marks}", self.version)
    }

    fn of(&self, file: &[u8]) -> String {
        version::in_addresses(&marked(file, &self.marks), &self.version)
    }
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
