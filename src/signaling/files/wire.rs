//! The form and the answer exactly as on the wire.

use serde::Serialize;

pub(crate) const FIELDS: [&str; 2] = ["file", "uploadFile"];

/// The answer about a file that was taken.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Uploaded<'a> {
    pub file_name: &'a str,
    pub(crate) file_type: &'a str,
    pub(crate) file_url: String,
    pub size: u64,
}
