//! `POST /files`: the first file of a multipart form, streamed to the disk.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State as FromState;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use super::meter::Meter;
use super::multipart::{Malformed, MultipartEvent, Parser, Part};
use super::names;
use super::state::State;
use super::store::{KeepError, Upload, WriteError};
use crate::http::client::Client;
use crate::http::errors::HttpError;
use crate::http::openapi::answers::ErrorBody;
use crate::http::watch::TRANSFER_PATIENCE;
use crate::shares::{ClientAddress, Denied};
use crate::signaling::files::{UploadForm, Uploaded, may_be_the_file};
use crate::storage::FileRecord;

/// Bytes of a form beside its file.
const FORM_BYTES: u64 = 64 * 1024;
/// Time for which the rest of a refused upload is read and thrown away: a browser reads the answer only after it has
/// sent everything.
const HEAR_OUT_FOR: Duration = Duration::from_secs(5);

/// Upload a file
///
/// A form (RFC 7578) with the file in it; its other fields are ignored. At most `files.max_size_mib` MiB, of the types in
/// `files.allowed_types`.
#[utoipa::path(
    post,
    path = "/files",
    tag = "files",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The file was taken.", body = Uploaded<'_>),
        (status = 400, description = "No form, or one without a file, or one that ends half-way.", body = ErrorBody),
        (status = 408, description = "The upload stopped half-way, or was too slow (`http.least_kbps`).", body = ErrorBody),
        (status = 413, description = "The file is too large.", body = ErrorBody),
        (status = 415, description = "Files of this type are not accepted.", body = ErrorBody),
        (status = 500, description = "Storage or disk failed; the server's log says why.", body = ErrorBody),
        (status = 507, description = "The server, or the client's address, has as many uploads as it may have; or the disk is full.", body = ErrorBody),
    )
)]
pub(super) async fn upload(
    FromState(state): FromState<State>,
    Client(client): Client,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut body = body.into_data_stream();
    match take(&state, client, &headers, &mut body).await {
        Ok(record) => answer(&record).into_response(),
        Err(error) => {
            hear_out(body, state.files.config.max_bytes()).await;
            error.into_response()
        }
    }
}

fn answer(record: &FileRecord) -> Json<Uploaded<'_>> {
    Json(Uploaded {
        file_name: &record.name,
        file_type: &record.media_type,
        file_url: format!("/files/{}/{}", record.id, names::encode(&record.name)),
        size: record.size_bytes,
    })
}

async fn take(
    state: &State,
    client: ClientAddress,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
) -> Result<FileRecord, HttpError> {
    let announced: Option<u64> = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > limit(state)) {
        return Err(too_large(state));
    }
    let _slot = state.files.slots.take(client, 1).map_err(|denied| {
        let sentence = match denied {
            Denied::UsedUp => "too many files are being uploaded at the moment; try again in a few seconds",
            Denied::ShareUsedUp => {
                "too many files are being uploaded from your address at the moment; try again in a few seconds"
            }
        };
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
    })?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parser = Parser::new(content_type.unwrap_or_default()).map_err(|e| malformed(&e))?;
    // Its greatest length and its least speed bound the time of an upload.
    let form = Form {
        parser,
        body,
        left: limit(state),
        meter: Meter::new(state.http.least_bytes_per_s(), TRANSFER_PATIENCE),
        client,
    };
    receive(state, form).await
}

fn limit(state: &State) -> u64 {
    state.files.config.max_bytes().saturating_add(FORM_BYTES)
}

/// The request's body, part by part.
struct Form<'a> {
    parser: Parser,
    body: &'a mut BodyDataStream,
    left: u64,
    meter: Meter,
    client: ClientAddress,
}

impl Form<'_> {
    async fn next(&mut self, state: &State) -> Result<MultipartEvent, HttpError> {
        loop {
            if let Some(event) = self.parser.poll().map_err(|e| malformed(&e))? {
                return Ok(event);
            }
            let bad = |sentence| HttpError::new(StatusCode::BAD_REQUEST, sentence);
            let piece = tokio::select! {
                piece = self.body.next() => piece,
                () = self.meter.too_slow() => {
                    let sentence = "the upload stopped half-way, or was too slow; see http.least_kbps";
                    return Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, sentence));
                }
            };
            let piece = piece
                .ok_or_else(|| bad("the form ends before its last boundary"))?
                .map_err(|_| bad("the connection ended half-way"))?;
            self.meter.moved(piece.len());
            self.left = self
                .left
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| too_large(state))?;
            self.parser.push(&piece);
        }
    }
}

