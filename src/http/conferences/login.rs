//! The login, and devices that are registered by the session id of one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::asked::Asked;
use super::refusals::{Refused, unstored};
use crate::channels::{ChannelError, Requester};
use crate::http::state::AppState;
use crate::ids::UserId;
use crate::shares::ClientAddress;
use crate::signaling::conferences::{self as wire, Coded, Device, LoggedInUser, Login, Nothing};
use crate::storage::PushDevice;

/// Log a user in
///
/// The fields may also be in the query. A wrong password and an account that does not exist have the same answer, after the same
/// time.
#[utoipa::path(
    post,
    path = "/api/v3/app/user/login/verify_user.shtml",
    tag = "conferences",
    request_body(content((Login = "application/json"), (Login = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "The user, or why nobody is logged in.", body = Coded<LoggedInUser>))
)]
pub(super) async fn log_in(state: State<AppState>, asked: Asked) -> Response {
    verify(state, asked).await
}

/// Log a user in, by the query
#[utoipa::path(
    get,
    path = "/api/v3/app/user/login/verify_user.shtml",
    tag = "conferences",
    params(Login),
    responses((status = 200, description = "The user, or why nobody is logged in.", body = Coded<LoggedInUser>))
)]
pub(super) async fn log_in_by_query(state: State<AppState>, asked: Asked) -> Response {
    verify(state, asked).await
}

async fn verify(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let Login { account, pwd } = Login::read(asked.fields.as_ref()?);
        let logged_in = state.conferences.log_in(&account, &pwd, asked.client).await?;
        Ok(wire::logged_in(logged_in, &asked.host))
    };
    let outcome = outcome.await;
    coded(&state, StatusCode::OK, outcome)
}

/// Let calls ring at a device
///
/// By its push service. The header `sessionId` has the session id of a login that is not older than three minutes.
#[utoipa::path(
    post,
    path = "/api/v3/app/registrations/jpush_token",
    tag = "conferences",
    params(("sessionId" = String, Header, description = "Session id of a login.")),
    request_body(content((Device = "application/json"), (Device = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "Calls ring there, or why they do not.", body = Coded<Nothing>),
        (status = 401, description = "The session id is missing or too old, or the credentials are wrong.", body = Coded<Nothing>),
    )
)]
pub(super) async fn add_device(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let session = asked.session().ok_or_else(Refused::unauthorized)?;
        let account = state.conferences.owner_of_session(session).await?;
        if let Some(credentials) = asked.credentials() {
            let shown = state
                .conferences
                .authenticate(account.as_str(), &credentials, asked.client);
            shown.await?;
        }
        let device = Device::read(asked.fields.as_ref()?).ok_or_else(no_device)?;
        set_device(&state, asked.client, &account, device).await?;
        Ok(Nothing {})
    };
    let outcome = outcome.await;
    coded(&state, StatusCode::UNAUTHORIZED, outcome)
}

/// Let calls no longer ring at a device
///
/// When somebody logs out. The session id may be left out where there are credentials.
#[utoipa::path(
    post,
    path = "/api/v3/app/registrations/del_jpush_token",
    tag = "conferences",
    params(("sessionId" = Option<String>, Header, description = "Session id of a login.")),
    request_body(content((Device = "application/json"), (Device = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "Calls do not ring there.", body = Coded<Nothing>),
        (status = 401, description = "There is neither a valid session id, nor valid credentials.", body = Coded<Nothing>),
    )
)]
pub(super) async fn remove_device(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let by_session = match asked.session() {
            Some(session) => state.conferences.owner_of_session(session).await.ok(),
            None => None,
        };
        let account = match (by_session, asked.credentials()) {
            (Some(account), _) => account,
            (None, Some(shown)) => {
                state
                    .conferences
                    .authenticate(&shown.user, &shown, asked.client)
                    .await?
            }
            (None, None) => return Err(Refused::unauthorized()),
        };
        let device = Device::read(asked.fields.as_ref()?).ok_or_else(no_device)?;
        forget_device(&state, asked.client, &account, device).await?;
        Ok(Nothing {})
    };
    let outcome = outcome.await;
    coded(&state, StatusCode::UNAUTHORIZED, outcome)
}

fn no_device() -> Refused {
    let sentence = "the device is missing: its id, and its type, which is ios or android";
    Refused::new(StatusCode::BAD_REQUEST, sentence)
}

/// Answers with a code. A refusal for want of a proof has the status `unproven`; others have 200.
pub(super) fn coded<T: Serialize>(state: &AppState, unproven: StatusCode, outcome: Result<T, Refused>) -> Response {
    let status = match &outcome {
        Err(refused) if refused.status == StatusCode::UNAUTHORIZED => unproven,
        _ => StatusCode::OK,
    };
    let outcome = outcome.map_err(|refused| (refused.status.as_u16(), refused.sentence));
    let zone = state.config.dapi.zone();
    unstored(status, &wire::coded(state.conferences.now_s(), &zone, outcome))
}

/// Somebody who has proven who they are.
fn proven(client: ClientAddress) -> Requester {
    let is_trusted = true;
    Requester { client, is_trusted }
}

/// Lets calls to the user ring at this device. Where they have as many as they may, the one that was set longest ago gives way: it
/// belongs to an app that was removed.
pub(super) async fn set_device(
    state: &AppState,
    client: ClientAddress,
    account: &UserId,
    device: PushDevice,
) -> Result<(), ChannelError> {
    let channels = &state.channels;
    match channels.set_device(proven(client), account, device.clone()).await {
        Err(ChannelError::TooManyDevices) => {}
        outcome => return outcome,
    }
    if let Some(oldest) = state.records.push_devices(account).await?.pop() {
        forget_device(state, client, account, oldest).await?;
    }
    channels.set_device(proven(client), account, device).await
}

pub(super) async fn forget_device(
    state: &AppState,
    client: ClientAddress,
    account: &UserId,
    device: PushDevice,
) -> Result<(), ChannelError> {
    let device = PushDevice {
        token: String::new(),
        ..device
    };
    state.channels.set_device(proven(client), account, device).await
}
