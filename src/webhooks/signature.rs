//! The secret that signs webhooks, and the signature.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &str = "whsec_";
/// Bytes of a secret: those that Standard Webhooks allows.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that the server and the receiver share.
pub struct Secret(hmac::Key);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret is whsec_ and 24 to 64 random bytes in base 64; make one with: echo whsec_$(openssl rand -base64 32)"
)]
pub struct BadSecret;

impl Secret {
    pub fn read(text: &str) -> Result<Secret, BadSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(BadSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| BadSecret)?;
        match BYTES.contains(&bytes.len()) {
            true => Ok(Secret(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
            false => Err(BadSecret),
        }
    }

    /// The value of the header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp_s}.{body}");
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(signature.as_ref()))
    }
}

/// A text without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_example() {
        // The example of the specification's reference libraries (github.com/standard-webhooks/standard-webhooks).
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La",
        ] {
            assert_eq!(Secret::read(text).err(), Some(BadSecret), "{text}");
        }
        let long = STANDARD.encode([7; 65]);
        assert!(Secret::read(&format!("whsec_{long}")).is_err());
    }
}
