//! The form and the answer exactly as on the wire.

use serde::Serialize;

pub const FIELDS: [&str; 2] = ["file", "uploadFile"];

/// The answer about a file that was taken.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Uploaded<'a> {
    pub file_name: &'a str,
    pub file_type: &'a str,
    pub file_url: String,
    pub size: u64,
}
