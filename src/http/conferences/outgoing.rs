//! Calls that apps announce before they begin them, and whose name a request is in.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::asked::Asked;
use super::login::coded;
use super::refusals::Refused;
use crate::http::desk::Token;
use crate::http::state::AppState;
use crate::ids::UserId;
use crate::signaling::conferences::{self as wire, Coded, Nothing, OutgoingCall};
use crate::storage::NotLoggedIn;

/// Announce a call
///
/// What it says about the call is passed on to the callee when the call begins, by `new_session`, within half a minute. Nothing rings
/// yet. Who asks shows credentials, the session id of a login, or the token of a registration; for others nothing is passed on.
#[utoipa::path(
    post,
    path = "/api/v3/meet/conference/meet/dot_out_call.shtml",
    tag = "conferences",
    params(("sessionId" = Option<String>, Header, description = "Session id of a login.")),
    request_body(content((OutgoingCall = "application/json"), (OutgoingCall = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "It is announced, or why not.", body = Coded<Nothing>))
)]
pub(super) async fn announce(state: State<AppState>, asked: Asked) -> Response {
    announced(state, asked).await
}

/// Announce a call, as apps of one company do
///
/// As the other request of that name.
#[utoipa::path(
    post,
    path = "/api/v3/app/conference/meet/dot_out_call.shtml",
    tag = "conferences",
    params(("sessionId" = Option<String>, Header, description = "Session id of a login.")),
    request_body(content((OutgoingCall = "application/json"), (OutgoingCall = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "It is announced, or why not.", body = Coded<Nothing>))
)]
pub(super) async fn announce_in_company(state: State<AppState>, asked: Asked) -> Response {
    announced(state, asked).await
}

async fn announced(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let call = OutgoingCall::read(asked.fields.as_ref()?);
        let caller = caller(&state, &asked).await?;
        let callee = wire::name_in_path(&call.remote_account);
        let known = match caller {
            Some(caller) => state.conferences.prepare(caller, &callee, call.details()).await?,
            None => state.conferences.is_account(&callee).await?.then_some(()),
        };
        known.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "there is no such account"))?;
        Ok::<_, Refused>(Nothing {})
    };
    let outcome = outcome.await;
    coded(&state, StatusCode::OK, outcome)
}

/// The user in whose name a request is, if it shows any proof: credentials, which must be right, the token of a registration, or the
/// session id of a login.
pub(super) async fn caller(state: &AppState, asked: &Asked) -> Result<Option<UserId>, Refused> {
    if let Some(credentials) = asked.credentials() {
        let user = state.conferences.caller(&credentials, asked.client).await?;
        return Ok(Some(user));
    }
    let registration = asked.fields.as_ref().ok().and_then(wire::registration_token);
    let registered = registration.and_then(Token::read);
    if let Some(user) = registered.and_then(|token| state.registrations.account_of(token)) {
        return Ok(Some(user));
    }
    match asked.session() {
        None => Ok(None),
        Some(session) => match state.conferences.owner_of_session(session).await {
            Ok(user) => Ok(Some(user)),
            // Apps send the session id of their last login, however old it is.
            Err(NotLoggedIn::Wrong) => Ok(None),
            Err(error) => Err(error.into()),
        },
    }
}
