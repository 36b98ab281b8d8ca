//! What a participant asks about their conference and about who is there.

use axum::extract::{Path, State};
use axum::response::Response;

use super::asked::Asked;
use super::refusals::{Refused, answer};
use crate::domain::Command;
use crate::http::desk::{NotDone, Token};
use crate::http::state::AppState;
use crate::ids::UserId;
use crate::signaling::conferences::meeting::{
    self, ChatText, CommandFields, Everybody, Requested, Status, TOO_LONG_OR_NO_TEXT, Wanting,
};
use crate::signaling::conferences::{self as wire, Done, Ended, Failed};

/// The state of a conference
#[utoipa::path(
    get,
    path = "/api/services/{conference}/service_status",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    responses(
        (status = 200, description = "Whether it is locked, and guests are muted.", body = Done<Status>),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
    )
)]
pub(super) async fn status(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    let outcome = || {
        let alias = wire::name_in_path(&conference);
        let status = state
            .participants
            .with(asked.entry()?, &alias, |seat| seat.view.status())?;
        Ok::<_, Refused>(status)
    };
    answer(outcome())
}

/// The participants of a conference
#[utoipa::path(
    get,
    path = "/api/services/{conference}/participants",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    responses(
        (status = 200, description = "Everybody who is there or waits, in the order of their arrival.", body = Everybody),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
    )
)]
pub(super) async fn list(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    let outcome = || {
        let alias = wire::name_in_path(&conference);
        let people = state
            .participants
            .with(asked.entry()?, &alias, |seat| seat.view.participants())?;
        Ok::<_, Refused>(people)
    };
    answer(outcome())
}

/// Send a chat text to everybody in the conference
#[utoipa::path(
    post,
    path = "/api/services/{conference}/message",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((ChatText = "application/json"), (ChatText = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It is sent.", body = Ended),
        (status = 400, description = "The text is missing or too long.", body = Failed),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
        (status = 403, description = "The participant may not do that now.", body = Failed),
        (status = 429, description = "What the participant has said has cost others too much for now.", body = Failed),
    )
)]
pub(super) async fn say(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    let outcome = async {
        let (token, _) = asking(&state, &conference, &asked, |_| ())?;
        let text = meeting::chat_text(asked.fields.as_ref()?);
        let text = text.ok_or_else(|| Refused::bad(TOO_LONG_OR_NO_TEXT))?;
        done(&state, token, text).await
    };
    answer(outcome.await)
}

/// Command a conference
///
/// `lock`, `unlock`, `start_service`, `muteguests`, `unmuteguests`, and `disconnect`, which ends it, are for hosts alone.
/// `override_layout` and `clayout` are answered and change nothing.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/{command}",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("command" = String, Path, description = "What is to be done."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((Option<CommandFields> = "application/json"), (Option<CommandFields> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It is done.", body = Ended),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
        (status = 403, description = "The participant is no host.", body = Failed),
        (status = 404, description = "There is no such command.", body = Failed),
    )
)]
pub(super) async fn command(
    State(state): State<AppState>,
    Path((conference, command)): Path<(String, String)>,
    asked: Asked,
) -> Response {
    let outcome = async {
        let (token, _) = asking(&state, &conference, &asked, |_| ())?;
        requested(&state, token, meeting::about_conference(&command)?).await
    };
    answer(outcome.await)
}

/// Command a participant
///
/// For hosts: `disconnect`, `mute`, `unmute`, `hard_vmute`, `hard_uvmute`, `spotlighton`, `spotlightoff`, `unlock` (lets somebody in
/// who waits), `role`, `transfer`. For everybody about themselves: `changeLocalStatus`, `mute`, `unmute`, `disconnect`. Commands about
/// layouts, texts over pictures, tones, and whom somebody hears or whose screen they receive are answered and change nothing.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/participants/{participant}/{command}",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("participant" = String, Path, description = "Id of the participant."),
        ("command" = String, Path, description = "What is to be done."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((Option<CommandFields> = "application/json"), (Option<CommandFields> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It is done.", body = Ended),
        (status = 400, description = "A field of the command is missing or wrong.", body = Failed),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
        (status = 403, description = "The participant may not do that.", body = Failed),
        (status = 404, description = "There is no such participant, or no such command.", body = Failed),
    )
)]
pub(super) async fn command_participant(
    State(state): State<AppState>,
    Path((conference, participant, command)): Path<(String, String, String)>,
    asked: Asked,
) -> Response {
    let outcome = async {
        let (token, (user, is_own)) = asking(&state, &conference, &asked, |seat| {
            let user = seat.view.user_of(&participant);
            (user, seat.view.own_uuid() == participant)
        })?;
        let user: UserId = user.ok_or_else(no_participant)?;
        let fields = CommandFields::read(asked.fields.as_ref()?);
        let requested_of = match meeting::is_local_status(&command) {
            true if is_own => Requested::Meeting(meeting::local_status(&fields)),
            true => return Err(not_yours()),
            false => meeting::about_participant(&command, user, fields)?,
        };
        requested(&state, token, requested_of).await
    };
    answer(outcome.await)
}

/// Say how videos are shown
///
/// What is not shown is not sent, and of pictures that are small a smaller size. The newest request counts.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/participants/{participant}/wants",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("participant" = String, Path, description = "The participant's own id."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((Option<Wanting> = "application/json"))),
    responses(
        (status = 200, description = "It counts from now on.", body = Ended),
        (status = 400, description = "The body is neither JSON nor a form.", body = Failed),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
        (status = 403, description = "It is another participant's id, or the participant waits to be let in.", body = Failed),
        (status = 404, description = "There is no such participant.", body = Failed),
    )
)]
pub(super) async fn want_videos(
    State(state): State<AppState>,
    Path((conference, participant)): Path<(String, String)>,
    asked: Asked,
) -> Response {
    let outcome = async {
        let fields = asked.fields.as_ref()?;
        let (token, (is_own, is_known, wants)) = asking(&state, &conference, &asked, |seat| {
            let is_own = seat.view.own_uuid() == participant;
            let is_known = seat.view.user_of(&participant).is_some();
            (is_own, is_known, meeting::video_wants(fields, &seat.view))
        })?;
        match (is_own, is_known) {
            (true, _) => done(&state, token, wants).await,
            (false, true) => Err(not_yours()),
            (false, false) => Err(no_participant()),
        }
    };
    answer(outcome.await)
}

async fn requested(state: &AppState, token: Token, requested: Requested) -> Result<bool, Refused> {
    match requested {
        Requested::Meeting(command) => done(state, token, command.into()).await,
        Requested::Nothing => Ok(true),
    }
}

async fn done(state: &AppState, token: Token, command: Command) -> Result<bool, Refused> {
    state.desk.request(token, command).await?;
    Ok(true)
}

/// The token of a request, and what is asked of its seat.
pub(super) fn asking<T>(
    state: &AppState,
    conference: &str,
    asked: &Asked,
    then: impl FnOnce(&mut super::participants::Seat) -> T,
) -> Result<(Token, T), NotDone> {
    let token = asked.entry()?;
    let found = state.participants.with(token, &wire::name_in_path(conference), then)?;
    Ok((token, found))
}

pub(super) fn no_participant() -> Refused {
    Refused::missing("there is no such participant in this conference")
}

pub(super) fn not_yours() -> Refused {
    Refused::forbidden("that is for the participant alone")
}
