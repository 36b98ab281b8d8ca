//! The version of all files of the pages together. It stands in the addresses that documents name, so that browsers may keep
//! what they have fetched, and ask for nothing again until a file has changed.
//!
//! Modules name one another by relative addresses, so the version of one is the version of all that it needs. An address with another
//! version leads to the files of this program, which browsers then do not keep: so a page that was opened before an update still works.

use aws_lc_rs::digest::{Context, SHA256};

use super::embedded::{SWAGGER_UI_FILES, Static, swagger_ui_file};

/// Letters of a version: 64 bits, which no two sets of files of this program share by chance.
const LETTERS: usize = 16;

/// The headers with which files are answered. Browsers keep them as long as the files, so this changes when they do.
const HEADERS: &[u8] = b"1";

/// The folder that has a folder for each version.
const FOLDER: &str = "v/";

/// The version of the files that this program has. In development builds, which read them from disk, it changes with them.
pub(super) fn current() -> String {
    #[cfg(not(debug_assertions))]
    {
        static VERSION: std::sync::LazyLock<String> = std::sync::LazyLock::new(read);
        VERSION.clone()
    }
    #[cfg(debug_assertions)]
    {
        read()
    }
}

fn read() -> String {
    let mut names: Vec<_> = <Static as rust_embed::RustEmbed>::iter().collect();
    names.sort();
    let mut all = Context::new(&SHA256);
    all.update(HEADERS);
    for name in &names {
        all.update(name.as_bytes());
        all.update(&state(name));
    }
    for name in SWAGGER_UI_FILES {
        if let Some(file) = swagger_ui_file(name) {
            all.update(&file.bytes);
        }
    }
    let mut version = hex::encode(all.finish().as_ref());
    version.truncate(LETTERS);
    version
}

/// What changes when a file does.
#[cfg(not(debug_assertions))]
fn state(name: &str) -> Vec<u8> {
    <Static as rust_embed::RustEmbed>::get(name).map_or_else(Vec::new, |file| file.metadata.sha256_hash().to_vec())
}

/// What changes when a file does. To read a hundred files for each request would take longer than to ask when they changed.
#[cfg(debug_assertions)]
fn state(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("static")
        .join(name);
    let changed = std::fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len())));
    format!("{changed:?}").into_bytes()
}

/// A file's path below `static/`, from the path that was asked for; and the version that this had, if it had one.
pub(super) fn split(path: &str) -> (&str, Option<&str>) {
    let versioned = path.strip_prefix(FOLDER).and_then(|rest| rest.split_once('/'));
    match versioned {
        Some((version, file)) => (file, Some(version)),
        None => (path, None),
    }
}

/// The document with the version in the address of each file.
pub(super) fn in_addresses(document: &str, version: &str) -> String {
    let versioned = |attribute: &str| format!("{attribute}=\"/static/{FOLDER}{version}/");
    document
        .replace("href=\"/static/", &versioned("href"))
        .replace("src=\"/static/", &versioned("src"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_a_path_is_told_from_the_file() {
        assert_eq!(split("v/0123/room/main.js"), ("room/main.js", Some("0123")));
        for path in ["room/main.js", "v/", "v/0123", "", "x/0123/room/main.js"] {
            assert_eq!(split(path), (path, None));
        }
    }

    #[test]
    fn the_version_is_short_stays_and_is_in_every_address_of_files() {
        let version = current();
        assert_eq!(version.len(), LETTERS);
        assert_eq!(version, current());
        let document =
            "<link href=\"/static/a.css\"> <script src=\"/static/b/c.js\"></script> <a href=\"/room\">/static/</a>";
        let expected = format!(
            "<link href=\"/static/v/{version}/a.css\"> <script src=\"/static/v/{version}/b/c.js\"></script> <a href=\"/room\">/static/</a>"
        );
        assert_eq!(in_addresses(document, &version), expected);
    }
}
