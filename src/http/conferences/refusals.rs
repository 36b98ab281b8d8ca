//! Why a request is not served: the status, and the sentence for whoever sent it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::registrations::NotRegistered;
use crate::channels::ChannelError;
use crate::conferences::{NoDestination, NotDialed, NotRefused};
use crate::domain::Refusal;
use crate::http::desk::{NotDone, NotReceived};
use crate::http::errors::HttpError;
use crate::media::description::OfferError;
use crate::signaling::conferences::meeting::NoCommand;
use crate::signaling::conferences::{self as wire, Unreadable};
use crate::storage::{NoEntry, NotLoggedIn};

/// A refusal.
pub(super) struct Refused {
    pub status: StatusCode,
    pub sentence: String,
}

impl Refused {
    pub fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self { status, sentence }
    }

    pub fn unauthorized() -> Self {
        NotLoggedIn::Wrong.into()
    }

    pub fn bad(sentence: &str) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, sentence)
    }

    pub fn forbidden(sentence: &str) -> Self {
        Refused::new(StatusCode::FORBIDDEN, sentence)
    }

    pub fn missing(sentence: &str) -> Self {
        Refused::new(StatusCode::NOT_FOUND, sentence)
    }

    fn no_place(error: &dyn std::error::Error) -> Self {
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<&Unreadable> for Refused {
    fn from(error: &Unreadable) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<NotLoggedIn> for Refused {
    fn from(error: NotLoggedIn) -> Self {
        let status = match &error {
            NotLoggedIn::Wrong => StatusCode::UNAUTHORIZED,
            NotLoggedIn::TooManyGuesses { .. } => StatusCode::TOO_MANY_REQUESTS,
            NotLoggedIn::Storage(cause) => {
                note_storage_failure(cause.as_ref());
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Refused::new(status, error.to_string())
    }
}

impl From<NoEntry> for Refused {
    fn from(error: NoEntry) -> Self {
        let status = match &error {
            NoEntry::Unknown => StatusCode::NOT_FOUND,
            NoEntry::PinRequired { .. } | NoEntry::WrongPin => StatusCode::FORBIDDEN,
            NoEntry::TooManyTries { .. } => StatusCode::TOO_MANY_REQUESTS,
            NoEntry::Storage(cause) => {
                note_storage_failure(cause.as_ref());
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Refused::new(status, error.to_string())
    }
}

impl From<ChannelError> for Refused {
    fn from(error: ChannelError) -> Self {
        if let ChannelError::Storage(cause) = &error {
            note_storage_failure(cause);
        }
        Refused::no_place(&error)
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        NotLoggedIn::Storage(error.into()).into()
    }
}

impl From<NotRegistered> for Refused {
    fn from(error: NotRegistered) -> Self {
        match error {
            NotRegistered::Received(error) => error.into(),
            NotRegistered::Done(error) => error.into(),
        }
    }
}

impl From<NotReceived> for Refused {
    fn from(error: NotReceived) -> Self {
        match error {
            NotReceived::TooOften(_) => Refused::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
            NotReceived::NoPlace(_) => Refused::no_place(&error),
        }
    }
}

impl From<NoDestination> for Refused {
    fn from(error: NoDestination) -> Self {
        let status = match error {
            NoDestination::OldToken => StatusCode::FORBIDDEN,
            NoDestination::CallsItself => StatusCode::CONFLICT,
            NoDestination::Storage(cause) => return cause.into(),
        };
        Refused::new(status, error.to_string())
    }
}

impl From<NotDialed> for Refused {
    fn from(error: NotDialed) -> Self {
        match error {
            NotDialed::Hub(refusal) => NotDone::Refused(refusal).into(),
            NotDialed::NoPlace(_) => Refused::no_place(&error),
        }
    }
}

impl From<NoCommand> for Refused {
    fn from(error: NoCommand) -> Self {
        let status = match error {
            NoCommand::Unknown => StatusCode::NOT_FOUND,
            NoCommand::BadField => StatusCode::BAD_REQUEST,
        };
        Refused::new(status, error.to_string())
    }
}

impl From<OfferError> for Refused {
    fn from(error: OfferError) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<NotDone> for Refused {
    fn from(error: NotDone) -> Self {
        let status = match &error {
            NotDone::UnknownToken | NotDone::Refused(Refusal::SessionEnded) => StatusCode::UNAUTHORIZED,
            NotDone::Paused(_) => StatusCode::TOO_MANY_REQUESTS,
            NotDone::Refused(Refusal::UnknownParticipant | Refusal::NotReachable | Refusal::NoSuchCall) => {
                StatusCode::NOT_FOUND
            }
            NotDone::Refused(Refusal::Busy | Refusal::InCall | Refusal::CallsItself) => StatusCode::CONFLICT,
            NotDone::Refused(Refusal::BadOffer(_)) => StatusCode::BAD_REQUEST,
            NotDone::Refused(
                Refusal::NotAllowed
                | Refusal::NotInRoom
                | Refusal::Locked
                | Refusal::HostAbsent
                | Refusal::NameTaken
                | Refusal::NotProven,
            ) => StatusCode::FORBIDDEN,
            _ => return Refused::no_place(&error),
        };
        Refused::new(status, error.to_string())
    }
}

impl From<NotRefused> for Refused {
    fn from(error: NotRefused) -> Self {
        match error {
            NotRefused::UnknownToken => Refused::new(StatusCode::FORBIDDEN, error.to_string()),
            NotRefused::OtherPlace => Refused::new(StatusCode::NOT_FOUND, error.to_string()),
            NotRefused::NoPlace(_) | NotRefused::Hub(_) => Refused::no_place(&error),
        }
    }
}

fn note_storage_failure(cause: &(dyn std::error::Error + 'static)) {
    metrics::counter!("patchbay_storage_errors_total").increment(1);
    tracing::error!(
        cause,
        "storage failed; a request about a conference could not be served"
    );
}

/// The answer to a request, with the outcome in it.
pub(super) fn answer<T: Serialize>(outcome: Result<T, Refused>) -> Response {
    match outcome {
        Ok(result) => unstored(StatusCode::OK, &wire::done(result)),
        Err(Refused { status, sentence }) => refuse(status, &wire::failed(sentence)),
    }
}

/// The answer to a request that is refused.
pub(super) fn refuse(status: StatusCode, body: &impl Serialize) -> Response {
    // Other refusals say when to come again, and so does this one.
    let retry = HttpError::new(status, "")
        .into_response()
        .headers()
        .get(header::RETRY_AFTER)
        .cloned();
    let mut response = unstored(status, body);
    if let Some(retry) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, retry);
    }
    response
}

/// An answer that may hold a token.
pub(super) fn unstored(status: StatusCode, body: &impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, headers, Json(body)).into_response()
}
