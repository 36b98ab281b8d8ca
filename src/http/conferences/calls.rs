//! The connections of a participant.

use axum::extract::{Path, State};
use axum::response::Response;

use super::asked::Asked;
use super::refusals::{Refused, answer};
use super::requests::{asking, no_participant, not_yours};
use crate::domain::{Command, MediaKind};
use crate::http::desk::{Answer, Purpose, Token};
use crate::http::state::AppState;
use crate::media::description::Description;
use crate::media::peer::negotiate;
use crate::signaling::conferences::meeting::{self, Call, CallKind, CallStep, Called, NO_OFFER, View};
use crate::signaling::conferences::{self as wire, Done, Failed};

/// Offer a connection
///
/// The main one publishes the participant's camera and microphone, and receives whoever speaks. Another one with `present` publishes
/// a screen, or receives one. An older connection of the same kind ends. The answer has all candidates, and the offer needs none: the
/// server finds clients by their own checks. Whoever waits for a host is answered once they are let in; of several offers that wait,
/// only the newest is.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/participants/{participant}/calls",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("participant" = String, Path, description = "Id of the participant: one's own."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((Call = "application/json"), (Call = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The call, with the answer.", body = Done<Called>),
        (status = 400, description = "The offer is missing or cannot be answered.", body = Failed),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
        (status = 403, description = "The participant is somebody else, or may not have a connection now.", body = Failed),
        (status = 404, description = "There is no such participant.", body = Failed),
        (status = 503, description = "There is no place.", body = Failed),
    )
)]
pub(super) async fn call(
    State(state): State<AppState>,
    Path((conference, participant)): Path<(String, String)>,
    asked: Asked,
) -> Response {
    let outcome = async {
        let offered = asked.fields.as_ref().map(meeting::offered)?;
        let offered = offered.ok_or_else(|| Refused::bad(NO_OFFER))?;
        let kind = offered.kind;
        let (token, purpose) = asking(&state, &conference, &asked, |seat| {
            owned(&seat.view, &participant).map(|()| purpose(&seat.view, kind, offered.pictures))
        })?;
        let alias = wire::name_in_path(&conference);
        if !state.participants.let_in(token, &alias).await? {
            return Err(Refused::forbidden(
                "a newer offer was made while this one waited for a host",
            ));
        }
        let answer = offer(&state, token, purpose?, offered.description).await?;
        let call_uuid = state.participants.called(token, &alias, kind, &answer)?;
        Ok::<_, Refused>(called(call_uuid, answer))
    };
    answer(outcome.await)
}

/// Say something about a call, or ask something of it
///
/// `ack`: the client has the answer. `update`: another offer of the same connection, whose answer is the result. `disconnect`: the
/// connection ends. `clayout` is answered and changes nothing.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/participants/{participant}/calls/{call}/{command}",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("participant" = String, Path, description = "Id of the participant: one's own."),
        ("call" = String, Path, description = "Id of the call."),
        ("command" = String, Path, description = "`ack`, `update`, `disconnect` or `clayout`."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((Option<Call> = "application/json"), (Option<Call> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It is done. For `update`: the call, with the answer; otherwise true.", body = Done<Called>),
        (status = 400, description = "The offer is missing or cannot be answered.", body = Failed),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
        (status = 403, description = "The participant is somebody else.", body = Failed),
        (status = 404, description = "There is no such participant, call or command.", body = Failed),
        (status = 503, description = "There is no place.", body = Failed),
    )
)]
pub(super) async fn step(
    State(state): State<AppState>,
    Path((conference, participant, call, command)): Path<(String, String, String, String)>,
    asked: Asked,
) -> Response {
    let begun = || {
        let (token, kind) = asking(&state, &conference, &asked, |seat| {
            let kind = seat.view.call(&call).ok_or_else(no_call);
            owned(&seat.view, &participant).and(kind)
        })?;
        Ok::<_, Refused>((token, kind?, meeting::call_step(&command)?))
    };
    let (token, kind, step) = match begun() {
        Ok(begun) => begun,
        Err(refused) => return answer::<()>(Err(refused)),
    };
    match step {
        CallStep::Nothing => answer(Ok(true)),
        CallStep::Update => answer(update(&state, &conference, &asked, token, kind, call).await),
        CallStep::HangUp => answer(hang_up(&state, &conference, &asked, token, &call).await),
    }
}

async fn update(
    state: &AppState,
    conference: &str,
    asked: &Asked,
    token: Token,
    kind: CallKind,
    call_uuid: String,
) -> Result<Called, Refused> {
    let offered = asked.fields.as_ref().map(meeting::offered)?;
    let offered = offered.ok_or_else(|| Refused::bad(NO_OFFER))?;
    let (_, purpose) = asking(state, conference, asked, |seat| {
        let pictures = seat.view.pictures().unwrap_or(offered.pictures);
        purpose(&seat.view, kind, pictures)
    })?;
    let answer = offer(state, token, purpose, offered.description).await?;
    state
        .participants
        .answered(token, &wire::name_in_path(conference), kind, &answer)?;
    Ok(called(call_uuid, answer))
}

async fn hang_up(state: &AppState, conference: &str, asked: &Asked, token: Token, call: &str) -> Result<bool, Refused> {
    let (_, subject) = asking(state, conference, asked, |seat| {
        let kind = seat.view.hung_up(call)?;
        Some(seat.view.subject(kind))
    })?;
    if let Some(subject) = subject {
        state.desk.request(token, Command::EndConnection { subject }).await?;
    }
    Ok(true)
}

/// Offers a connection. Returns the answer.
async fn offer(state: &AppState, token: Token, purpose: Purpose, description: Description) -> Result<Answer, Refused> {
    negotiate::check(&description)?;
    Ok(state.desk.offer(token, purpose, description).await?)
}

fn called(call_uuid: String, answer: Answer) -> Called {
    let voices = answer.slots.iter().filter(|one| one.kind == MediaKind::Audio);
    Called {
        call_uuid,
        audio_ssrcs: voices.map(|one| one.ssrc).collect(),
        sdp: answer.sdp,
    }
}

/// Only one's own participant has connections here.
fn owned(view: &View, participant: &str) -> Result<(), Refused> {
    match view.user_of(participant) {
        None => Err(no_participant()),
        Some(_) if view.own_uuid() != participant => Err(not_yours()),
        Some(_) => Ok(()),
    }
}

/// What a connection of this kind is there for.
fn purpose(view: &View, kind: CallKind, pictures: u8) -> Purpose {
    match kind {
        CallKind::Main => Purpose::Conference(meeting::main_connection(pictures)),
        CallKind::SendScreen => Purpose::Feed(view.own_screen()),
        CallKind::ReceiveScreen => Purpose::Conference(meeting::presentation()),
    }
}

fn no_call() -> Refused {
    Refused::missing("there is no such call, or it is over")
}
