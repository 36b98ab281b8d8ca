//! JSON Web Tokens (RFC 7519), signed with HMAC-SHA256. Pure; nothing here knows what a token says, or the time.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Longer ones are refused unread: real ones have some 200 bytes.
const TOKEN_BYTES_MAX: usize = 2_048;

/// `None` where the library cannot sign.
pub fn sign(secret: &[u8], claims: &impl Serialize) -> Option<String> {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret)).ok()
}

/// What a token says that one of the secrets has signed, whether or not its time is over.
pub fn read<C: DeserializeOwned>(secrets: &[Vec<u8>], token: &str) -> Option<C> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    // No other algorithm, and none in particular, is accepted (RFC 8725 §3.1). The library would ask a clock.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    secrets.iter().find_map(|secret| {
        // An object, not a list of the same values in the order of the claims' fields.
        let decoded = decode::<Map<String, Value>>(token, &DecodingKey::from_secret(secret), &validation);
        C::deserialize(Value::Object(decoded.ok()?.claims)).ok()
    })
}
