//! The development certificate: for localhost and this machine's name, made when missing, and made again before it
//! expires.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::files::{CertificateFiles, TlsError};
use crate::http::machine::machine_name;
use crate::whole_file;
use crate::x509::validity;

const CERTIFICATE: &str = "localhost.pem";
const KEY: &str = "localhost-key.pem";

const DAY: Duration = Duration::from_secs(86_400);
/// Time of validity. Some systems refuse certificates that are valid for more than 825 days, even if their owner trusts them.
const VALID_FOR: Duration = DAY.saturating_mul(730);
/// Time before its end at which the certificate is made again: a server started today should have a valid one for a while.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);
/// Time by which validity begins before now, for clients whose clock is behind.
const VALID_BEFORE: Duration = DAY;

/// Returns the pair in `directory`, which is then valid for a while.
pub(super) fn ready(directory: &Path, now: SystemTime) -> Result<CertificateFiles, TlsError> {
    let files = CertificateFiles {
        certificate: directory.join(CERTIFICATE),
        key: directory.join(KEY),
    };
    let until = CertificateDer::from_pem_file(&files.certificate)
        .ok()
        .and_then(|certificate| validity(&certificate))
        .map(|(_, until)| until);
    let good = files.key.exists() && until.is_some_and(|until| until > now + RENEW_BEFORE);
    if !good {
        make(directory, &files, now)?;
        tracing::info!(certificate = %files.certificate.display(), "made a self-signed certificate");
    }
    Ok(files)
}

fn make(directory: &Path, files: &CertificateFiles, now: SystemTime) -> Result<(), TlsError> {
    let (certificate, key) = for_names(names(), now)?;
    let keep = |source| TlsError::Keep {
        directory: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(keep)?;
    whole_file::write(&files.key, &key.serialize_pem(), 0o600).map_err(keep)?;
    whole_file::write(&files.certificate, &certificate.pem(), 0o644).map_err(keep)
}

/// A certificate that is signed by itself, with its key.
pub(super) fn for_names(names: Vec<String>, now: SystemTime) -> Result<(Certificate, KeyPair), TlsError> {
    let mut params = CertificateParams::new(names)?;
    params.not_before = (now - VALID_BEFORE).into();
    params.not_after = (now + VALID_FOR).into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "patchbay development certificate");
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?, key))
}

/// The names and addresses of this machine.
fn names() -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    // A host name that does not fit in a certificate is left out, and the start does not fail.
    let fits = |name: &String| {
        !name.is_empty() && name.len() <= 253 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
    };
    if let Some(host) = machine_name().filter(|name| fits(name) && name != "localhost") {
        names.push(host);
    }
    names
}
