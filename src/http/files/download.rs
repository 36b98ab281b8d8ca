//! `GET /files/<id>/<name>`: a download, never anything that a browser would run.

use axum::body::Body;
use axum::extract::{Path, State as FromState};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio_util::io::ReaderStream;

use super::state::State;
use super::{names, store};
use crate::http::client::Client;
use crate::http::errors::HttpError;
use crate::http::openapi::answers::ErrorBody;
use crate::http::pages;

/// Bytes read from the disk at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Fetch a file
///
/// As a download, under the name and type with which it was uploaded; the name in the path is for people. Whoever knows the id,
/// which has 128 random bits, may fetch it. It expires after `files.expire_after_h` hours.
#[utoipa::path(
    get,
    path = "/files/{id}/{name}",
    tag = "files",
    params(
        ("id" = String, Path, description = "Id of the file: 32 hexadecimal digits."),
        ("name" = String, Path, description = "Name of the file. Any will do."),
    ),
    responses(
        (status = 200, description = "The file.", body = Vec<u8>, content_type = "*/*"),
        (status = 404, description = "There is no such file, or it has expired; the page that says so.", body = String, content_type = "text/html"),
        (status = 503, description = "Too many files are being fetched, by everybody or from this address.", body = ErrorBody),
        (status = 500, description = "Storage or disk failed; the server's log says why.", body = ErrorBody),
    )
)]
pub(super) async fn download(
    FromState(state): FromState<State>,
    Client(client): Client,
    Path((id, _name)): Path<(String, String)>,
) -> Result<Response, HttpError> {
    if !store::is_id(&id) {
        return Ok(pages::not_found().await);
    }
    let found = state.files.records.file(&id).await;
    let found = found.map_err(|e| HttpError::internal("looking for the file", &e))?;
    let Some(record) = found.filter(|record| record.expires_at_s > state.files.now_s()) else {
        return Ok(pages::not_found().await);
    };
    let place = state.files.downloads.take(client, 1).map_err(|_| {
        let sentence = "too many files are being fetched at the moment; try again in a few seconds";
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
    })?;
    let file = match tokio::fs::File::open(state.files.path(&id)).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(pages::not_found().await),
        Err(error) => return Err(HttpError::internal("reading the file", &error)),
    };
    let headers = [
        (header::CONTENT_TYPE, record.media_type),
        (header::CONTENT_LENGTH, record.size_bytes.to_string()),
        (header::CONTENT_DISPOSITION, names::content_disposition(&record.name)),
        // If a browser shows the file all the same, it does so without scripts, forms, or this
        // server's origin.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox".to_owned(),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        // The file never changes, but it expires.
        (header::CACHE_CONTROL, "private, max-age=3600".to_owned()),
    ];
    let pieces = ReaderStream::with_capacity(file, PIECE_BYTES).inspect(move |_| {
        // The place lasts as long as the file is open.
        let _held = &place;
    });
    let body = Body::from_stream(pieces);
    Ok((headers, body).into_response())
}
