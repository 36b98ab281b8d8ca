//! Who somebody is: tokens by which a client proves that a name is theirs. Pure; the time is given.
//!
//! A token is a JSON Web Token (RFC 7519) with the claims `sub`, the user, and `exp`, the time when it expires. Further
//! rights of its owner become claims here once there are any.

pub mod access_token;
pub(crate) mod jwt;

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::ids::UserId;

/// Days for which a token may be valid, at most. Secrets are kept for that long after their last signature.
pub(crate) const DAYS_MAX: u32 = 365;

pub(crate) const SECONDS_PER_DAY: i64 = 24 * 3_600;

/// The secrets that sign tokens, the newest first. Cheap to clone; all clones see the same.
#[derive(Clone, Default)]
pub struct TokenKeys(Arc<ArcSwap<Vec<Vec<u8>>>>);

/// The user whom a token belongs to, and when the token expires, in seconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
}

/// The reason why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is not one of this server's")]
    NotOurs,
    #[error("the token's time is over")]
    Expired,
}

/// Whether a text is meant as a token: three parts, the first of which is an object in base 64 (RFC 7515 §7.1); or an access
/// token.
pub(crate) fn looks_like_token(text: &str) -> bool {
    let is_web_token = text.starts_with("eyJ") && text.split('.').count() == 3;
    is_web_token || access_token::names_an_app(text)
}

impl TokenKeys {
    pub fn new(secrets: Vec<Vec<u8>>) -> Self {
        let keys = Self::default();
        keys.replace(secrets);
        keys
    }

    pub fn replace(&self, secrets: Vec<Vec<u8>>) {
        self.0.store(Arc::new(secrets));
    }

    pub fn all(&self) -> Arc<Vec<Vec<u8>>> {
        self.0.load_full()
    }

    /// Returns a token for a user, or `None` where no secret can sign it.
    pub fn issue(&self, user: &UserId, until_s: i64) -> Option<String> {
        let claims = Claims {
            sub: user.as_str().to_owned(),
            exp: until_s,
        };
        jwt::sign(self.all().first()?, &claims)
    }

    /// The user whom a token belongs to.
    pub(crate) fn owner_of(&self, token: &str, now_s: i64) -> Result<UserId, TokenError> {
        let claims: Claims = jwt::read(&self.all(), token).ok_or(TokenError::NotOurs)?;
        if now_s >= claims.exp {
            return Err(TokenError::Expired);
        }
        Ok(UserId::from(claims.sub.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> TokenKeys {
        TokenKeys::new(secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect())
    }

    #[test]
    fn a_token_names_its_owner_until_its_time_is_over_also_under_an_older_secret() {
        let token = keys(&["old"]).issue(&"安娜".into(), 1_000).unwrap();
        let both = keys(&["new", "old"]);
        assert_eq!(both.owner_of(&token, 999), Ok("安娜".into()));
        assert_eq!(both.owner_of(&token, 1_000), Err(TokenError::Expired));
        assert_eq!(keys(&["new"]).owner_of(&token, 0), Err(TokenError::NotOurs));
        assert_eq!(keys(&[]).issue(&"anna".into(), 1_000), None);
        both.replace(Vec::new());
        assert_eq!(both.clone().owner_of(&token, 0), Err(TokenError::NotOurs));
    }

    #[test]
    fn a_token_of_another_shape_or_with_a_changed_byte_names_nobody() {
        let keys = keys(&["secret"]);
        let device = serde_json::json!({ "phone": "13800000001", "deviceid": "d1", "exp": 1_000 });
        let device = jwt::sign(b"secret", &device).unwrap();
        assert_eq!(keys.owner_of(&device, 0), Err(TokenError::NotOurs), "a device's");
        let list = jwt::sign(b"secret", &serde_json::json!(["anna", 1_000])).unwrap();
        assert_eq!(keys.owner_of(&list, 0), Err(TokenError::NotOurs), "a list");
        let token = keys.issue(&"anna".into(), 1_000).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        for forged in [
            "",
            "..",
            "anna",
            signed,
            &format!("{signed}."),
            &format!("{signed}.A{}", &signature[1..]),
        ] {
            assert!(
                forged == token || keys.owner_of(forged, 0) == Err(TokenError::NotOurs),
                "{forged}"
            );
        }
    }
}
