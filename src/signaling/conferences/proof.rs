//! How an app says who it is: the account in the path, account and password in a header, and the PIN of a conference.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::conferences::Credentials;
use crate::storage::ShownPin;

/// Word before the credentials in a header, and the one that the makers of the same protocol write elsewhere.
const SCHEMES: [&str; 2] = ["x-cloud-basic", "x-pexip-basic"];

/// What guests send in the place of a PIN where they need none.
const NO_PIN: &str = "none";

/// Base 64 as apps write it: with as much padding as they like, which is cut off before, and perhaps bits behind the last byte.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Account and password in the value of a header. `None` if it has none.
pub fn credentials(header: &str) -> Option<Credentials> {
    let (scheme, encoded) = header.trim().split_once(char::is_whitespace)?;
    if !SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let encoded = encoded.trim().trim_end_matches('=');
    let encoded: String = encoded.chars().map(from_url_alphabet).collect();
    let text = String::from_utf8(LENIENT.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

fn from_url_alphabet(c: char) -> char {
    match c {
        '-' => '+',
        '_' => '/',
        c => c,
    }
}

/// The token of a push service in what an app calls its device: which app it is stands behind it.
pub(super) fn push_token(device: &str) -> &str {
    device.rsplit_once("__").map_or(device, |(token, _app)| token)
}

/// The name of an account or a conference in a path, which is decoded already. A programming language's own way to write a percent
/// sign has come into what some apps send: `%%40`, or `%2540`.
pub fn name_in_path(text: &str) -> String {
    text.replace("%40", "@").replace("%@", "@")
}

/// What somebody shows who enters a conference: a PIN, or that they come as a guest without one. A missing text is no answer yet.
pub fn shown_pin(text: Option<&str>) -> ShownPin<'_> {
    match text.map(str::trim) {
        None | Some("") => ShownPin::Nothing,
        Some(text) if text.eq_ignore_ascii_case(NO_PIN) => ShownPin::AsGuest,
        Some(text) => ShownPin::Pin(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Option<(String, String)> {
        credentials(header).map(|found| (found.user, found.password))
    }

    #[test]
    fn credentials_are_read_whatever_their_padding_is() {
        let expected = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for encoded in [
            "dGVzdDoxMjM0NTY",
            "dGVzdDoxMjM0NTY=",
            "dGVzdDoxMjM0NTY==",
            "dGVzdDoxMjM0NTZ",
        ] {
            assert_eq!(
                read(&format!("x-cloud-basic {encoded}")),
                expected("test", "123456"),
                "{encoded}"
            );
        }
        assert_eq!(read("X-Cloud-Basic   dGVzdDoxMjM0NTY= "), expected("test", "123456"));
        assert_eq!(read("x-cloud-basic YTo="), expected("a", ""));
        assert_eq!(read("x-cloud-basic YTpiOmM="), expected("a", "b:c"));
        assert_eq!(
            read("x-cloud-basic 5a6JOj8_Pw"),
            expected("安", "???"),
            "the alphabet of URLs"
        );
        for header in [
            "",
            "x-cloud-basic",
            "x-cloud-basic ",
            "Basic YTpi",
            "x-cloud-basic !!!",
            "x-cloud-basic YWI",
            "x-cloud-basic /zph",
            "x-cloud-basic A",
        ] {
            assert_eq!(read(header), None, "{header}");
        }
    }

    #[test]
    fn an_at_sign_is_read_however_it_was_escaped() {
        for text in ["test@example.com", "test%@example.com", "test%40example.com"] {
            assert_eq!(name_in_path(text), "test@example.com", "{text}");
        }
        assert_eq!(name_in_path("test"), "test");
    }

    #[test]
    fn a_guest_says_that_there_is_no_pin_and_who_says_nothing_is_asked() {
        for text in [None, Some(""), Some(" ")] {
            assert!(matches!(shown_pin(text), ShownPin::Nothing), "{text:?}");
        }
        for text in ["none", "None", " none "] {
            assert!(matches!(shown_pin(Some(text)), ShownPin::AsGuest), "{text}");
        }
        for text in ["1234", " 1234 "] {
            assert!(matches!(shown_pin(Some(text)), ShownPin::Pin("1234")), "{text}");
        }
    }
}
