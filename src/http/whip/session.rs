//! The requests on a session: changes of its ICE, and its end.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::body::text_of;
use super::refusals::NotServed;
use crate::http::desk::{Answer, NotDone, Token};
use crate::http::errors::HttpError;
use crate::http::openapi::answers::ErrorBody;
use crate::http::openapi::whip as described;
use crate::http::state::AppState;
use crate::signaling::whip::{self, Fragment, Precondition, TRICKLE_TYPE, Wish};

/// The token in the address of a session. One that nobody has is as good as one that is over.
fn token(text: &str) -> Result<Token, NotServed> {
    Token::read(text).ok_or(NotServed::Done(NotDone::UnknownToken))
}

/// Ask whether a session is there
///
/// It has no representation (RFC 9725 §4.1).
#[utoipa::path(
    get,
    path = "/whip/session/{token}",
    tag = "whip",
    params(("token" = String, Path, description = "Token of the session, as in its `Location`.")),
    responses(
        (status = 204, description = "It is there."),
        (status = 404, description = "There is no such session, or it is over.", body = ErrorBody),
    )
)]
pub(super) async fn show(State(state): State<AppState>, Path(text): Path<String>) -> Result<StatusCode, HttpError> {
    state.desk.connection(token(&text)?).map_err(NotServed::Done)?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a session
#[utoipa::path(
    delete,
    path = "/whip/session/{token}",
    tag = "whip",
    params(("token" = String, Path, description = "Token of the session, as in its `Location`.")),
    responses(
        (status = 200, description = "The session is over."),
        (status = 404, description = "There is no such session, or it is over.", body = ErrorBody),
    )
)]
pub(super) async fn end(State(state): State<AppState>, Path(text): Path<String>) -> Result<StatusCode, HttpError> {
    match state.desk.close(token(&text)?) {
        true => Ok(StatusCode::OK),
        false => Err(NotServed::Done(NotDone::UnknownToken).into()),
    }
}

/// Send candidates, or restart ICE
///
/// Candidates change nothing: the server finds clients by their own checks (ICE-lite, RFC 8445 §2.5). A new ICE user and password
/// restart ICE (RFC 9725 §4.3).
#[utoipa::path(
    patch,
    path = "/whip/session/{token}",
    tag = "whip",
    params(("token" = String, Path, description = "Token of the session, as in its `Location`."), ("If-Match" = Option<String>, Header, description = "`ETag` that was seen last, or `*` to restart ICE.")),
    request_body(content = String, description = "The fragment (RFC 8840 §9).", content_type = "application/trickle-ice-sdpfrag"),
    responses(described::Changed)
)]
// Takes candidates, which change nothing, or restarts ICE. Whoever names no state of the ICE that they have seen might mix up
// two of them (RFC 9725 §4.3.1).
pub(super) async fn change(
    State(state): State<AppState>,
    Path(text): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, HttpError> {
    let token = token(&text)?;
    let connection = state.desk.connection(token).map_err(NotServed::Done)?;
    let text = text_of(TRICKLE_TYPE, &headers, body)?;
    let named = headers.get_all(header::IF_MATCH).iter();
    let named = named.map(|value| value.to_str().unwrap_or_default());
    let from = match Precondition::read(named, &whip::etag(connection.number)) {
        Precondition::Missing => return Err(NotServed::NoPrecondition.into()),
        Precondition::Fails => return Err(NotServed::Done(NotDone::OtherState).into()),
        Precondition::Holds => Some(connection.number),
        Precondition::Any => None,
    };
    let fragment = Fragment::read(&text).map_err(NotServed::from)?;
    match fragment.wish(&connection.description) {
        Wish::Trickle => Ok(StatusCode::NO_CONTENT.into_response()),
        Wish::Restart { ufrag, pwd } => {
            let answer = state.desk.restart(token, from, ufrag, pwd).await;
            Ok(restarted(answer.map_err(NotServed::from)?))
        }
        Wish::RestartSeveral => Err(NotServed::RestartsSeveral.into()),
    }
}

fn restarted(Answer { sdp, number, .. }: Answer) -> Response {
    let headers = [
        (header::CONTENT_TYPE, TRICKLE_TYPE.to_owned()),
        (header::ETAG, whip::etag(number)),
    ];
    (StatusCode::OK, headers, whip::fragment_of(&sdp)).into_response()
}
