//! What a certificate says of itself: its dates, its names, and what an authority knows it by.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};

/// The times at which a certificate begins and ceases to be valid.
pub(crate) fn validity(certificate: &CertificateDer<'_>) -> Option<(SystemTime, SystemTime)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let time = |time: x509_parser::time::ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    };
    Some((time(parsed.validity().not_before)?, time(parsed.validity().not_after)?))
}

/// The names that clients compare, in small letters (RFC 9525 §6.1). The subject's common name is no longer one of them.
pub(crate) fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let Ok(Some(alternatives)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let dns_name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(dns_name).collect()
}

/// The authority's key and the serial number, by which the authority finds a certificate (RFC 9773 §4.1).
pub(crate) fn authority_key_and_serial(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let key = parsed.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(identifier) = extension.parsed_extension() else {
            return None;
        };
        identifier.key_identifier.as_ref().map(|key| key.0.to_vec())
    })?;
    Some((key, parsed.raw_serial().to_vec()))
}
