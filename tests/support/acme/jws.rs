//! Messages to the authority: signed JSON (RFC 8555 §6.2), each with a nonce that was given out and never used, and its own URL.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::State;

#[derive(Clone)]
pub struct Account {
    /// The public key: an uncompressed point of P-256.
    point: Vec<u8>,
    /// The print of the key (RFC 7638).
    pub print: String,
}

pub struct Message {
    pub payload: Value,
    /// Number of the account that has signed it.
    pub account: usize,
    /// The account that it wants, if it came with a key.
    pub new_account: Option<Account>,
}

pub fn decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Reads a message. The error is what is wrong with it.
pub fn read(state: &mut State, base: &str, path: &str, body: &[u8]) -> Result<Message, String> {
    let outer: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let part = |name: &str| outer[name].as_str().ok_or(format!("{name} is missing"));
    let (protected, payload, signature) = (part("protected")?, part("payload")?, part("signature")?);
    let header: Value = serde_json::from_slice(&decoded(protected)).map_err(|error| error.to_string())?;
    if header["alg"] != "ES256" {
        return Err(format!("the algorithm is {}", header["alg"]));
    }
    if header["url"] != format!("{base}{path}") {
        return Err(format!("the URL is {}, and not that of {path}", header["url"]));
    }
    let nonce = header["nonce"].as_str().unwrap_or_default();
    let before = state.nonces.len();
    state.nonces.retain(|known| known != nonce);
    if state.nonces.len() == before {
        return Err(format!("the nonce {nonce} was not given out, or was used"));
    }
    let (account, number, is_new) = match (header.get("jwk"), header["kid"].as_str()) {
        (Some(key), None) if path == "/account" => (account(key), state.accounts.len(), true),
        (None, Some(place)) if path != "/account" => {
            let number = place.strip_prefix(&format!("{base}/account/"));
            let number: usize = number
                .and_then(|number| number.parse().ok())
                .ok_or("a strange account")?;
            (
                state.accounts.get(number).ok_or("an unknown account")?.clone(),
                number,
                false,
            )
        }
        _ => return Err("it has the wrong one of jwk and kid".to_owned()),
    };
    let signed = format!("{protected}.{payload}");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &account.point)
        .verify(signed.as_bytes(), &decoded(signature))
        .map_err(|_| "the signature is wrong".to_owned())?;
    Ok(Message {
        payload: serde_json::from_slice(&decoded(payload)).unwrap_or_default(),
        account: number,
        new_account: is_new.then_some(account),
    })
}

fn account(key: &Value) -> Account {
    let part = |name: &str| key[name].as_str().unwrap();
    // The members that count, in the order of their names.
    let counted = json!({ "crv": part("crv"), "kty": part("kty"), "x": part("x"), "y": part("y") }).to_string();
    let mut point = vec![4];
    point.extend(decoded(part("x")));
    point.extend(decoded(part("y")));
    Account {
        point,
        print: BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, counted.as_bytes())),
    }
}
