//! Names and types of files: client input made harmless.

/// Bytes of a shown name. Common file systems allow 255 for the name that the downloader's browser makes of it.
const MAX_NAME_BYTES: usize = 200;
/// Bytes of these that are kept for the extension.
const MAX_EXTENSION_BYTES: usize = 16;

/// The last component of the sent name, without characters that hide or reorder text. Never empty, never a path,
/// never hidden.
pub(crate) fn clean(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|c| !is_deceptive(*c)).collect();
    let trimmed = visible.trim().trim_matches('.').trim();
    if trimmed.is_empty() {
        return "file".to_owned();
    }
    shorten(trimmed)
}

/// Whether it is a control character, or one that makes text read in another order or not at all (Unicode Standard
/// Annex 9, §2).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// A shorter name that keeps its extension, by which people and programs recognize the type.
fn shorten(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let extension = extension(name).filter(|e| e.len() <= MAX_EXTENSION_BYTES);
    let room = MAX_NAME_BYTES - extension.map_or(0, |e| e.len() + 1);
    let stem = &name[..name.floor_char_boundary(room)];
    match extension {
        Some(extension) => format!("{}.{extension}", stem.trim_end_matches(['.', ' '])),
        None => stem.trim_end().to_owned(),
    }
}

fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, extension)| extension)
}

/// `attachment` with the name twice: plain for old clients, encoded for all others (RFC 6266 §4.3, RFC 8187).
pub(crate) fn content_disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            // Percent signs are replaced, too: some clients decode what looks like an escape (RFC 6266 appendix D).
            '"' | '\\' | '%' => '_',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '_',
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", encode(name))
}

/// Percent-encoding that is safe as an RFC 8187 value and as a segment of a path.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The type that is recorded for the file: the declared one without parameters, or the one of the name where the
/// client declared nothing useful.
pub(crate) fn media_type(declared: Option<&str>, name: &str) -> String {
    let declared = declared
        .map(|t| t.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .filter(|t| is_media_type(t) && t != UNKNOWN);
    declared.or_else(|| by_name(name)).unwrap_or_else(|| UNKNOWN.to_owned())
}

const UNKNOWN: &str = "application/octet-stream";

fn by_name(name: &str) -> Option<String> {
    extension(name)
        .and_then(|extension| mime_guess::from_ext(extension).first())
        .map(|guess| guess.essence_str().to_owned())
}

/// RFC 6838 §4.2 restricts the characters, so such a text is safe in a header.
fn is_media_type(text: &str) -> bool {
    let is_name = |part: &str| {
        (1..=127).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

/// Whether both the declared type and the type of the name are allowed: a page must not pass as a picture.
pub(crate) fn is_allowed(media_type: &str, name: &str, patterns: &[String]) -> bool {
    let fits = |media_type: &str| patterns.iter().any(|pattern| matches(pattern, media_type));
    fits(media_type) && by_name(name).is_none_or(|by_name| fits(&by_name))
}

fn matches(pattern: &str, media_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("*/") => true,
        Some(prefix) => media_type.starts_with(&prefix.to_ascii_lowercase()),
        None => pattern.eq_ignore_ascii_case(media_type),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lose_paths_and_tricks_and_keep_their_meaning() {
        for (sent, expected) in [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\windows\\win.ini", "win.ini"),
            ("C:\\fakepath\\会议 记录.pdf", "会议 记录.pdf"),
            ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
            ("photo\u{202E}gnp.exe", "photognp.exe"),
            ("nul\0byte.txt", "nulbyte.txt"),
            (".htaccess", "htaccess"),
            ("..", "file"),
            ("dir/", "file"),
            ("", "file"),
            ("   ", "file"),
        ] {
            assert_eq!(clean(sent), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = format!("{}.pdf", "字".repeat(300));
        let name = clean(&long);
        assert!(name.len() <= MAX_NAME_BYTES && name.ends_with("字.pdf"), "{name}");
        assert!(clean(&"x".repeat(300)).len() <= MAX_NAME_BYTES);
        assert!(clean(&format!("a.{}", "x".repeat(300))).len() <= MAX_NAME_BYTES);
    }

    #[test]
    fn the_disposition_is_understood_by_old_and_new_clients() {
        assert_eq!(
            content_disposition("a \"b\" 100%.txt"),
            "attachment; filename=\"a _b_ 100_.txt\"; filename*=UTF-8''a%20%22b%22%20100%25.txt"
        );
        assert_eq!(
            content_disposition("é.txt"),
            "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"
        );
    }

    #[test]
    fn the_type_is_the_declared_one_or_what_the_name_says() {
        assert_eq!(media_type(Some("Image/PNG; x=y"), "a.txt"), "image/png");
        assert_eq!(media_type(Some("application/octet-stream"), "a.pdf"), "application/pdf");
        assert_eq!(media_type(None, "a.unknown"), UNKNOWN);
        assert_eq!(media_type(Some("image/png\r\nX: y"), "a"), UNKNOWN);
    }

    #[test]
    fn what_is_not_listed_is_refused_also_when_it_calls_itself_something_else() {
        let patterns = ["image/*", "text/plain"].map(str::to_owned);
        let allowed = |declared, name| is_allowed(&media_type(Some(declared), name), name, &patterns);
        assert!(allowed("image/png", "a.png"));
        assert!(allowed("image/png", "a"));
        assert!(allowed("application/octet-stream", "a.txt"));
        assert!(!allowed("text/html", "a.html"));
        assert!(!allowed("text/html", "a.txt"));
        assert!(!allowed("image/png", "a.html"));
        assert!(!allowed("application/octet-stream", "a.exe"));
        assert!(!allowed("application/octet-stream", "a.unknown"));
        assert!(is_allowed("x/y", "a.exe", &["*/*".to_owned()]));
    }

    proptest! {
        #[test]
        fn a_cleaned_name_is_one_harmless_component_and_cleaning_it_again_changes_nothing(sent: String) {
            let name = clean(&sent);
            prop_assert!(!name.is_empty() && name.len() <= MAX_NAME_BYTES);
            prop_assert!(!name.contains(['/', '\\']) && !name.starts_with('.') && !name.chars().any(is_deceptive));
            prop_assert_eq!(clean(&name), name.clone());
            prop_assert!(axum::http::HeaderValue::from_str(&content_disposition(&name)).is_ok());
        }
    }
}
