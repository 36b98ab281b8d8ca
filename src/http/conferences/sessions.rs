//! Entering a conference, and the session of whoever has.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};

use super::asked::Asked;
use super::events::COMMENT_EVERY;
use super::outgoing;
use super::participants::{LASTS, Reader, Seat};
use super::refusals::{Refused, answer, refuse};
use super::streams::{self, FRAME_BYTES_MAX};
use crate::conferences::{Caller, Calling, Destination, NoDestination, Occasion};
use crate::domain::{Claim, Command, Person, Role, RoomKind, Stay, WithoutHost};
use crate::http::desk::{Arrival, NotDone, Token};
use crate::http::open_sockets::Upgrade;
use crate::http::openapi::answers::Socket;
use crate::http::state::AppState;
use crate::ids::{RoomName, UserId};
use crate::signaling::conferences::meeting::{self, Entering, NotAdmitted, Service, Session, SessionRefreshed, View};
use crate::signaling::conferences::{self as wire, Done, Failed};
use crate::storage::{Entry, NoEntry, ShownPin};

/// Enter a conference, call a user, or answer a call
///
/// As a participant whose session lasts for 120 s, and longer where it is refreshed. The header `pin` has a PIN of the conference, or
/// `none` of a guest who needs none. Where a PIN is missing, the status is 403 and the answer says for whom. Where there is no such
/// conference, the user of that name is called. A one-time token answers the call that rings, or follows a referral.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/new_session",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference or user, with a domain or without."),
        ("pin" = Option<String>, Header, description = "PIN, or `none`."),
    ),
    request_body(content((Option<Entering> = "application/json"), (Option<Entering> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The session.", body = Done<Session>),
        (status = 400, description = "The body is neither JSON nor a form.", body = Failed),
        (status = 401, description = "The token of the registration is not valid.", body = Failed),
        (status = 403, description = "A PIN is needed, with status `success`; or it is wrong, with status `failed`; or a one-time token is not valid any more; or the participant may not enter.", body = NotAdmitted),
        (status = 404, description = "There is no such conference, and nobody of that name can be called.", body = Failed),
        (status = 409, description = "The callee is in a call, or is the caller.", body = Failed),
        (status = 429, description = "There were too many wrong PINs, or too many sessions from this address.", body = Failed),
        (status = 503, description = "There is no place, or storage failed.", body = Failed),
    )
)]
pub(super) async fn enter(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    match entered(&state, &wire::name_in_path(&conference), &asked).await {
        Err(NotEntered::NoEntry(NoEntry::PinRequired { guest_pin_required })) => {
            refuse(StatusCode::FORBIDDEN, &meeting::pin_needed(guest_pin_required))
        }
        Err(NotEntered::NoEntry(why)) => not_admitted(why.into()),
        Err(NotEntered::Refused(why)) => not_admitted(why),
        Ok(session) => answer(Ok(session)),
    }
}

