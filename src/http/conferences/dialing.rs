//! Users who are called into a conference.

use axum::extract::{Path, State};
use axum::response::Response;

use super::asked::Asked;
use super::refusals::{Refused, answer};
use super::requests::asking;
use crate::conferences::Destination;
use crate::domain::Role;
use crate::http::state::AppState;
use crate::signaling::conferences::meeting::{self, Dialed, Dialing, NoCommand};
use crate::signaling::conferences::{self as wire, Failed};

/// Call a user into the conference
///
/// For hosts. The user's apps ring; whoever answers enters by the one-time token, without a PIN.
#[utoipa::path(
    post,
    path = "/api/services/{conference}/dial",
    tag = "conferences",
    params(
        ("conference" = String, Path, max_length = 256, description = "Conference, as it was named when the session was made."),
        ("token" = String, Header, description = "Token of the session."),
    ),
    request_body(content((Dialing = "application/json"), (Dialing = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It rings. The id is that which the user has here once they have answered.", body = Dialed),
        (status = 400, description = "The destination is missing or too long.", body = Failed),
        (status = 401, description = "There is no such session in this conference, or it is over.", body = Failed),
        (status = 403, description = "The participant is no host.", body = Failed),
        (status = 404, description = "Nobody of that name can be called.", body = Failed),
        (status = 409, description = "The callee is in a call, or is the caller.", body = Failed),
        (status = 503, description = "There is no place, or storage failed.", body = Failed),
    )
)]
pub(super) async fn dial(State(state): State<AppState>, Path(conference): Path<String>, asked: Asked) -> Response {
    let outcome = async {
        let (_, (caller, room, role, name)) = asking(&state, &conference, &asked, |seat| {
            let view = &seat.view;
            (
                seat.caller.clone(),
                view.room().clone(),
                view.role(),
                view.own().name.clone(),
            )
        })?;
        if role != Role::Host {
            return Err(Refused::forbidden("that is for hosts alone"));
        }
        let dialing = Dialing::read(asked.fields.as_ref()?).ok_or(NoCommand::BadField)?;
        let callee = wire::name_in_path(&dialing.destination);
        let found = state.conferences.destination(&callee, None, Some(&caller.user)).await?;
        let Destination::People(to) = found else {
            return Err(Refused::missing("nobody of that name can be called"));
        };
        let called = meeting::participants(&room, to.iter().filter_map(|address| address.user()));
        let details = meeting::invitation(&dialing, name);
        let dialed = state.conferences.dial(caller, to, (room, details), asked.client);
        dialed.await?;
        Ok(called)
    };
    answer(outcome.await)
}
