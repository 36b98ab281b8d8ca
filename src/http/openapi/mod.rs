//! The document of all HTTP endpoints (OpenAPI 3.1), at `/openapi.json`; the page that shows it is `static/api/`.
//!
//! Routes and document are made together: each module's router is an [`OpenApiRouter`], and every route comes with its
//! operation, from `#[utoipa::path]` at the handler or from [`calls::described`]. This file adds what all operations have in
//! common.

pub(super) mod answers;
pub(super) mod calls;
pub(super) mod whip;

use answers::ErrorBody;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{OpenApi as Document, PathItem, RefOr};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The document as text.
#[derive(Clone)]
struct Text(Bytes);

const ABOUT: &str = "The HTTP interface of a patchbay server: calls, accounts, files, WHIP and WHEP, and what operators ask for. \
    Rooms, messages and calls over WebSocket begin at the paths under *sockets*; their messages are not described here.\n\n\
    A path may end with a slash or without. Errors are JSON objects with one sentence under `error`, except below `/dapi`, \
    where every answer is an envelope of its own. The server answers under its own host names only (421). A page of another \
    origin is let in where `http.allowed_origins` lists it (403); programs that are no browsers send no `Origin`, and are let in.";

#[derive(OpenApi)]
#[openapi(
    info(title = "patchbay", description = ABOUT, license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    components(schemas(ErrorBody)),
    modifiers(&SecuritySchemes),
    tags(
        (name = "calls", description = "Calls over HTTP. The fields of a request are in its body, as JSON or as a form, \
            or else in its query. Any method will do; GET and POST are described. With the key, the app's back end asks, in every name. \
            Without one, everybody asks in the name of a user, unless somebody else is connected who has proven that the name is theirs."),
        (name = "conferences", description = "Login and registration of users who have passwords, and calls that ring at their \
            apps, as an enterprise SDK speaks them. The fields of a request may be JSON, a form, or in the query; fields that are \
            not known are ignored."),
        (name = "whip", description = "Publishing by WHIP (RFC 9725) and watching by WHEP (draft-ietf-wish-whep-03)."),
        (name = "accounts", description = "Telephone numbers, their devices and contacts. Every answer has status 200; a \
            code in it says what became of the request."),
        (name = "files", description = "Files that participants share."),
        (name = "sockets", description = "WebSockets (RFC 6455)."),
        (name = "operators", description = "Health, metrics, rooms. Metrics and rooms are served to this machine alone, and not to a \
            proxy on it; or to everybody who reaches the listener of `metrics.address`, if one is configured, and nowhere else."),
        (name = "pages", description = "The pages, their files, and this document."),
    )
)]
struct Beginning;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut Document) {
        use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = |description: &str| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
            SecurityScheme::Http(scheme.description(Some(description)).build())
        };
        let in_query = ApiKeyValue::with_description(
            "token",
            "The same token, for clients that cannot send headers; at `/socket.io` the token of a device, from a login.",
        );
        let schemes = [
            (
                "token",
                bearer(
                    "A token of this server (a JWT with the user's name, `patchbay token`), or an access token of version 006 for \
                    one user in one room. Needed where `auth.required` is set; for WHIP also where \
                    `whip.publish_without_token` is not set, for WHEP where `whip.watch_without_token` is not.",
                ),
            ),
            ("token_in_query", SecurityScheme::ApiKey(ApiKey::Query(in_query))),
            (
                "dapi_key",
                bearer(
                    "The key of the app's back end, `dapi.key`. Needed where it is configured, and where `auth.required` is set.",
                ),
            ),
        ];
        let components = document.components.get_or_insert_default();
        let schemes = schemes
            .into_iter()
            .map(|(name, scheme)| (name.to_owned(), scheme.into()));
        components.security_schemes.extend(schemes);
    }
}

/// A document without paths.
pub(super) fn beginning() -> Document {
    Beginning::openapi()
}

pub(super) fn router<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(document))
}

/// Completes the document of `router`, and lets [`document`] serve it.
pub(super) fn served(router: OpenApiRouter) -> axum::Router {
    let (router, mut document) = router.split_for_parts();
    complete(&mut document);
    let text = document.to_json().unwrap_or_default();
    router.layer(Extension(Text(text.into())))
}

/// This document
///
/// All endpoints that this server has, as it is configured and built. `/api` shows them.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "pages",
    responses((status = 200, description = "The document (OpenAPI 3.1).", body = Object, content_type = "application/json"))
)]
async fn document(Extension(Text(text)): Extension<Text>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

/// Adds what all operations have: an id, and the answers of what stands before every handler.
fn complete(document: &mut Document) {
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, mut item) in paths {
        // OpenAPI has no word for the rest of a path.
        let path = path.replace("{*", "{");
        if path.starts_with("/dapi/") {
            calls::separate(&mut item);
        }
        for (method, operation) in operations(&mut item) {
            operation.operation_id = Some(id(&method, &path));
            for (status, answer) in answers::everywhere() {
                operation.responses.responses.entry(status).or_insert(RefOr::T(answer));
            }
        }
        document.paths.paths.insert(path, item);
    }
}

fn id(method: &HttpMethod, path: &str) -> String {
    let method = serde_json::to_value(method).ok();
    let method = method
        .as_ref()
        .and_then(|method| method.as_str())
        .unwrap_or_default()
        .to_owned();
    let words = path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.fold(method, |id, word| format!("{id}_{word}"))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Delete, &mut item.delete),
        (HttpMethod::Options, &mut item.options),
        (HttpMethod::Head, &mut item.head),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Trace, &mut item.trace),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds an answer to all operations of a router.
pub(super) fn add_answer<S: Clone + Send + Sync + 'static>(
    router: &mut OpenApiRouter<S>,
    status: &str,
    answer: &utoipa::openapi::Response,
) {
    for item in router.get_openapi_mut().paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let answers = &mut operation.responses.responses;
            answers
                .entry(status.to_owned())
                .or_insert_with(|| RefOr::T(answer.clone()));
        }
    }
}
