//! Whether somebody may join, which apps ask before they do.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::asked::Asked;
use super::login::coded;
use super::refusals::Refused;
use crate::http::state::AppState;
use crate::signaling::conferences::{self as wire, Coded, Joinable, Joining};

/// Ask whether somebody may join
///
/// A conference, with a PIN or as a guest without one; or a call with a user, or one that rings. Nobody is there afterwards: the
/// session comes with `new_session`.
#[utoipa::path(
    post,
    path = "/api/v3/meet/checkJoin.shtml",
    tag = "conferences",
    request_body(content((Joining = "application/json"), (Joining = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "What they would join, and as what; or why they may not.", body = Coded<Joinable>))
)]
pub(super) async fn check_join(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let joining = Joining::read(asked.fields.as_ref()?);
        let alias = wire::name_in_path(&joining.join_account);
        let shown = joining.shown_pin();
        let place = state.conferences.find(&alias, shown, asked.client).await?;
        Ok::<_, Refused>(wire::joinable(place, &joining, &asked.authority))
    };
    let outcome = outcome.await;
    coded(&state, StatusCode::OK, outcome)
}
