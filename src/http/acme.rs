//! What an authority asks for by HTTP before it issues a certificate (HTTP-01, RFC 8555 §8.3).

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::pages;
use crate::acme::Challenges;

/// The one route. It is in no description of the interface: authorities know it.
pub(super) fn router(challenges: Challenges) -> Router {
    Router::new()
        .route("/.well-known/acme-challenge/{token}", get(answer))
        .with_state(challenges)
}

async fn answer(State(challenges): State<Challenges>, Path(token): Path<String>) -> Response {
    match challenges.key_authorization(&token) {
        Some(text) => ([(header::CONTENT_TYPE, "application/octet-stream")], text).into_response(),
        None => pages::not_found().await,
    }
}
