//! The compressed forms of the pages' files. Each is made when it is first asked for, and kept.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, header};

/// Forms that are kept at most. All files, in both codings, and all variants of the documents are fewer than half of these; in
/// development builds each change of a file makes a new form.
const KEPT_MAX: usize = 1_000;

/// Effort of Brotli (0 to 11) and of gzip (0 to 9). A file of 20 kB takes a millisecond, once; more would save one byte of fifty.
const BROTLI_EFFORT: u32 = 9;
const GZIP_EFFORT: u32 = 9;
/// Logarithm of the bytes that Brotli looks back: more than any file has.
const BROTLI_WINDOW: u32 = 19;

static KEPT: LazyLock<Mutex<HashMap<(String, Coding), Bytes>>> = LazyLock::new(Mutex::default);

/// A content coding: RFC 9110 §8.4.1, RFC 7932.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// The best coding that the client takes for a file of this type. Pictures and sounds are compressed already.
    pub(super) fn negotiate(headers: &HeaderMap, content_type: &str) -> Option<Coding> {
        let is_text =
            content_type.starts_with("text/") || content_type.ends_with("json") || content_type.ends_with("+xml");
        [Coding::Brotli, Coding::Gzip]
            .into_iter()
            .find(|coding| is_text && coding.is_taken(headers))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// RFC 9110 §12.5.3. What is not named, also by `*`, does not count as taken: clients that take it name it.
    fn is_taken(self, headers: &HeaderMap) -> bool {
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| {
                let (name, weight) = one.split_once(';').unwrap_or((one, ""));
                let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
                name.trim().eq_ignore_ascii_case(self.name()) && !refused
            })
    }

    /// The compressed form of a body with this tag.
    pub(super) fn of(self, etag: &str, body: &[u8]) -> Bytes {
        let key = (etag.to_owned(), self);
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(kept) = kept {
            return kept;
        }
        let form = Bytes::from(self.compress(body));
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, form.clone());
        form
    }

    fn compress(self, body: &[u8]) -> Vec<u8> {
        let mut form = Vec::with_capacity(body.len() / 2);
        // Writing to memory does not fail.
        match self {
            Coding::Brotli => {
                let mut writer =
                    brotli::CompressorWriter::new(&mut form, body.len().max(1), BROTLI_EFFORT, BROTLI_WINDOW);
                writer.write_all(body).ok();
            }
            Coding::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(&mut form, flate2::Compression::new(GZIP_EFFORT));
                writer.write_all(body).ok();
                writer.finish().ok();
            }
        }
        form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(accepted: &[&str], content_type: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in accepted {
            headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
        }
        Coding::negotiate(&headers, content_type).map(Coding::name)
    }

    #[test]
    fn the_best_coding_that_a_client_names_is_used_for_text_alone() {
        for (accepted, coding) in [
            (&["gzip, deflate, br, zstd"][..], Some("br")),
            (&["gzip", "BR;q=0.5"], Some("br")),
            (&["gzip, br;q=0"], Some("gzip")),
            (&["gzip;q=0.0"], None),
            (&["identity", "*"], None),
            (&["brr, xgzip"], None),
            (&[], None),
        ] {
            assert_eq!(
                negotiated(accepted, "text/javascript; charset=utf-8"),
                coding,
                "{accepted:?}"
            );
        }
        assert_eq!(negotiated(&["br"], "image/svg+xml"), Some("br"));
        assert_eq!(negotiated(&["br"], "image/png"), None);
    }

    #[test]
    fn a_compressed_form_can_be_read_again_and_is_made_once() {
        let body = "A sentence that comes again and again. ".repeat(200);
        let form = Coding::Gzip.of("\"t1\"", body.as_bytes());
        let mut read = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&form[..]), &mut read).unwrap();
        assert_eq!(read, body);
        let form = Coding::Brotli.of("\"t1\"", body.as_bytes());
        let mut read = String::new();
        std::io::Read::read_to_string(&mut brotli::Decompressor::new(&form[..], 4_096), &mut read).unwrap();
        assert_eq!(read, body);
        assert_eq!(Coding::Brotli.of("\"t1\"", b"").as_ptr(), form.as_ptr());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        for number in 0..3 * KEPT_MAX {
            Coding::Gzip.of(&format!("\"bound-{number}\""), b"x");
        }
        assert!(KEPT.lock().unwrap().len() <= KEPT_MAX);
    }
}
