//! Parameters, answers and headers that the operations of WHIP and WHEP share.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, RefOr, Response, ResponseBuilder, ResponsesBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::answers::{error, later};
use crate::signaling::whip::{OFFER_TYPE, TRICKLE_TYPE};

/// The answers to an offer.
pub(crate) struct Opened;

impl IntoResponses for Opened {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let created = answer(
            "The session is made; the body is the answer.",
            OFFER_TYPE,
            &[
                ("Location", "Address of the session (RFC 9725 §4.2)."),
                ("ETag", "State of its ICE (RFC 9725 §4.3.1)."),
            ],
        );
        listed([
            (201, created),
            (
                400,
                error("The offer cannot be answered, with the reason; or a name or the query is wrong."),
            ),
            (401, error("The token is missing or not valid.")),
            (
                403,
                error(
                    "The token is somebody else's, or the password is wrong, or the user is not known, or may not publish; or the origin is not let in.",
                ),
            ),
            (
                409,
                later(error(
                    "The name belongs to somebody who has proven it; or the user who is to be received is not there.",
                )),
            ),
            (413, error("The offer has more than 65536 bytes.")),
            (415, error("The body has another type than `application/sdp`.")),
            (429, later(error("Too many wrong passwords."))),
            (500, error("Storage failed; the server's log says why.")),
        ])
    }
}

/// The answers to a change of a session's ICE.
pub(crate) struct Changed;

impl IntoResponses for Changed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let etag = [("ETag", "New state of the ICE (RFC 9725 §4.3.1).")];
        listed([
            (
                200,
                answer(
                    "ICE is restarted; the body has the server's user and password.",
                    TRICKLE_TYPE,
                    &etag,
                ),
            ),
            (
                204,
                ResponseBuilder::new().description("Candidates were taken.").build(),
            ),
            (400, error("The fragment cannot be read.")),
            (404, error("There is no such session, or it is over.")),
            (
                412,
                error("ICE was restarted since the `ETag` in `If-Match` (RFC 9110 §13.1.1)."),
            ),
            (413, error("The body has more than 65536 bytes.")),
            (
                415,
                error("The body has another type than `application/trickle-ice-sdpfrag`."),
            ),
            (422, error("ICE of an offer with several transports is not restarted.")),
            (428, error("`If-Match` is missing (RFC 6585 §3).")),
            (429, later(error("Too many restarts."))),
        ])
    }
}

fn listed<const COUNT: usize>(answers: [(u16, Response); COUNT]) -> BTreeMap<String, RefOr<Response>> {
    answers
        .map(|(status, answer)| (status.to_string(), RefOr::T(answer)))
        .into()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn answer(description: &str, content_type: &str, headers: &[(&str, &str)]) -> Response {
    let content = ContentBuilder::new().schema(Some(text()));
    let mut answer = ResponseBuilder::new()
        .description(description)
        .content(content_type, content.build());
    for (name, description) in headers {
        let header = HeaderBuilder::new()
            .schema(Some(text()))
            .description(Some(*description));
        answer = answer.header(*name, header.build());
    }
    answer.build()
}

/// Adds GET, which shows nothing, where a path has only POST, and OPTIONS, which the guard of the routes answers.
pub(crate) fn completed<S: Clone + Send + Sync + 'static>(mut router: OpenApiRouter<S>) -> OpenApiRouter<S> {
    for item in router.get_openapi_mut().paths.paths.values_mut() {
        let parameters = [&item.post, &item.get]
            .into_iter()
            .flatten()
            .find_map(|known| known.parameters.clone());
        let parameters: Vec<Parameter> = parameters.unwrap_or_default().into_iter().filter_map(in_path).collect();
        let operation = |summary: &str, status: &str, answer: Response| {
            let answers = ResponsesBuilder::new().response(status, answer);
            OperationBuilder::new()
                .tag("whip")
                .summary(Some(summary))
                .parameters(Some(parameters.clone()))
                .responses(answers)
                .build()
        };
        let nothing = ResponseBuilder::new().description("There is nothing to show (RFC 9725 §4.1).");
        let accepted = if item.post.is_some() {
            "Accept-Post"
        } else {
            "Accept-Patch"
        };
        let header = HeaderBuilder::new()
            .schema(Some(text()))
            .description(Some("Content type of bodies."));
        let options = ResponseBuilder::new()
            .description("What may be sent here.")
            .header(accepted, header.build());
        let get = operation("Ask an endpoint of WHIP or WHEP for nothing", "204", nothing.build());
        item.get.get_or_insert(get);
        item.options = Some(operation("Ask what may be sent", "200", options.build()));
    }
    router
}

fn in_path(parameter: RefOr<Parameter>) -> Option<Parameter> {
    match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path => Some(parameter),
        _ => None,
    }
}
