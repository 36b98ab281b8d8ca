//! Answers that several operations have.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder, schema};
use utoipa::{IntoResponses, ToSchema};

/// What a client gets with every status of an error, except below `/dapi` and in pages.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    /// Sentence for people: what is wrong, and what to do.
    pub error: String,
}

/// An error with a sentence.
pub(crate) fn error(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error")));
    let response = ResponseBuilder::new().description(description);
    response.content("application/json", content.build()).build()
}

/// The answers of what stands before every handler, unless it has one of its own with that status.
pub(super) fn everywhere() -> [(String, Response); 4] {
    [
        (
            "400".to_owned(),
            error("The request has no `Host` header, or more than one, or cannot be understood."),
        ),
        (
            "421".to_owned(),
            error("The server does not answer under this host name (`http.allowed_hosts`; RFC 9110 §15.5.20)."),
        ),
        (
            "431".to_owned(),
            ResponseBuilder::new()
                .description("The request line and the headers together have more than 16 KiB (RFC 6585 §5).")
                .build(),
        ),
        (
            "503".to_owned(),
            later(error(
                "The server took too long to answer, or has no place at the moment.",
            )),
        ),
    ]
}

/// The answer to a page of an origin that is not let in.
pub(crate) fn foreign_origin() -> Response {
    error("The `Origin` is not one of the server's own, and `http.allowed_origins` does not list it (RFC 6454).")
}

/// The answer, with the time after which to come again.
pub(super) fn later(mut answer: Response) -> Response {
    let seconds = schema::ObjectBuilder::new()
        .schema_type(schema::Type::Integer)
        .minimum(Some(0));
    let header = HeaderBuilder::new().schema(Some(seconds));
    let header = header.description(Some("Seconds after which to try again (RFC 9110 §10.2.3)."));
    answer.headers.insert("Retry-After".to_owned(), header.build().into());
    answer
}

/// The answers of a page.
pub(crate) struct Page;

impl IntoResponses for Page {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let text = schema::ObjectBuilder::new().schema_type(schema::Type::String);
        let content = ContentBuilder::new().schema(Some(text));
        let page = ResponseBuilder::new().description("The page.");
        [
            ("200", page.content("text/html", content.build()).build()),
            ("304", not_modified()),
        ]
        .map(|(status, answer)| (status.to_owned(), RefOr::T(answer)))
        .into()
    }
}

/// The answers of a file of the pages.
pub(crate) struct PageFile;

impl IntoResponses for PageFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let file = ResponseBuilder::new().description("The file, with the type of its name.");
        [
            ("200", file.content("*/*", ContentBuilder::new().build()).build()),
            ("304", not_modified()),
            ("404", not_found("There is no such file; the page that says so.")),
        ]
        .map(|(status, answer)| (status.to_owned(), RefOr::T(answer)))
        .into()
    }
}

fn not_modified() -> Response {
    let response = ResponseBuilder::new();
    response
        .description("The client has it already, as its `If-None-Match` says (RFC 9110 §13.1.2).")
        .build()
}

fn not_found(description: &str) -> Response {
    let text = schema::ObjectBuilder::new().schema_type(schema::Type::String);
    let content = ContentBuilder::new().schema(Some(text));
    let response = ResponseBuilder::new().description(description);
    response.content("text/html", content.build()).build()
}

/// The answers of a path that speaks WebSocket.
pub(crate) struct Socket;

impl IntoResponses for Socket {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let switched =
            ResponseBuilder::new().description("The connection is a WebSocket from here on (RFC 6455 §4.2.2).");
        [
            ("101", switched.build()),
            (
                "426",
                error("The request is not for a WebSocket of version 13; `Upgrade` and `Sec-WebSocket-Version` say what is spoken (RFC 9110 §15.5.22)."),
            ),
            ("503", later(error("No more clients are taken on at the moment, or the server is stopping."))),
        ]
        .map(|(status, answer)| (status.to_owned(), RefOr::T(answer)))
        .into()
    }
}
