//! The secrets that sign webhooks, and the signatures.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &str = "whsec_";
/// Bytes of a secret: those that Standard Webhooks allows.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets that sign at the same time: the one that the receiver has, and those that it had or will have.
const SECRETS_MAX: usize = 4;

/// The secrets that the server and the receiver share.
pub struct Secrets(Vec<hmac::Key>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret is whsec_ and 24 to 64 random bytes in base 64; make one with: echo whsec_$(openssl rand -base64 32). \
    While a receiver changes from one to another there may be up to four, with spaces between"
)]
pub struct BadSecret;

impl Secrets {
    pub fn read(text: &str) -> Result<Secrets, BadSecret> {
        let keys = text.split_whitespace().map(key).collect::<Result<Vec<_>, _>>()?;
        match (1..=SECRETS_MAX).contains(&keys.len()) {
            true => Ok(Secrets(keys)),
            false => Err(BadSecret),
        }
    }

    /// The value of the header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp_s}.{body}");
        let signature = |key| STANDARD.encode(hmac::sign(key, signed.as_bytes()).as_ref());
        let signatures: Vec<_> = self.0.iter().map(|key| format!("v1,{}", signature(key))).collect();
        signatures.join(" ")
    }
}

fn key(text: &str) -> Result<hmac::Key, BadSecret> {
    let encoded = text.strip_prefix(PREFIX).ok_or(BadSecret)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| BadSecret)?;
    match BYTES.contains(&bytes.len()) {
        true => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        false => Err(BadSecret),
    }
}

/// A text without the secrets.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_example() {
        // The example of the specification's reference libraries (github.com/standard-webhooks/standard-webhooks).
        let secret = Secrets::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_of_several_secrets_signs() {
        let [old, new] = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        ];
        let sign = |secrets: &str| Secrets::read(secrets).unwrap().sign("msg_1", 1, "{}");
        assert_eq!(sign(&format!("{old} {new}")), format!("{} {}", sign(old), sign(new)));
        assert!(Secrets::read(&[old; 4].join(" ")).is_ok());
        assert!(Secrets::read(&[old; 5].join(" ")).is_err());
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
            assert_eq!(Secrets::read(text).err(), Some(BadSecret), "{text}");
        }
        let long = STANDARD.encode([7; 65]);
        assert!(Secrets::read(&format!("whsec_{long}")).is_err());
    }
}