fn not_admitted(Refused { status, sentence }: Refused) -> Response {
    refuse(status, &NotAdmitted::Failed(wire::failed(sentence)))
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

/// What somebody enters, as whom and as what.
struct Admitted {
    service: Service,
    room: RoomName,
    /// Name of the conference that people are shown.
    name: String,
    role: Role,
    without_host: WithoutHost,
    /// Whether a host has invited them.
    invited: bool,
    /// The user who comes, if that is proven.
    account: Option<UserId>,
    /// The made-up name of whoever has proven none.
    made_up: UserId,
    /// What the session asks for before it enters, to call or to answer.
    first: Vec<Command>,
}

async fn entered(state: &AppState, alias: &str, asked: &Asked) -> Result<Session, NotEntered> {
    let entering = Entering::read(asked.fields.as_ref()?);
    let account = match entering.registration_token.as_deref() {
        None => outgoing::caller(state, asked).await?,
        Some(token) => {
            let account = Token::read(token).and_then(|token| state.registrations.account_of(token));
            Some(account.ok_or(NotDone::UnknownToken)?)
        }
    };
    let admitted = match entering.token.as_deref() {
        None => admitted(state, alias, asked, &entering, account).await?,
        Some(token) => match state.participants.redeem_referral(token, alias) {
            Some(pin) if pin.is_empty() => of_conference(state, alias, ShownPin::AsGuest, asked, account).await?,
            Some(pin) => of_conference(state, alias, wire::shown_pin(Some(&pin)), asked, account).await?,
            None => answered(state, alias, token, asked).await?,
        },
    };
    Ok(seated(state, alias, asked, &entering, admitted).await?)
}

/// Without a one-time token: a conference, or else somebody who is called.
async fn admitted(
    state: &AppState,
    alias: &str,
    asked: &Asked,
    entering: &Entering,
    account: Option<UserId>,
) -> Result<Admitted, NotEntered> {
    let shown = wire::shown_pin(asked.pin());
    match of_conference(state, alias, shown, asked, account.clone()).await {
        Err(NotEntered::NoEntry(NoEntry::Unknown)) => {}
        outcome => return outcome,
    }
    let destination = state.conferences.destination(alias, None, account.as_ref()).await?;
    let Destination::People(to) = destination else {
        return Err(NotEntered::NoEntry(NoEntry::Unknown));
    };
    let made_up = made_up_user();
    let caller = Caller {
        user: account.clone().unwrap_or_else(|| made_up.clone()),
        claim: claim_of(account.as_ref()),
    };
    let details = meeting::details(entering, account.is_some());
    let calling = state.conferences.ring(caller, to, details);
    Ok(Admitted::to_a_call(calling, alias, account, made_up))
}

/// The conference of this alias.
async fn of_conference(
    state: &AppState,
    alias: &str,
    shown: ShownPin<'_>,
    asked: &Asked,
    account: Option<UserId>,
) -> Result<Admitted, NotEntered> {
    let entry = state.conferences.enter(alias, shown, asked.client).await;
    let Entry { role, conference } = entry.map_err(NotEntered::NoEntry)?;
    Ok(Admitted {
        service: Service::Conference,
        room: conference.alias,
        name: conference.name,
        role,
        without_host: match conference.waits_for_host {
            true => WithoutHost::Wait,
            false => WithoutHost::Enter,
        },
        invited: false,
        account,
        made_up: made_up_user(),
        first: Vec::new(),
    })
}

/// The call that the one-time token answers.
async fn answered(state: &AppState, alias: &str, token: &str, asked: &Asked) -> Result<Admitted, NotEntered> {
    let destination = state.conferences.destination(alias, Some(token), None).await?;
    let Destination::Call(invitation) = destination else {
        return Err(NoDestination::OldToken.into());
    };
    let account = Some(invitation.account.clone());
    let Occasion::Meeting { as_host } = invitation.details.occasion else {
        return Ok(Admitted::to_a_call(invitation.answer(), alias, account, made_up_user()));
    };
    let room = invitation.room.clone();
    state.conferences.accept(invitation, asked.client).await?;
    Ok(Admitted {
        service: Service::Conference,
        name: room.to_string(),
        room,
        role: if as_host { Role::Host } else { Role::Guest },
        // Whoever was invited was let in by a host.
        without_host: WithoutHost::Enter,
        invited: true,
        account,
        made_up: made_up_user(),
        first: Vec::new(),
    })
}

impl Admitted {
    fn to_a_call(calling: Calling, alias: &str, account: Option<UserId>, made_up: UserId) -> Admitted {
        Admitted {
            service: Service::Call,
            room: calling.room,
            name: alias.to_owned(),
            // Neither of the two decides about the other.
            role: Role::Guest,
            without_host: WithoutHost::Enter,
            invited: false,
            account,
            made_up,
            first: calling.commands.into(),
        }
    }
}

fn claim_of(account: Option<&UserId>) -> Claim {
    match account {
        Some(_) => Claim::Proven,
        None => Claim::Unproven,
    }
}

/// One of many thousand millions, so that two of a room hardly ever have the same one.
fn made_up_user() -> UserId {
    UserId::from(format!("guest-{:016x}", rand::random::<u64>()).as_str())
}

/// Lets somebody in who was admitted.
async fn seated(
    state: &AppState,
    alias: &str,
    asked: &Asked,
    entering: &Entering,
    admitted: Admitted,
) -> Result<Session, Refused> {
    let claim = claim_of(admitted.account.as_ref());
    let person = person(state, &admitted, entering).await?;
    let Admitted { room, role, .. } = admitted;
    let stay = Stay {
        role,
        without_host: admitted.without_host,
        invited: admitted.invited,
        sees_meeting: true,
        understands: entering.understands(),
        ..if entering.hides() {
            Stay::UNSEEN
        } else {
            Stay::default()
        }
    };
    let Arrival { session, held } = state.desk.receive(asked.client).await?;
    let turn = session.take_turn();
    for command in admitted.first {
        session.request(command).await.map_err(NotDone::Refused)?;
    }
    let join = Command::Join {
        turn,
        kind: RoomKind::Group,
        room: room.clone(),
        person: person.clone(),
        claim,
        stay,
        connects: false,
    };
    session.request(join).await.map_err(NotDone::Refused)?;
    let token = state.desk.open_with(session, held, LASTS);
    let aliases = [alias.to_owned(), room.to_string()];
    let caller = Caller {
        user: person.user.clone(),
        claim,
    };
    let view = View::new(alias.to_owned(), (admitted.service, room), person, role);
    state.participants.seat(token, aliases, view, caller).await?;
    let made = |seat: &mut Seat| meeting::session(&seat.view, token.text(), LASTS.as_secs(), admitted.name, entering);
    Ok(state.participants.with(token, alias, made)?)
}

/// Whom the others see: a user by the name that is recorded of them, everybody else by the name that they give themselves.
async fn person(state: &AppState, admitted: &Admitted, entering: &Entering) -> Result<Person, Refused> {
    let recorded = match &admitted.account {
        Some(user) => Some(state.conferences.display_name(user).await?),
        None => None,
    };
    let user = admitted.account.clone().unwrap_or_else(|| admitted.made_up.clone());
    let recorded = recorded.filter(|name| name != user.as_str());
    let name = recorded.or_else(|| meeting::own_name(entering));
    Ok(Person {
        name: name.unwrap_or_else(|| user.to_string()),
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
    let upgrade = match upgrade.ready() {
        Err(refused) => return refused.into_response(),
        Ok(upgrade) => upgrade,
    };
    match reader(&state, &conference, &asked) {
        Err(refused) => answer::<()>(Err(refused)),
        Ok(reader) => upgrade.serve(FRAME_BYTES_MAX, move |socket| {
            streams::converse(socket, reader, state.passed)
        }),
    }
}

fn reader(state: &AppState, conference: &str, asked: &Asked) -> Result<Reader, Refused> {
    let token = asked.entry()?;
    Ok(state.participants.read(token, &wire::name_in_path(conference))?)
}
