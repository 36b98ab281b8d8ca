//! Files over HTTP: `POST /files` is a multipart form (RFC 7578) with the file in a field named `file`, or `uploadFile` as
//! clients of other servers call it. Other fields are ignored.
//!
//! The answer is a JSON object: `fileName`, `fileUrl` (where this server gives the file back), `fileType` (its media type),
//! `size` in bytes. With the first three a client of the group call announces the file to its room.

mod wire;

pub(crate) use self::wire::{UploadForm, Uploaded};

/// Whether a field of the form may carry the file.
pub(crate) fn may_be_the_file(field: &str) -> bool {
    wire::FIELDS.contains(&field)
}
