//! The body and the token of a request.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};

use super::refusals::NotServed;
use crate::signaling::whip;

/// The body as text, if it has this type.
pub(super) fn text_of(
    wanted: &'static str,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<String, NotServed> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(wanted) {
        return Err(NotServed::WrongType(wanted));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => NotServed::TooLong,
        _ => NotServed::BadBody,
    })?;
    String::from_utf8(body.into()).map_err(|_| NotServed::BadBody)
}

/// The token in its `Authorization` header.
pub(super) fn token_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    whip::bearer(value).map(str::to_owned)
}
