//! Entering a conference, and the session of whoever has.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};

use super::asked::Asked;
use super::events::COMMENT_EVERY;
use super::participants::{LASTS, Reader};
use super::refusals::{Refused, answer, unstored};
use super::streams::{self, FRAME_BYTES_MAX};
use crate::domain::{Claim, Command, Person, RoomKind, Stay, WithoutHost};
use crate::http::desk::{Arrival, NotDone, Token};
use crate::http::openapi::answers::Socket;
use crate::http::state::AppState;
use crate::http::websocket::{READ_BUFFER_BYTES, Upgrade, ready};
use crate::ids::UserId;
use crate::signaling::conferences::meeting::{self, Entering, PinNeeded, Session, SessionRefreshed, View};
use crate::signaling::conferences::{self as wire, Done, Failed};
use crate::storage::{Entry, NoEntry};

/// Enter a conference
///
/// As a participant whose session lasts for 120 s, and longer where it is refreshed. The header `pin` has a PIN of the conference, or
/// `none` of a guest who needs none. Where a PIN is missing, the status is 403 and the answer says for whom.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/new_session",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, with a domain or without."),
        ("pin" = Option<String>, Header, description = "PIN, or `none`."),
    ),
    request_body(content((Option<Entering> = "application/json"), (Option<Entering> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The session.", body = Done<Session>),
        (status = 400, description = "The body is neither JSON nor a form.", body = Failed),
        (status = 401, description = "The token of the registration, or of the referral, is not valid.", body = Failed),
        (status = 403, description = "A PIN is needed, with status `success`; or it is wrong, with status `failed`; or the participant may not enter.", body = Done<PinNeeded>),
        (status = 404, description = "There is no such conference.", body = Failed),
        (status = 429, description = "There were too many wrong PINs, or too many sessions from this address.", body = Failed),
        (status = 503, description = "There is no place, or storage failed.", body = Failed),
    )
)]
pub(super) async fn enter(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    match entered(&state, &wire::name_in_path(&conference), &asked).await {
        Err(NotEntered::NoEntry(NoEntry::PinRequired { guest_pin_required })) => unstored(
            StatusCode::FORBIDDEN,
            &wire::done(meeting::pin_needed(guest_pin_required)),
        ),
        Err(NotEntered::NoEntry(why)) => answer::<()>(Err(why.into())),
        Err(NotEntered::Refused(why)) => answer::<()>(Err(why)),
        Ok(session) => answer(Ok(session)),
    }
}

enum NotEntered {
    NoEntry(NoEntry),
    Refused(Refused),
}

impl<E: Into<Refused>> From<E> for NotEntered {
    fn from(why: E) -> Self {
        NotEntered::Refused(why.into())
    }
}

async fn entered(state: &AppState, alias: &str, asked: &Asked) -> Result<Session, NotEntered> {
    let entering = Entering::read(asked.fields.as_ref()?);
    let user = match entering.registration_token.as_deref() {
        None => None,
        Some(token) => {
            let account = Token::read(token).and_then(|token| state.registrations.account(token));
            Some(account.ok_or(NotDone::UnknownToken)?)
        }
    };
    // A referral's token stands for the PIN of the conference.
    let referred = entering.token.as_deref();
    let referred = referred.and_then(|token| state.participants.redeem_referral(token, alias));
    let shown = match &referred {
        Some(pin) => wire::shown_pin(Some(pin)),
        None => wire::shown_pin(asked.pin()),
    };
    let entry = state.conferences.enter(alias, shown, asked.client).await;
    let entry = entry.map_err(NotEntered::NoEntry)?;
    Ok(seated(state, alias, asked, &entering, user, entry).await?)
}

/// Lets somebody in whom the conference admits.
async fn seated(
    state: &AppState,
    alias: &str,
    asked: &Asked,
    entering: &Entering,
    account: Option<UserId>,
    Entry { role, conference }: Entry,
) -> Result<Session, Refused> {
    let person = person(state, account.clone(), entering).await?;
    let stay = Stay {
        role,
        without_host: match conference.waits_for_host {
            true => WithoutHost::Wait,
            false => WithoutHost::Enter,
        },
        sees_meeting: true,
        ..if entering.hides() {
            Stay::UNSEEN
        } else {
            Stay::default()
        }
    };
    let Arrival { session, held } = state.desk.receive(asked.client).await?;
    let join = Command::Join {
        turn: session.take_turn(),
        kind: RoomKind::Group,
        room: conference.alias.clone(),
        person: person.clone(),
        claim: if account.is_some() {
            Claim::Proven
        } else {
            Claim::Unproven
        },
        stay,
        connects: false,
    };
    session.request(join).await.map_err(NotDone::Refused)?;
    let token = state.desk.open_with(session, held, LASTS);
    let room = conference.alias;
    let aliases = [alias.to_owned(), room.to_string()];
    let view = View::new(alias.to_owned(), room, person, role);
    state.participants.seat(token, aliases, view).await?;
    let made = |seat: &mut super::participants::Seat| {
        meeting::session(&seat.view, token.text(), LASTS.as_secs(), conference.name)
    };
    Ok(state.participants.with(token, alias, made)?)
}

