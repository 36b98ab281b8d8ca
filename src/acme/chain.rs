//! The certificate that an authority has issued: whether it can be used, and the file that it becomes.

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::schedule::Validity;
use crate::x509;

/// Certificates in a chain. Authorities send two or three.
const CHAIN_MAX: usize = 10;

/// A key and what certifies it.
pub(super) struct Issued {
    chain: Vec<CertificateDer<'static>>,
    pub(super) validity: Validity,
}

/// The reason why a certificate cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Unusable {
    #[error("it is no chain of certificates in PEM")]
    NoChain,
    #[error("its chain has more than {CHAIN_MAX} certificates")]
    Long,
    #[error("it was made for another key")]
    OtherKey,
    #[error("it does not have the name {0}")]
    Name(String),
    #[error("it has expired already; is this machine's clock right?")]
    Expired,
}

/// Reads what an authority has sent, and compares it with the key and the names that it was asked for.
pub(super) fn read(pem: &str, key: &[u8], names: &[String], now: SystemTime) -> Result<Issued, Unusable> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        if chain.len() == CHAIN_MAX {
            return Err(Unusable::Long);
        }
        chain.push(certificate.map_err(|_| Unusable::NoChain)?);
    }
    let own = chain.first().ok_or(Unusable::NoChain)?;
    let validity = validity_of(own).ok_or(Unusable::NoChain)?;
    if let Some(missing) = missing_name(own, names) {
        return Err(Unusable::Name(missing));
    }
    if validity.until <= now {
        return Err(Unusable::Expired);
    }
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|_| Unusable::OtherKey)?;
    Ok(Issued { chain, validity })
}

impl Issued {
    /// The text of the file: the chain, then the key. One file, so that both change at once. It is written anew, and has nothing else
    /// that the authority may have sent.
    pub(super) fn file(&self, key_pem: &str) -> String {
        let mut text = String::new();
        for certificate in &self.chain {
            text.push_str("-----BEGIN CERTIFICATE-----\n");
            let encoded = BASE64_STANDARD.encode(certificate);
            // Lines of 64 characters (RFC 7468 §3).
            for line in encoded.as_bytes().chunks(64) {
                let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
            }
            text.push_str("-----END CERTIFICATE-----\n");
        }
        text + key_pem
    }
}

pub(super) fn validity_of(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (from, until) = x509::validity(certificate)?;
    Some(Validity { from, until })
}

/// A name that the certificate should have.
pub(super) fn missing_name(certificate: &CertificateDer<'_>, names: &[String]) -> Option<String> {
    let has = x509::dns_names(certificate);
    names.iter().find(|name| !has.contains(name)).cloned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + 20_000 * DAY
    }

    fn pem(key: &KeyPair, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = (now() - DAY).into();
        params.not_after = (now() + 89 * DAY).into();
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn what_was_asked_for_is_taken_and_nothing_else() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let names = ["a.example".to_owned(), "b.example".to_owned()];
        let read = |pem: &str, now| read(pem, &key.serialize_der(), &names, now);
        let good = pem(&key, &["A.example", "b.example"]);
        let issued = read(&good, now()).ok().unwrap();
        assert_eq!(
            (issued.validity.from, issued.validity.until),
            (now() - DAY, now() + 89 * DAY)
        );
        let refused = |pem: &str, now| read(pem, now).err().unwrap();
        assert_eq!(refused("", now()), Unusable::NoChain);
        assert_eq!(refused("<html>busy</html>", now()), Unusable::NoChain);
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(garbage, now()), Unusable::NoChain);
        assert_eq!(refused(&good.repeat(11), now()), Unusable::Long);
        assert_eq!(
            refused(&pem(&other, &["a.example", "b.example"]), now()),
            Unusable::OtherKey
        );
        assert_eq!(
            refused(&pem(&key, &["a.example"]), now()),
            Unusable::Name("b.example".to_owned())
        );
        assert_eq!(refused(&good, now() + 89 * DAY), Unusable::Expired);
    }

    #[test]
    fn the_file_has_the_chain_and_our_key_and_nothing_that_was_put_between() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let sent = format!("{}{}", other.serialize_pem(), pem(&key, &["a.example"]));
        let issued = read(&sent, &key.serialize_der(), &["a.example".to_owned()], now())
            .ok()
            .unwrap();
        let file = issued.file(&key.serialize_pem());
        let kept = PrivateKeyDer::from_pem_slice(file.as_bytes()).unwrap();
        assert_eq!(kept.secret_der(), key.serialize_der());
        assert_eq!(file.matches("PRIVATE KEY").count(), 2);
        assert_eq!(CertificateDer::pem_slice_iter(file.as_bytes()).count(), 1);
    }
}
