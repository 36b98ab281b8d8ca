//! The files that are embedded in the program: ours, and those of a crate.

use std::sync::Arc;

use utoipa_swagger_ui::SwaggerFile;

/// All files under `static/`.
#[derive(rust_embed::RustEmbed)]
#[folder = "static/"]
pub(super) struct Static;

/// The files of the crate that the page needs; there are more.
pub(super) const SWAGGER_UI_FILES: [&str; 2] = ["swagger-ui.css", "swagger-ui-bundle.js"];

pub(super) fn swagger_ui_file(name: &str) -> Option<SwaggerFile<'static>> {
    if !SWAGGER_UI_FILES.contains(&name) {
        return None;
    }
    // The configuration is for a file that is not served.
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    utoipa_swagger_ui::serve(name, config).ok().flatten()
}
