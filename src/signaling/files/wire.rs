//! The form and the answer exactly as on the wire.

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub(crate) const FIELDS: [&str; 2] = ["file", "uploadFile"];

/// The answer about a file that was taken.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Uploaded<'a> {
    /// Name of the file, cleaned of what no file system takes.
    pub file_name: &'a str,
    /// Media type of the file.
    pub(crate) file_type: &'a str,
    /// Path at this server from which the file is fetched.
    pub(crate) file_url: String,
    /// Bytes of the file.
    pub size: u64,
}

/// The form with which a file is uploaded.
pub(crate) struct UploadForm;

impl PartialSchema for UploadForm {
    fn schema() -> RefOr<Schema> {
        let [field, other] = FIELDS;
        let file = ObjectBuilder::new().schema_type(Type::String);
        let file = file.content_media_type("application/octet-stream");
        let file = file.description(Some(format!(
            "File. Clients of other servers name the field `{other}`."
        )));
        let form = ObjectBuilder::new().property(field, file).required(field);
        Schema::from(form.build()).into()
    }
}

impl ToSchema for UploadForm {}
