//! The refusals of WHIP and WHEP: a status and a sentence for each.

use std::time::Duration;

use axum::http::StatusCode;

use crate::domain::Refusal;
use crate::http::desk::{NotDone, NotReceived};
use crate::http::errors::HttpError;
use crate::media::description::{NotRestarted, OfferError};
use crate::signaling::Close;
use crate::signaling::whip::{FragmentError, MAY_NOT_PUBLISH, NO_TOKEN, NO_USER, NotEntered};

/// Time after which somebody may be there who is not yet. Players ask again by themselves.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// The longest pause after wrong passwords for one room.
const GUESS_AGAIN: Duration = Duration::from_secs(60);

/// The reason why a request is not served.
pub(super) enum NotServed {
    BadQuery,
    BadName,
    BadBody,
    TooLong,
    WrongType(&'static str),
    SendsNothing,
    ReceivesNothing,
    NoPrecondition,
    /// The session of a new offer has ended before the offer was answered.
    EndedMeanwhile,
    RestartsSeveral,
    Fragment(FragmentError),
    Offer(OfferError),
    NotReceived(NotReceived),
    NotEntered(NotEntered),
    Done(NotDone),
}

impl From<NotReceived> for NotServed {
    fn from(why: NotReceived) -> Self {
        NotServed::NotReceived(why)
    }
}

impl From<NotEntered> for NotServed {
    fn from(why: NotEntered) -> Self {
        NotServed::NotEntered(why)
    }
}

impl From<NotDone> for NotServed {
    fn from(why: NotDone) -> Self {
        NotServed::Done(why)
    }
}

impl From<FragmentError> for NotServed {
    fn from(why: FragmentError) -> Self {
        NotServed::Fragment(why)
    }
}

impl From<OfferError> for NotServed {
    fn from(why: OfferError) -> Self {
        NotServed::Offer(why)
    }
}

impl From<NotServed> for HttpError {
    fn from(why: NotServed) -> Self {
        let (status, sentence) = match why {
            NotServed::NotReceived(NotReceived::TooOften(pause)) => {
                let error = HttpError::new(StatusCode::TOO_MANY_REQUESTS, NotReceived::TooOften(pause).to_string());
                return error.with_retry_after(pause);
            }
            NotServed::NotReceived(NotReceived::NoPlace(why)) => (StatusCode::SERVICE_UNAVAILABLE, why.to_string()),
            NotServed::NotEntered(why) => return not_entered(why),
            NotServed::Done(why) => return not_done(why),
            NotServed::Offer(why) => (StatusCode::BAD_REQUEST, why.to_string()),
            NotServed::Fragment(why) => (StatusCode::BAD_REQUEST, why.to_string()),
            NotServed::WrongType(wanted) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("the body has another type; send Content-Type: {wanted}"),
            ),
            other => {
                let (status, sentence) = fixed(&other);
                (status, sentence.to_owned())
            }
        };
        HttpError::new(status, sentence)
    }
}

fn fixed(why: &NotServed) -> (StatusCode, &'static str) {
    match why {
        NotServed::BadQuery => (
            StatusCode::BAD_REQUEST,
            "the query has a name twice, or a feed that is neither camera nor screen",
        ),
        NotServed::BadName => (
            StatusCode::BAD_REQUEST,
            "the name of a room or a user has 1 to 128 characters",
        ),
        NotServed::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 65536 bytes"),
        NotServed::SendsNothing => (
            StatusCode::BAD_REQUEST,
            "the offer sends nothing; offer sendonly sections to publish",
        ),
        NotServed::ReceivesNothing => (
            StatusCode::BAD_REQUEST,
            "the offer receives nothing; offer recvonly sections to watch",
        ),
        NotServed::NoPrecondition => (
            StatusCode::PRECONDITION_REQUIRED,
            "send If-Match with the ETag that you have seen last, or * to restart ICE",
        ),
        NotServed::EndedMeanwhile => (
            StatusCode::CONFLICT,
            "before the offer was answered the same user came again, or their time was over, or the server was to stop",
        ),
        NotServed::RestartsSeveral => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "ICE of several transports is not restarted; offer with one BUNDLE group, or begin anew",
        ),
        _ => (StatusCode::BAD_REQUEST, "the body cannot be read as text"),
    }
}

fn not_entered(why: NotEntered) -> HttpError {
    let (status, sentence) = match why {
        NotEntered::NoToken => (StatusCode::UNAUTHORIZED, NO_TOKEN),
        NotEntered::MayNotPublish => (StatusCode::FORBIDDEN, MAY_NOT_PUBLISH),
        NotEntered::BadToken => (StatusCode::UNAUTHORIZED, Close::BAD_TOKEN.reason),
        NotEntered::NoUser => (StatusCode::UNAUTHORIZED, NO_USER),
        NotEntered::BadName => return NotServed::BadName.into(),
        NotEntered::Closed(close) => (status_of(close), close.reason),
    };
    let error = HttpError::new(status, sentence);
    match status {
        StatusCode::TOO_MANY_REQUESTS => error.with_retry_after(GUESS_AGAIN),
        _ => error,
    }
}

/// The status for what closes a socket in other families.
fn status_of(close: Close) -> StatusCode {
    match close {
        Close::NO_TOKEN | Close::BAD_TOKEN | Close::NO_ACCESS | Close::CHANNEL => StatusCode::UNAUTHORIZED,
        Close::NAME_TAKEN => StatusCode::CONFLICT,
        Close::TOO_MANY_GUESSES => StatusCode::TOO_MANY_REQUESTS,
        Close::FULL | Close::TOO_MANY_PEERS => StatusCode::SERVICE_UNAVAILABLE,
        Close::STORAGE_FAILED => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    }
}

fn not_done(why: NotDone) -> HttpError {
    let again = |status, time| HttpError::new(status, why.to_string()).with_retry_after(time);
    let status = match &why {
        NotDone::UnknownToken => {
            return HttpError::new(StatusCode::NOT_FOUND, "there is no such session, or it is over");
        }
        NotDone::OtherState => StatusCode::PRECONDITION_FAILED,
        NotDone::Paused(pause) => return again(StatusCode::TOO_MANY_REQUESTS, *pause),
        NotDone::Refused(Refusal::UnknownParticipant) => return again(StatusCode::CONFLICT, COME_AGAIN),
        NotDone::Refused(Refusal::BadOffer(Some(error))) => return NotServed::Offer(error.clone()).into(),
        NotDone::Refused(Refusal::NotAllowed) => StatusCode::FORBIDDEN,
        NotDone::NotRestarted(NotRestarted::SeveralTransports) => return NotServed::RestartsSeveral.into(),
        NotDone::NotRestarted(NotRestarted::Credentials) => StatusCode::BAD_REQUEST,
        NotDone::NoAnswer | NotDone::Refused(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    HttpError::new(status, why.to_string())
}
