//! Accounts over HTTP: every request a `POST` with a JSON object, every answer status 200 with a JSON object.
//!
//! | path | fields | answers `errorCode`, `errorCodeName`, `message`, and |
//! |---|---|---|
//! | `/account/login` | `phone`, `device_id` | `token`, empty on an error. The account and the device are made by their first login |
//! | `/getContactPersons` | `phone`, `token` | `contacts`: `{phone, device_id}` for each device of each contact; null on an error |
//! | `/account/contacts/add` | `phone`, `token`, `contact` | `contacts`, as they are then. This server's own |
//! | `/account/contacts/remove` | `phone`, `token`, `contact` | `contacts`, as they are then. This server's own |
//!
//! A contact's devices are listed once both have added each other (`accounts.mutual_contacts`). Adding is answered alike
//! whether or not somebody has logged in with that number.
//!
//! All fields are texts. The codes are those of [`Code`]; the messages of success are spelled as clients know them.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::state::AppState;
use crate::accounts::AccountError;
use crate::signaling::json;
use crate::storage::DeviceRecord;

/// A request: a token and two short texts, several times over.
const BODY_BYTES_MAX: usize = 16 * 1024;

const LOGGED_IN: &str = "login sucess";
const CONTACTS_FOUND: &str = "get contact persons sucess";
const CONTACTS_CHANGED: &str = "change contact persons success";

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/account/login", post(log_in))
        .route("/getContactPersons", post(contacts))
        .route("/account/contacts/add", post(add_contact))
        .route("/account/contacts/remove", post(remove_contact))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Done = 0,
    /// Not now: the server failed and its log says why, or the client's network has used up its share of logins.
    Internal = 1,
    /// No JSON object, or a field that is missing or no text; a contact that cannot be one.
    DataInvalid = 2,
    /// Not eleven digits, or a number that is not known here.
    PhoneInvalid = 3,
    /// Not valid any more, of another server, of another shape, or of another account.
    TokenInvalid = 4,
    DeviceInvalid = 5,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Code::Done => "ERROR_CODE_NONE",
            Code::Internal => "ERROR_CODE_INTERNAL_ERROR",
            Code::DataInvalid => "ERROR_CODE_DATA_INVALID",
            Code::PhoneInvalid => "ERROR_CODE_PHONE_INVALID",
            Code::TokenInvalid => "ERROR_CODE_TOKEN_INVALID",
            Code::DeviceInvalid => "ERROR_CODE_DEVICE_INVALID",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<T> {
    error_code: i32,
    error_code_name: &'static str,
    message: String,
    #[serde(flatten)]
    content: T,
}

#[derive(Default, Serialize)]
struct Token {
    token: String,
}

#[derive(Default, Serialize)]
struct Contacts {
    contacts: Option<Vec<Contact>>,
}

#[derive(Serialize)]
struct Contact {
    phone: String,
    device_id: String,
}

/// Texts only, unlike the names in signaling messages, which may be numbers: the interface that clients know tells a field of
/// a wrong type (2) from a text that is no phone number (3), and a number is of a wrong type.
#[derive(Deserialize)]
struct Login {
    phone: String,
    device_id: String,
}

#[derive(Deserialize)]
struct Question {
    phone: String,
    token: String,
}

#[derive(Deserialize)]
struct Change {
    phone: String,
    token: String,
    contact: String,
}

/// Why a request is not served.
enum Refused {
    /// The body cannot be understood.
    Data,
    Account(AccountError),
}

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Self {
        Refused::Account(error)
    }
}

type Body = Result<Bytes, BytesRejection>;

async fn log_in(State(state): State<AppState>, Client(client): Client, body: Body) -> Response {
    let outcome = async {
        let login: Login = read(body)?;
        let token = state.accounts.log_in(&login.phone, &login.device_id, client).await?;
        Ok(Token { token })
    };
    answer(LOGGED_IN, outcome.await)
}

async fn contacts(State(state): State<AppState>, body: Body) -> Response {
    let outcome = async {
        let question: Question = read(body)?;
        list(&state, &question.phone, &question.token).await
    };
    answer(CONTACTS_FOUND, outcome.await)
}

async fn add_contact(State(state): State<AppState>, Client(client): Client, body: Body) -> Response {
    let outcome = async {
        let change: Change = read(body)?;
        let Change { phone, token, contact } = &change;
        state.accounts.add_contact(phone, token, contact, client).await?;
        list(&state, phone, token).await
    };
    answer(CONTACTS_CHANGED, outcome.await)
}

async fn remove_contact(State(state): State<AppState>, Client(client): Client, body: Body) -> Response {
    let outcome = async {
        let change: Change = read(body)?;
        let Change { phone, token, contact } = &change;
        state.accounts.remove_contact(phone, token, contact, client).await?;
        list(&state, phone, token).await
    };
    answer(CONTACTS_CHANGED, outcome.await)
}

async fn list(state: &AppState, phone: &str, token: &str) -> Result<Contacts, Refused> {
    let devices = state.accounts.contacts(phone, token).await?;
    let contact = |DeviceRecord { phone, device_id }| Contact { phone, device_id };
    Ok(Contacts {
        contacts: Some(devices.into_iter().map(contact).collect()),
    })
}

fn read<T: for<'de> Deserialize<'de>>(body: Body) -> Result<T, Refused> {
    let body = body.map_err(|_| Refused::Data)?;
    let message = std::str::from_utf8(&body).ok().and_then(json::parse);
    message.as_ref().and_then(json::fields).ok_or(Refused::Data)
}

fn answer<T: Default + Serialize>(done: &str, outcome: Result<T, Refused>) -> Response {
    let (code, message, content) = match outcome {
        Ok(content) => (Code::Done, done.to_owned(), content),
        Err(Refused::Data) => {
            let sentence = "the body is not a JSON object with the texts that are needed".to_owned();
            (Code::DataInvalid, sentence, T::default())
        }
        Err(Refused::Account(error)) => (code_of(&error), error.to_string(), T::default()),
    };
    let answer = Answer {
        error_code: code as i32,
        error_code_name: code.name(),
        message,
        content,
    };
    // It may hold a token.
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn code_of(error: &AccountError) -> Code {
    match error {
        AccountError::BadPhone | AccountError::UnknownPhone => Code::PhoneInvalid,
        AccountError::BadDevice | AccountError::TooManyAccounts | AccountError::ShareUsedUp => Code::DeviceInvalid,
        AccountError::TooManyChanges { .. } | AccountError::TooManyNewAccounts { .. } => Code::Internal,
        AccountError::BadToken => Code::TokenInvalid,
        AccountError::OwnContact | AccountError::Contact(_) => Code::DataInvalid,
        AccountError::Storage(cause) => {
            metrics::counter!("patchbay_storage_errors_total").increment(1);
            let cause: &(dyn std::error::Error + 'static) = cause.as_ref();
            tracing::error!(cause, "storage failed; an account could not be served");
            Code::Internal
        }
    }
}
