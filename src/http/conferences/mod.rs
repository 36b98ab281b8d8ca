//! The requests of conferences: their routes, fields and headers. [`crate::signaling::conferences`] describes the format; sessions
//! are at the desk ([`super::desk`]), each with an entry that its client renews.

mod asked;
mod calls;
mod dialing;
mod events;
mod joining;
mod login;
mod outgoing;
mod participants;
mod referrals;
mod refusals;
mod registrations;
mod requests;
mod sessions;
mod streams;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::asked::Asked;
use self::events::{COMMENT_EVERY, Following};
pub(crate) use self::participants::Participants;
use self::refusals::{Refused, answer};
use self::registrations::LASTS;
pub(crate) use self::registrations::Registrations;
use super::open_sockets::with_connect;
use super::origin::{self, Origins, Sharing};
use super::state::AppState;
use super::whole::{self, Whole};
use crate::signaling::conferences::{self as wire, Device, Done, Ended, Failed, Refreshed, Registration, TokenField};

/// Bytes of the longest body: two short texts, several times over.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the body of a request of a participant: an offer of the greatest length that any family takes, with every byte escaped.
const REQUEST_BYTES_MAX: usize = 128 * 1024 + BODY_BYTES_MAX;

/// Headers that pages of other origins send.
const SENT: [&str; 11] = [
    "x-cloud-authorization",
    "sessionid",
    "token",
    "pin",
    "role",
    "rtc-user-agent",
    "real-owner",
    "randdtm",
    "devid",
    "md5token",
    "x-requested-with",
];

fn sharing() -> Sharing {
    let headers = SENT.map(HeaderName::from_static).into_iter();
    Sharing::of([Method::GET, Method::POST]).sending(headers.chain([header::AUTHORIZATION]))
}

/// Requests that may wait for somebody: for as long as the session lasts.
pub(super) fn patient_router(origins: &Origins) -> OpenApiRouter<AppState> {
    let requests = OpenApiRouter::new()
        .routes(routes!(calls::call))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    origin::guarded(requests, origins, sharing())
}

pub(super) fn router(origins: &Origins) -> OpenApiRouter<AppState> {
    let requests = OpenApiRouter::new()
        .routes(routes!(login::log_in, login::log_in_by_query))
        .routes(routes!(login::add_device))
        .routes(routes!(login::remove_device))
        .routes(routes!(joining::check_join))
        .routes(routes!(outgoing::announce))
        .routes(routes!(outgoing::announce_in_company))
        .routes(routes!(register))
        .routes(routes!(refresh))
        .routes(routes!(end))
        .routes(routes!(leave_conference))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Whole::new(BODY_BYTES_MAX, too_many), whole::run));
    let events = OpenApiRouter::new().routes(routes!(follow));
    let of_participants = OpenApiRouter::new()
        .routes(routes!(sessions::enter))
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::follow))
        .routes(with_connect(routes!(sessions::converse), sessions::converse))
        .routes(routes!(requests::status))
        .routes(routes!(requests::list))
        .routes(routes!(requests::say))
        .routes(routes!(dialing::dial))
        .routes(routes!(requests::command))
        .routes(routes!(requests::want_videos))
        .routes(routes!(requests::command_participant))
        .routes(routes!(calls::step))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    origin::guarded(requests.merge(events).merge(of_participants), origins, sharing())
}

fn too_many() -> Response {
    let sentence = "the server is working on as many requests as it may; try again later";
    answer::<()>(Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, sentence)))
}

/// Register an account
///
/// Calls to it ring here for 120 s, and longer where the registration is refreshed. The header `Authorization` or
/// `X-Cloud-Authorization` has the credentials: `x-cloud-basic ` and the base 64 of `USER:PASSWORD`. With a device, calls ring there
/// too, by its push service, until `end_session`.
#[utoipa::path(
    post,
    path = "/api/registrations/{account}/new_session",
    tag = "conferences",
    params(("account" = String, Path, max_length = 256, description = "Account, with a domain or without.")),
    request_body(content((Option<Device> = "application/json"), (Option<Device> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The registration.", body = Done<Registration>),
        (status = 400, description = "The body is neither JSON nor a form.", body = Failed),
        (status = 401, description = "The credentials are wrong or missing.", body = Failed),
        (status = 429, description = "There were too many wrong passwords, or too many registrations from this address.", body = Failed),
        (status = 503, description = "There is no place, or storage failed.", body = Failed),
    )
)]
async fn register(State(state): State<AppState>, Path(account): Path<String>, asked: Asked) -> Response {
    let outcome = async {
        let credentials = asked.credentials().ok_or_else(Refused::unauthorized)?;
        let account = wire::name_in_path(&account);
        let account = state
            .conferences
            .authenticate(&account, &credentials, asked.client)
            .await?;
        let device = Device::read(asked.fields.as_ref()?);
        if let Some(device) = &device {
            login::set_device(&state, asked.client, &account, device.clone()).await?;
        }
        let token = state.registrations.open(&account, device, asked.client).await?;
        Ok::<_, Refused>(wire::registration(token.text(), LASTS.as_secs()))
    };
    answer(outcome.await)
}

