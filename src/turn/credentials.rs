//! Credentials that end by themselves, and that no server has to remember: the name says until when it is valid, and the password
//! is signed with a secret. Whoever knows the secret can check them, so a TURN server elsewhere may do what this one does
//! (coturn: `use-auth-secret`, `static-auth-secret`).

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Bytes of the longest name that is read. Ours have 27.
const MAX_NAME: usize = 128;

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, …)", self.username)
    }
}

/// What signs passwords. It is not printed.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    pub fn new(secret: &[u8]) -> Secret {
        Secret(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret))
    }

    /// Credentials that are valid until `expiry_s`, in seconds since 1970-01-01 UTC. `id` tells their holders apart.
    pub fn issue(&self, expiry_s: u64, id: &str) -> Credentials {
        let username = format!("{expiry_s}:{id}");
        let password = self.password(&username);
        Credentials { username, password }
    }

    /// The password of a name, whoever made that up.
    pub(super) fn password(&self, username: &str) -> String {
        BASE64_STANDARD.encode(hmac::sign(&self.0, username.as_bytes()))
    }
}

/// When the credentials with this name end, in seconds since 1970-01-01 UTC. `None` for a name that none of ours has.
pub(super) fn expiry_s(username: &str) -> Option<u64> {
    let (expiry, id) = username.split_once(':')?;
    let is_ours = username.len() <= MAX_NAME && !id.is_empty() && expiry.bytes().all(|byte| byte.is_ascii_digit());
    is_ours.then(|| expiry.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_coturn_makes_of_the_same_secret_and_name() {
        // printf %s '1700000000:7' | openssl dgst -sha1 -hmac north -binary | base64
        let credentials = Secret::new(b"north").issue(1_700_000_000, "7");
        assert_eq!(credentials.username, "1700000000:7");
        assert_eq!(credentials.password, "PPWz7PpRwxKwGzZCJzS+CZ2BJhk=");
    }

    #[test]
    fn the_end_is_read_from_names_of_our_form_alone() {
        assert_eq!(expiry_s("1700000000:7"), Some(1_700_000_000));
        assert_eq!(expiry_s("0:a:b"), Some(0));
        let long = format!("1:{}", "x".repeat(MAX_NAME));
        for name in [
            "",
            ":",
            "7",
            "7:",
            ":7",
            "-1:7",
            "+1:7",
            " 1:7",
            "1.5:7",
            "99999999999999999999:7",
            &long,
        ] {
            assert_eq!(expiry_s(name), None, "{name}");
        }
    }

    #[test]
    fn neither_a_secret_nor_a_password_is_printed() {
        let secret = Secret::new(b"north");
        let credentials = secret.issue(1, "7");
        let printed = format!("{secret:?} {credentials:?}");
        assert!(
            !printed.contains("north") && !printed.contains(&credentials.password),
            "{printed}"
        );
    }
}
