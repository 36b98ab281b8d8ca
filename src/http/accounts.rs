//! The requests about accounts: their client, their length, and failures for the log. [`crate::signaling::accounts`]
//! knows their contents.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::Client;
use super::state::AppState;
use crate::accounts::AccountError;
use crate::signaling::accounts::{
    self as wire, AccountAnswer, AccountChange, AccountQuery, Contacts, Done, IssuedToken, Login, Refused,
};

/// Bytes of the longest request: a token and two short texts, several times over.
const BODY_BYTES_MAX: usize = 16 * 1024;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(log_in))
        .routes(routes!(contacts))
        .routes(routes!(add_contact))
        .routes(routes!(remove_contact))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

type Body = Result<Bytes, BytesRejection>;

/// Log a device in
///
/// Makes the account and the device at their first login.
#[utoipa::path(
    post,
    path = "/account/login",
    tag = "accounts",
    request_body = Login,
    responses((status = 200, description = "A token, or why there is none.", body = AccountAnswer<IssuedToken>))
)]
async fn log_in(State(state): State<AppState>, Client(client): Client, body: Body) -> Response {
    let outcome = async {
        let login: Login = read(body)?;
        let token = state.accounts.log_in(&login.phone, &login.device_id, client).await?;
        Ok(IssuedToken { token })
    };
    answer(Done::LoggedIn, outcome.await)
}

/// List contacts
///
/// The devices of the account's contacts; with `accounts.mutual_contacts`, of those who have added this account, too.
#[utoipa::path(
    post,
    path = "/getContactPersons",
    tag = "accounts",
    request_body = AccountQuery,
    responses((status = 200, description = "The contacts, or why they are not listed.", body = AccountAnswer<Contacts>))
)]
async fn contacts(State(state): State<AppState>, body: Body) -> Response {
    let outcome = async {
        let question: AccountQuery = read(body)?;
        list(&state, &question.phone, &question.token).await
    };
    answer(Done::ContactsFound, outcome.await)
}

/// Add a contact
///
/// The answer does not depend on whether somebody has logged in with that number.
#[utoipa::path(
    post,
    path = "/account/contacts/add",
    tag = "accounts",
    request_body = AccountChange,
    responses((status = 200, description = "The contacts as they are then, or why nothing was changed.", body = AccountAnswer<Contacts>))
)]
async fn add_contact(State(state): State<AppState>, Client(client): Client, body: Body) -> Response {
    let outcome = async {
        let change: AccountChange = read(body)?;
        let AccountChange { phone, token, contact } = &change;
        state.accounts.add_contact(phone, token, contact, client).await?;
        list(&state, phone, token).await
    };
    answer(Done::ContactsChanged, outcome.await)
}

/// Remove a contact
#[utoipa::path(
    post,
    path = "/account/contacts/remove",
    tag = "accounts",
    request_body = AccountChange,
    responses((status = 200, description = "The contacts as they are then, or why nothing was changed.", body = AccountAnswer<Contacts>))
)]
async fn remove_contact(State(state): State<AppState>, Client(client): Client, body: Body) -> Response {
    let outcome = async {
        let change: AccountChange = read(body)?;
        let AccountChange { phone, token, contact } = &change;
        state.accounts.remove_contact(phone, token, contact, client).await?;
        list(&state, phone, token).await
    };
    answer(Done::ContactsChanged, outcome.await)
}

async fn list(state: &AppState, phone: &str, token: &str) -> Result<Contacts, Refused> {
    let devices = state.accounts.contacts(phone, token).await?;
    Ok(wire::contacts(devices))
}

fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let body = body.map_err(|_| Refused::Data)?;
    wire::read(&body)
}

fn answer<T: Default + Serialize>(done: Done, outcome: Result<T, Refused>) -> Response {
    if let Err(Refused::Account(AccountError::Storage(cause))) = &outcome {
        metrics::counter!("patchbay_storage_errors_total").increment(1);
        let cause: &(dyn std::error::Error + 'static) = cause.as_ref();
        tracing::error!(cause, "storage failed; an account could not be served");
    }
    // The answer may hold a token.
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, Json(wire::answer(done, outcome))).into_response()
}
