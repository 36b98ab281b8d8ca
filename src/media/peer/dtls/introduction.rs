//! Our part as a client, until the server has proven who it is. What it says before that may be forged, and there is one
//! hello alone that it answers: so the library gets no answer before it is known to be one.
//!
//! - A HelloVerifyRequest proves nothing, and a hello with a cookie that the server has not asked for ends a handshake. So a
//!   cookie is brought back once it has been asked for twice: after the first time we say our hello again. A server that wants
//!   one asks again; one that wants none has answered meanwhile.
//! - A server's first messages are its answer if its certificate's key has signed our random with its own. Whether the
//!   certificate is the right one is seen when the handshake is done.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_crypto::{PublicKey, PublicKeyEncoding, RTCCryptoProvider, SignatureScheme};

use super::REPEAT_GAP;
use super::records::{self, ClientHello, Introduction, MESSAGE_HEADER};

/// Answers whose signature is looked at whenever they come. More are forged: then one in [`REPEAT_GAP`] is, so that a flood
/// of them costs little.
const CHECKS_AT_ONCE: u8 = 8;

/// Bytes of a point of P-384, not compressed.
const P384_POINT: usize = 97;

pub struct Opening {
    provider: Arc<dyn RTCCryptoProvider>,
    /// Our first hello, as the library says it.
    hello: Vec<u8>,
    /// The cookie that was asked for last, by whomever.
    asked: Option<Vec<u8>>,
    /// The cookie to bring back.
    cookie: Option<Vec<u8>>,
    /// When the hello was last said again because of a cookie.
    repeated: Option<Instant>,
    /// How many answers were looked at, and when the last one was.
    checks: u8,
    checked: Option<Instant>,
}

impl Opening {
    /// `None` if the library's first flight is not a hello.
    pub fn new(provider: Arc<dyn RTCCryptoProvider>, flight: &[BytesMut]) -> Option<Opening> {
        let record = records::records(flight.first()?).next()?;
        let opening = Opening {
            provider,
            hello: record.body.to_vec(),
            asked: None,
            cookie: None,
            repeated: None,
            checks: 0,
            checked: None,
        };
        opening.first().is_some().then_some(opening)
    }

    fn first(&self) -> Option<ClientHello<'_>> {
        ClientHello::parse(self.hello.get(MESSAGE_HEADER..)?)
    }

    pub fn cookie(&self) -> Option<&[u8]> {
        self.cookie.as_deref()
    }

    /// What is to be said now.
    pub fn hello(&self) -> Vec<u8> {
        match (self.first(), &self.cookie) {
            (Some(first), Some(cookie)) => first.second(cookie),
            _ => self.hello.clone(),
        }
    }

    /// Somebody has asked for a cookie. Whether our hello is to be said again, with the cookie or still without.
    pub fn is_asked(&mut self, now: Instant, cookie: &[u8]) -> bool {
        if self.asked.as_deref() == Some(cookie) && self.cookie() != Some(cookie) {
            self.cookie = self.asked.clone();
            return true;
        }
        self.asked = Some(cookie.to_vec());
        is_time(now, &mut self.repeated)
    }

    /// Whether these first messages of a server answer our hello.
    pub fn is_answered_by(&mut self, now: Instant, flight: &[Vec<u8>]) -> bool {
        if self.checks >= CHECKS_AT_ONCE && !is_time(now, &mut self.checked) {
            return false;
        }
        self.checks = self.checks.saturating_add(1);
        let bodies = flight.iter().filter_map(|message| message.get(MESSAGE_HEADER..));
        let [hello, certificates, key_exchange] = match bodies.take(3).collect::<Vec<_>>().try_into() {
            Ok(bodies) => bodies,
            Err(_) => return false,
        };
        let server = Introduction::parse(hello, certificates, key_exchange);
        server.is_some_and(|server| self.is_signed(&server).is_some())
    }

    fn is_signed(&self, server: &Introduction<'_>) -> Option<()> {
        let signed = [&self.first()?.random, server.random, server.parameters].concat();
        let (_, certificate) = x509_parser::parse_x509_certificate(server.certificate).ok()?;
        let bytes: &[u8] = &certificate.tbs_certificate.subject_pki.subject_public_key.data;
        let (scheme, encoding) = scheme(server.algorithm, bytes.len())?;
        let key = PublicKey { encoding, bytes };
        let crypto = self.provider.crypto();
        crypto.verify_signature(scheme, key, &signed, server.signature).ok()
    }
}

/// Whether it is long enough ago that something was done last; it is done now, then.
fn is_time(now: Instant, last: &mut Option<Instant>) -> bool {
    let since = last.map(|last| now.saturating_duration_since(last));
    let is_time = since.is_none_or(|since| since >= REPEAT_GAP);
    if is_time {
        *last = Some(now);
    }
    is_time
}

/// The kinds of signature that the library offers (RFC 5246 §7.4.1.4.1, RFC 8422 §5.1.3).
fn scheme(algorithm: [u8; 2], key_bytes: usize) -> Option<(SignatureScheme, PublicKeyEncoding)> {
    Some(match algorithm {
        [4, 3] if key_bytes == P384_POINT => (SignatureScheme::EcdsaP384Sha256, PublicKeyEncoding::EcUncompressedPoint),
        [4, 3] => (SignatureScheme::EcdsaP256Sha256, PublicKeyEncoding::EcUncompressedPoint),
        [5, 3] => (SignatureScheme::EcdsaP384Sha384, PublicKeyEncoding::EcUncompressedPoint),
        [8, 7] => (SignatureScheme::Ed25519, PublicKeyEncoding::Ed25519Raw),
        [2, 1] => (SignatureScheme::RsaPkcs1Sha1, PublicKeyEncoding::RsaPkcs1Der),
        [4, 1] => (SignatureScheme::RsaPkcs1Sha256, PublicKeyEncoding::RsaPkcs1Der),
        [5, 1] => (SignatureScheme::RsaPkcs1Sha384, PublicKeyEncoding::RsaPkcs1Der),
        [6, 1] => (SignatureScheme::RsaPkcs1Sha512, PublicKeyEncoding::RsaPkcs1Der),
        _ => return None,
    })
}