async fn receive(state: &State, mut form: Form<'_>) -> Result<FileRecord, HttpError> {
    let part = loop {
        match form.next(state).await? {
            MultipartEvent::Part(part) if part.file_name.is_some() && may_be_the_file(&part.name) => break part,
            MultipartEvent::End => {
                let sentence = "the form has no file in a field named `file`";
                return Err(HttpError::new(StatusCode::BAD_REQUEST, sentence));
            }
            MultipartEvent::Part(_) | MultipartEvent::Data(_) => {}
        }
    };
    let (name, media_type) = accepted(state, &part)?;
    let begun = state.files.begin(form.client).await;
    let mut upload = begun.map_err(|e| write_failed(state, e))?;
    let kept = fill(state, form, &mut upload, name, media_type).await;
    // The place of the upload is free before a refusal is answered.
    if kept.is_err() {
        upload.discard().await;
    }
    kept
}

async fn fill(
    state: &State,
    mut form: Form<'_>,
    upload: &mut Upload,
    name: String,
    media_type: String,
) -> Result<FileRecord, HttpError> {
    while let MultipartEvent::Data(bytes) = form.next(state).await? {
        upload.write(&bytes).await.map_err(|e| write_failed(state, e))?;
    }
    keep(state, upload, name, media_type).await
}

fn accepted(state: &State, part: &Part) -> Result<(String, String), HttpError> {
    let name = names::clean(part.file_name.as_deref().unwrap_or_default());
    let media_type = names::media_type(part.media_type.as_deref(), &name);
    if !names::is_allowed(&media_type, &name, &state.files.config.allowed_types) {
        let sentence = format!("files of this type ({media_type}) are not accepted");
        return Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence));
    }
    Ok((name, media_type))
}

async fn keep(state: &State, upload: &mut Upload, name: String, media_type: String) -> Result<FileRecord, HttpError> {
    let record = upload.keep(name, media_type).await.map_err(|error| match error {
        KeepError::Write(error) => write_failed(state, error),
        KeepError::Record(error) => HttpError::internal("recording the upload", &error),
    })?;
    metrics::counter!("patchbay_files_uploaded_total").increment(1);
    metrics::counter!("patchbay_files_uploaded_bytes_total").increment(record.size_bytes);
    Ok(record)
}

fn malformed(error: &Malformed) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, error.to_string())
}

fn too_large(state: &State) -> HttpError {
    let sentence = format!("the file is larger than {} MiB", state.files.config.max_size_mib);
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
}

fn write_failed(state: &State, error: WriteError) -> HttpError {
    match error {
        WriteError::TooLarge => too_large(state),
        WriteError::Full => {
            tracing::warn!("an upload was refused: files.total_size_mib is used up");
            let sentence = "the server keeps as many uploads as it may; older ones must expire first";
            HttpError::new(StatusCode::INSUFFICIENT_STORAGE, sentence)
        }
        WriteError::ShareUsedUp => {
            let sentence = "the server keeps as many uploads from your address as it may; older ones must expire first";
            HttpError::new(StatusCode::INSUFFICIENT_STORAGE, sentence)
        }
        WriteError::DiskFull => {
            let directory = state.files.config.directory.display();
            tracing::error!(%directory, "an upload failed: the disk is full");
            HttpError::new(StatusCode::INSUFFICIENT_STORAGE, "the server's disk is full")
        }
        WriteError::Io(error) => HttpError::internal("storing the upload", &error),
    }
}

/// Reads and throws away the rest, within limits of time and bytes: the connection of a client that sends even more
/// breaks.
async fn hear_out(mut body: BodyDataStream, most: u64) {
    let mut left = most;
    let _ = tokio::time::timeout(HEAR_OUT_FOR, async {
        while let Some(Ok(piece)) = body.next().await {
            match left.checked_sub(piece.len() as u64) {
                Some(less) => left = less,
                None => break,
            }
        }
    })
    .await;
}
