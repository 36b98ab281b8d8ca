//! The proof that plain-text messages of a handshake are the other side's: the signature of its certificate's key over the
//! messages of both sides. Whether the certificate is the right one is checked when the handshake is done.

use std::sync::Arc;
use std::time::Instant;

use rtc_crypto::{PublicKey, PublicKeyEncoding, RTCCryptoProvider, SignatureScheme};

use super::pace::is_time;
use super::records::Signed;

/// Signatures that are verified whenever they come. A flood of more is forged, and costs little: one in
/// [`REPEAT_GAP`](super::pace::REPEAT_GAP) is verified.
const CHECKS_AT_ONCE: u8 = 8;

/// Bytes of a point of P-384, not compressed.
const P384_POINT: usize = 97;

/// Verifies the signatures of one handshake.
pub(crate) struct Signatures {
    provider: Arc<dyn RTCCryptoProvider>,
    /// Number of verified signatures; `checked` is the time of a recent one.
    checks: u8,
    checked: Option<Instant>,
}

impl Signatures {
    pub fn new(provider: Arc<dyn RTCCryptoProvider>) -> Signatures {
        Signatures {
            provider,
            checks: 0,
            checked: None,
        }
    }

    /// Whether the certificate's key has signed `text`. Also false when too many signatures have come.
    pub(crate) fn has_signed(&mut self, now: Instant, signed: &Signed<'_>, text: &[u8]) -> bool {
        if self.checks >= CHECKS_AT_ONCE && !is_time(now, &mut self.checked) {
            return false;
        }
        self.checks = self.checks.saturating_add(1);
        self.verify(signed, text).is_some()
    }

    fn verify(&self, signed: &Signed<'_>, text: &[u8]) -> Option<()> {
        let (_, certificate) = x509_parser::parse_x509_certificate(signed.certificate).ok()?;
        let bytes: &[u8] = &certificate.tbs_certificate.subject_pki.subject_public_key.data;
        let (scheme, encoding) = scheme(signed.algorithm, bytes.len())?;
        let key = PublicKey { encoding, bytes };
        let crypto = self.provider.crypto();
        crypto.verify_signature(scheme, key, text, signed.signature).ok()
    }
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
