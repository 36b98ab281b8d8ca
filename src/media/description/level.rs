//! ICE and DTLS attributes, which may stand at the session or in any section.

use std::collections::HashSet;

use rtc_sdp::description::common::Attribute;
use smallvec::SmallVec;

use super::text::values;
use crate::media::session::{Fingerprint, FingerprintHash};

/// Lengths of an ICE user and password (RFC 8839 §5.4).
const UFRAG: std::ops::RangeInclusive<usize> = 4..=256;
const PWD: std::ops::RangeInclusive<usize> = 22..=256;

/// Fingerprints of one level. A client has one certificate, hashed with each of the three algorithms at most; the rest is for
/// unusual clients.
const MAX_FINGERPRINTS: usize = 8;

/// The lines of the session, or of one section, about a transport.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::media) struct TransportLines {
    /// ICE credentials; `None` if they are missing or of no use.
    pub credentials: Option<Credentials>,
    /// Fingerprints that can be used.
    pub(crate) fingerprints: Box<[Fingerprint]>,
    pub setup: Option<Setup>,
}

/// The client's ICE user and password.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::media) struct Credentials {
    pub ufrag: Box<str>,
    pub pwd: Box<str>,
}

/// The side that begins the DTLS handshake (RFC 8842 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::media) enum Setup {
    /// The client.
    Active,
    /// The server.
    Passive,
    /// The answer says who.
    Either,
    /// None of these words.
    Unknown,
}

impl TransportLines {
    pub(super) fn read(attributes: &[Attribute]) -> TransportLines {
        let setup = values(attributes, "setup").next().map(|word| match word {
            "active" => Setup::Active,
            "passive" => Setup::Passive,
            "actpass" => Setup::Either,
            _ => Setup::Unknown,
        });
        TransportLines {
            credentials: Credentials::read(attributes),
            fingerprints: fingerprints(attributes),
            setup,
        }
    }

    /// Bytes of memory that it takes beside itself.
    pub(super) fn bytes(&self) -> usize {
        let credentials = self.credentials.iter().map(|one| one.ufrag.len() + one.pwd.len());
        let digests = self.fingerprints.iter().filter(|one| one.digest.spilled());
        let digests = digests.map(|one| one.digest.len());
        size_of_val(&*self.fingerprints) + credentials.sum::<usize>() + digests.sum::<usize>()
    }
}

impl Credentials {
    /// An ICE user and password (RFC 8839 §5.4). They are compared and hashed, but never written, so any visible character is
    /// good except the colon, which stands between ufrags in STUN's USERNAME.
    pub(super) fn new(ufrag: &str, pwd: &str) -> Option<Credentials> {
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        let is_usable = UFRAG.contains(&ufrag.len()) && PWD.contains(&pwd.len()) && visible(ufrag) && visible(pwd);
        is_usable.then(|| Credentials {
            ufrag: ufrag.into(),
            pwd: pwd.into(),
        })
    }

    /// Those of one level.
    fn read(attributes: &[Attribute]) -> Option<Credentials> {
        let ufrag = values(attributes, "ice-ufrag").next()?;
        Credentials::new(ufrag, values(attributes, "ice-pwd").next()?)
    }
}

fn fingerprints(attributes: &[Attribute]) -> Box<[Fingerprint]> {
    let mut seen = HashSet::new();
    values(attributes, "fingerprint")
        .filter_map(fingerprint)
        .filter(|fingerprint| seen.insert(fingerprint.digest.clone()))
        .take(MAX_FINGERPRINTS)
        .collect()
}

/// Reads a fingerprint (RFC 8122 §5). Weaker hashes (`sha-1`, `md5`) are ignored.
fn fingerprint(value: &str) -> Option<Fingerprint> {
    let (name, digits) = value.trim().split_once(' ')?;
    let hashes = [
        ("sha-256", FingerprintHash::Sha256, 32),
        ("sha-384", FingerprintHash::Sha384, 48),
        ("sha-512", FingerprintHash::Sha512, 64),
    ];
    let (_, hash, len) = hashes
        .into_iter()
        .find(|(known, ..)| name.eq_ignore_ascii_case(known))?;
    let digits = digits.trim();
    // Two digits and a colon for each byte, without the last colon.
    if digits.len() != len * 3 - 1 {
        return None;
    }
    let bytes = digits.split(':').map(|pair| {
        let hex = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
    });
    let digest: SmallVec<[u8; 32]> = bytes.collect::<Option<_>>()?;
    (digest.len() == len).then_some(Fingerprint { hash, digest })
}
