//! Tokens of devices: their claims, and how long they are valid. Pure; the time is given.

use serde::{Deserialize, Serialize};

use crate::auth::jwt;

/// Seconds for which a token is valid: seven days.
pub(crate) const VALID_FOR_S: i64 = 7 * 24 * 3_600;

/// The device that a token belongs to, and when the token expires, in seconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub phone: String,
    pub(crate) deviceid: String,
    pub(crate) exp: i64,
}

/// Signs a token. `None` where the library cannot.
pub(crate) fn sign(secret: &[u8], claims: &Claims) -> Option<String> {
    jwt::sign(secret, claims)
}

/// The claims of a token, if one of the secrets has signed it and it has not expired.
pub(crate) fn verify(secrets: &[Vec<u8>], token: &str, now_s: i64) -> Option<Claims> {
    jwt::read(secrets, token).filter(|claims: &Claims| now_s < claims.exp)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

    use super::*;

    fn claims() -> Claims {
        Claims {
            phone: "13800000001".to_owned(),
            deviceid: "d1".to_owned(),
            exp: 1_000,
        }
    }

    #[test]
    fn a_token_is_valid_until_its_time_is_over_and_under_older_secrets_too() {
        let token = sign(b"old", &claims()).unwrap();
        let secrets = [b"new".to_vec(), b"old".to_vec()];
        assert_eq!(verify(&secrets, &token, 999), Some(claims()));
        assert_eq!(verify(&secrets, &token, 1_000), None);
        assert_eq!(verify(&secrets[..1], &token, 999), None, "of another server");
    }

    #[test]
    fn a_token_of_another_shape_or_algorithm_or_with_a_changed_byte_is_none() {
        let secrets = [b"secret".to_vec()];
        let key = EncodingKey::from_secret(b"secret");
        let older = serde_json::json!({ "userName": "13800000001d1", "ip": "", "exp": 1_000 });
        let older = encode(&Header::default(), &older, &key).unwrap();
        assert_eq!(verify(&secrets, &older, 0), None);
        let list = serde_json::json!(["13800000001", "d1", 1_000]);
        let list = encode(&Header::default(), &list, &key).unwrap();
        assert_eq!(verify(&secrets, &list, 0), None, "a list of the claims");
        let other = encode(&Header::new(Algorithm::HS512), &claims(), &key).unwrap();
        assert_eq!(verify(&secrets, &other, 0), None);
        let unsigned = "eyJhbGciOiJub25lIn0.eyJwaG9uZSI6IjEzODAwMDAwMDAxIiwiZGV2aWNlaWQiOiJkMSIsImV4cCI6MTAwMH0.";
        assert_eq!(verify(&secrets, unsigned, 0), None);
        let token = sign(b"secret", &claims()).unwrap();
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_ne!(verify(&secrets, &changed, 0), Some(Claims { exp: 0, ..claims() }));
            // The last symbol of a part has bits without a meaning.
            let spare = token.as_bytes().get(index + 1).is_none_or(|next| *next == b'.');
            assert!(spare || verify(&secrets, &changed, 0).is_none(), "{index}");
        }
        assert_eq!(verify(&secrets, &"x".repeat(3_000), 0), None);
        assert_eq!(verify(&secrets, "", 0), None);
    }
}