/// Whom the others see: a user by the name that is recorded of them, everybody else by the name that they give themselves.
async fn person(state: &AppState, account: Option<UserId>, entering: &Entering) -> Result<Person, Refused> {
    let own_name = meeting::own_name(entering);
    let (user, recorded) = match account {
        Some(user) => {
            let name = state.conferences.display_name(&user).await?;
            (user, Some(name))
        }
        // One of many thousand millions, so that two of a room hardly ever have the same one.
        None => (
            UserId::from(format!("guest-{:016x}", rand::random::<u64>()).as_str()),
            None,
        ),
    };
    let recorded = recorded.filter(|name| name != user.as_str());
    let name = recorded.or(own_name).unwrap_or_else(|| user.to_string());
    Ok(Person {
        name,
        ..Person::unnamed(user)
    })
}

/// Refresh a session
#[utoipa::path(
    post,
    path = "/api/services/{conference}/refresh_session",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((Option<Entering> = "application/json"), (Option<Entering> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It lasts for another 120 s.", body = Done<SessionRefreshed>),
        (status = 400, description = "The body is neither JSON nor a form.", body = Failed),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
    )
)]
pub(super) async fn refresh(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    let outcome = || {
        asked.fields.as_ref()?;
        let (token, alias) = (asked.entry()?, wire::name_in_path(&conference));
        state.participants.refresh(token, &alias)?;
        let refreshed = state.participants.with(token, &alias, |seat| {
            meeting::session_refreshed(&seat.view, token.text(), LASTS.as_secs())
        });
        Ok::<_, Refused>(refreshed?)
    };
    answer(outcome())
}

/// Follow the events of a conference
///
/// As server-sent events. The whole state comes first. The stream ends with the session, or when a newer one begins.
#[utoipa::path(
    get,
    path = "/api/services/{conference}/events",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("token" = String, Query, description = "Token of the session."),
    ),
    responses(
        (status = 200, description = "The events (Server-Sent Events).", body = String, content_type = "text/event-stream"),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
    )
)]
pub(super) async fn follow(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    match reader(&state, &conference, &asked) {
        Err(refused) => answer::<()>(Err(refused)),
        Ok(reader) => {
            let comments = KeepAlive::new().interval(COMMENT_EVERY);
            let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            let events = Sse::new(streams::server_sent(reader)).keep_alive(comments);
            (headers, events).into_response()
        }
    }
}

/// Follow the events of a conference by WebSocket
///
/// Each frame is an event: `{"_command":"event","_eventName":…,"_eventId":…,"data":…}`. The whole state comes first. The socket ends
/// with the session, after the frame `{"_command":"bye"}`, or when a newer stream begins.
#[utoipa::path(
    get,
    path = "/wapi/services/{conference}/wsevents",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("token" = String, Query, description = "Token of the session."),
    ),
    responses(
        Socket,
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
    )
)]
pub(super) async fn converse(
    State(state): State<AppState>,
    Path(conference): Path<String>,
    upgrade: Upgrade,
    asked: Asked,
) -> Response {
    let upgrade = match ready(upgrade) {
        Err(refused) => return refused.into_response(),
        Ok(upgrade) => upgrade,
    };
    match reader(&state, &conference, &asked) {
        Err(refused) => answer::<()>(Err(refused)),
        Ok(reader) => {
            let upgrade = upgrade
                .max_message_size(FRAME_BYTES_MAX)
                .max_frame_size(FRAME_BYTES_MAX)
                .read_buffer_size(READ_BUFFER_BYTES)
                .write_buffer_size(READ_BUFFER_BYTES);
            upgrade.on_upgrade(move |socket| streams::converse(socket, reader, state.passed))
        }
    }
}

fn reader(state: &AppState, conference: &str, asked: &Asked) -> Result<Reader, Refused> {
    let token = asked.entry()?;
    Ok(state.participants.read(token, &wire::name_in_path(conference))?)
}