/// Refresh a registration
#[utoipa::path(
    post,
    path = "/api/registrations/{account}/refresh_session",
    tag = "conferences",
    params(("account" = String, Path, max_length = 256, description = "Account, with a domain or without.")),
    request_body(content((TokenField = "application/json"), (TokenField = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It lasts for another 120 s.", body = Done<Refreshed>),
        (status = 400, description = "The body is neither JSON nor a form.", body = Failed),
        (status = 401, description = "There is no such registration of this account, or it is over.", body = Failed),
    )
)]
async fn refresh(State(state): State<AppState>, Path(account): Path<String>, asked: Asked) -> Response {
    let outcome = || {
        asked.fields.as_ref()?;
        let token = asked.entry()?;
        state.registrations.refresh(token, &wire::name_in_path(&account))?;
        Ok::<_, Refused>(wire::refreshed(token.text(), LASTS.as_secs()))
    };
    answer(outcome())
}

/// End a registration
///
/// Calls no longer ring at the device that it came with.
#[utoipa::path(
    post,
    path = "/api/registrations/{account}/end_session",
    tag = "conferences",
    params(
        ("account" = String, Path, max_length = 256, description = "Account, with a domain or without."),
        ("token" = Option<String>, Query, description = "Token of the registration."),
    ),
    request_body(content((Option<TokenField> = "application/json"), (Option<TokenField> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It is over.", body = Ended),
        (status = 401, description = "There is no such registration of this account, or it is over.", body = Failed),
        (status = 503, description = "Storage failed.", body = Failed),
    )
)]
async fn end(State(state): State<AppState>, Path(account): Path<String>, asked: Asked) -> Response {
    let outcome = async {
        let account = wire::name_in_path(&account);
        let (account, device) = state.registrations.close(asked.entry()?, &account)?;
        if let Some(device) = device {
            login::forget_device(&state, asked.client, &account, device).await?;
        }
        Ok::<_, Refused>(true)
    };
    answer(outcome.await)
}

/// Follow the events of a registration
///
/// `incoming`: a call rings. `incoming_cancelled`: it no longer does. A comment comes when nothing else has come for 15 s. The stream
/// ends with the registration, or when a newer one begins.
#[utoipa::path(
    get,
    path = "/api/registrations/{account}/events",
    tag = "conferences",
    params(
        ("account" = String, Path, max_length = 256, description = "Account, with a domain or without."),
        ("token" = String, Query, description = "Token of the registration."),
    ),
    responses(
        (status = 200, description = "The events (Server-Sent Events).", body = String, content_type = "text/event-stream"),
        (status = 401, description = "There is no such registration of this account, or it is over.", body = Failed),
    )
)]
async fn follow(State(state): State<AppState>, Path(account): Path<String>, asked: Asked) -> Response {
    let begun = asked.entry().and_then(|token| {
        let followed = state.registrations.follow(token, &wire::name_in_path(&account))?;
        Ok((token, followed))
    });
    match begun {
        Err(refused) => answer::<()>(Err(refused.into())),
        Ok((token, followed)) => {
            let events = Following::new(state, token, followed, asked.host).stream();
            let comments = KeepAlive::new().interval(COMMENT_EVERY);
            let headers = [(header::CACHE_CONTROL, "no-store")];
            (headers, Sse::new(events).keep_alive(comments)).into_response()
        }
    }
}

/// Leave a conference, or refuse a call
///
/// The token is that of a session, which ends, or the one-time token of a call that rings.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/end_session",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference of the session or of the call, or the caller."),
        ("token" = Option<String>, Query, description = "Token of the session, or one-time token of the call."),
    ),
    request_body(content((Option<TokenField> = "application/json"), (Option<TokenField> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The session has ended, or the call is refused.", body = Ended),
        (status = 403, description = "The token is not valid, or not any more.", body = Failed),
        (status = 404, description = "The token is for another conference.", body = Failed),
        (status = 503, description = "There is no place.", body = Failed),
    )
)]
async fn leave_conference(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    let outcome = async {
        let place = wire::name_in_path(&conference);
        if asked.entry().is_ok_and(|token| state.participants.close(token, &place)) {
            return Ok(true);
        }
        let token = asked.token().unwrap_or_default();
        state.conferences.refuse(token, &place, asked.client).await?;
        Ok::<_, Refused>(true)
    };
    answer(outcome.await)
}
