//! The certificate as browsers will judge it: its dates, its names, and who has signed it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use x509_parser::certificate::X509Certificate;

use super::report::Finding;
use crate::acme::State;

/// Time before its end at which whoever renews a certificate has done so.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// How it stands with a certificate that an authority issues.
pub(super) fn issued(state: &State, now: SystemTime) -> Finding {
    const ADVICE: &str =
        "Start the server, and see that each name of tls.acme.domains leads to it, with port 443, or else port 80.";
    let failed = state
        .last_failure
        .as_ref()
        .map(|reason| format!("; the last attempt failed: {reason}"));
    let failed = failed.unwrap_or_default();
    let Some(validity) = state.validity else {
        return Finding::warning(
            "acme",
            format!("the authority has issued no certificate yet{failed}"),
            ADVICE,
        );
    };
    let days = validity.left(now).as_secs() / 86_400;
    match (&state.missing_name, state.has_wanted(now)) {
        (_, true) if failed.is_empty() => Finding::good("acme", format!("renews by itself; {days} days are left")),
        (_, true) => Finding::warning("acme", format!("{days} days are left{failed}"), ADVICE),
        (Some(name), _) => {
            let seen = format!("the certificate that is kept does not have the name {name} yet{failed}");
            Finding::warning("acme", seen, ADVICE)
        }
        (None, _) if !state.is_of_authority => {
            let seen = format!("the certificate that is kept is not of the authority in tls.acme.directory{failed}");
            Finding::warning("acme", seen, ADVICE)
        }
        (None, _) => Finding::fault("acme", format!("the certificate has expired{failed}"), ADVICE),
    }
}

/// What browsers compare a certificate with.
pub(super) struct Judge {
    /// Names under which the server is to be reached.
    pub(super) names: Vec<String>,
    /// Authorities that this machine knows. Empty: who has signed is not judged.
    pub(super) roots: Arc<RootCertStore>,
    pub(super) now: SystemTime,
}

impl Judge {
    /// A judge who knows the authorities that this machine knows.
    pub(super) fn new(allowed_hosts: &[String], now: SystemTime) -> Judge {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let is_name = |name: &&String| !name.starts_with('*') && name.parse::<std::net::IpAddr>().is_err();
        Judge {
            names: allowed_hosts.iter().filter(is_name).cloned().collect(),
            roots: Arc::new(roots),
            now,
        }
    }

    /// What is to be said of the certificates in a file, of which the first is the server's own.
    pub(super) fn judge(&self, file: &Path) -> Vec<Finding> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(file)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .collect();
        let Some((own, others)) = chain.split_first() else {
            return Vec::new();
        };
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(own) else {
            return Vec::new();
        };
        let mut findings = vec![self.dates(file, &parsed)];
        findings.extend(self.names.iter().filter_map(|name| self.name(own, name)));
        findings.extend(self.signer(file, own, others, &parsed));
        findings
    }

    fn dates(&self, file: &Path, certificate: &X509Certificate<'_>) -> Finding {
        let validity = certificate.validity();
        let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let (from, until) = (
            time(validity.not_before.timestamp()),
            time(validity.not_after.timestamp()),
        );
        let file = file.display();
        if self.now >= until {
            let seen = format!("{file} expired on {}", validity.not_after);
            return Finding::fault("certificate-dates", seen, "Renew it: browsers refuse it.");
        }
        if self.now < from {
            let seen = format!(
                "{file} is valid from {} on, which this machine's clock takes for the future",
                validity.not_before
            );
            return Finding::fault("certificate-dates", seen, "Set the clock (timedatectl set-ntp true).");
        }
        let seen = format!("{file} is valid until {}", validity.not_after);
        match until.duration_since(self.now) {
            Ok(left) if left > SOON => Finding::good("certificate-dates", seen),
            _ => Finding::warning("certificate-dates", seen, "Renew it now."),
        }
    }

    fn name(&self, own: &CertificateDer<'_>, name: &str) -> Option<Finding> {
        let server = ServerName::try_from(name.to_owned()).ok()?;
        let parsed = rustls::server::ParsedCertificate::try_from(own).ok()?;
        let is_covered = rustls::client::verify_server_name(&parsed, &server).is_ok();
        (!is_covered).then(|| {
            Finding::fault(
                "certificate-names",
                format!(
                    "the certificate does not have the name {name}, which is in http.allowed_hosts or tls.acme.domains"
                ),
                "Get one with all names: browsers refuse it under this one.",
            )
        })
    }

    /// Whether clients that know what this machine knows would trust it, whatever its dates and names are.
    fn signer(
        &self,
        file: &Path,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        parsed: &X509Certificate<'_>,
    ) -> Option<Finding> {
        if self.roots.is_empty() {
            return None;
        }
        let name = first_name(parsed)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider)
            .build()
            .ok()?;
        let within = UnixTime::since_unix_epoch(Duration::from_secs(
            u64::try_from(parsed.validity().not_before.timestamp()).unwrap_or_default() + 1,
        ));
        let judged = verifier.verify_server_cert(own, others, &name, &[], within);
        let is_unknown = matches!(
            judged,
            Err(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            ))
        );
        if !is_unknown {
            return Some(Finding::good(
                "certificate-chain",
                "an authority that this machine knows has signed it",
            ));
        }
        let file = file.display();
        Some(match parsed.subject() == parsed.issuer() {
            true => Finding::warning(
                "certificate-chain",
                format!("{file} is signed by itself"),
                "Browsers warn of it; get one from an authority.",
            ),
            false if others.is_empty() => Finding::fault(
                "certificate-chain",
                format!(
                    "{file} has one certificate, signed by {}, which browsers do not know",
                    parsed.issuer()
                ),
                "Put the authority's intermediate certificates after it, in the same file (often called fullchain).",
            ),
            false => Finding::warning(
                "certificate-chain",
                format!("{file} leads to no authority that this machine knows"),
                "Clients need the root certificate of that authority.",
            ),
        })
    }
}

/// A name that the certificate has, for a check that is not about names.
fn first_name(certificate: &X509Certificate<'_>) -> Option<ServerName<'static>> {
    use x509_parser::extensions::GeneralName;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) => ServerName::try_from(name.replacen('*', "any", 1)).ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::super::report::Level;
    use super::*;
    use crate::acme::Validity;

    /// An authority, an intermediate one, and a certificate of the latter for a name: PEM each.
    struct Made {
        root: String,
        intermediate: String,
        own: String,
    }

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> SystemTime {
        UNIX_EPOCH + 20_000 * DAY
    }

    fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = (now() - DAY).into();
        params.not_after = (now() + 60 * DAY).into();
        params
    }

    fn authority(name: &str) -> (CertificateParams, KeyPair) {
        let mut params = params(&[]);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params, KeyPair::generate().unwrap())
    }

    fn made(own: CertificateParams) -> Made {
        let (root_params, root_key) = authority("root");
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::from_params(&root_params, &root_key);
        let (middle_params, middle_key) = authority("intermediate");
        let middle = middle_params.signed_by(&middle_key, &root_issuer).unwrap();
        let middle_issuer = Issuer::from_params(&middle_params, &middle_key);
        let key = KeyPair::generate().unwrap();
        Made {
            own: own.signed_by(&key, &middle_issuer).unwrap().pem(),
            root: root.pem(),
            intermediate: middle.pem(),
        }
    }

    /// What is found in a file with these certificates, apart from what is good.
    fn found(parts: &[&str], root: &str, names: &[&str], now: SystemTime) -> Vec<(&'static str, Level)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chain.pem");
        std::fs::write(&file, parts.concat()).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
            .unwrap();
        let judge = Judge {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            roots: Arc::new(roots),
            now,
        };
        let findings = judge
            .judge(&file)
            .into_iter()
            .filter(|finding| finding.level != Level::Good);
        findings.map(|finding| (finding.check, finding.level)).collect()
    }

    #[test]
    fn each_fault_of_a_certificate_is_one_finding_and_a_sound_one_has_none() {
        let Made {
            root,
            intermediate,
            own,
        } = made(params(&["calls.example.org", "*.meet.example"]));
        let whole = [&*own, &*intermediate];
        let names = ["calls.example.org", "a.meet.example"];
        assert_eq!(found(&whole, &root, &names, now()), []);
        assert_eq!(
            found(&[&own], &root, &names, now()),
            [("certificate-chain", Level::Fault)],
            "incomplete"
        );
        assert_eq!(
            found(&whole, &root, &["other.example"], now()),
            [("certificate-names", Level::Fault)]
        );
        assert_eq!(
            found(&whole, &root, &names, now() + 61 * DAY),
            [("certificate-dates", Level::Fault)],
            "expired"
        );
        assert_eq!(
            found(&whole, &root, &names, now() + 50 * DAY),
            [("certificate-dates", Level::Warning)],
            "soon"
        );
        assert_eq!(
            found(&whole, &root, &names, now() - 2 * DAY),
            [("certificate-dates", Level::Fault)],
            "the clock is wrong"
        );
        let other = made(params(&["x.example"])).root;
        assert_eq!(
            found(&whole, &other, &names, now()),
            [("certificate-chain", Level::Warning)],
            "a private authority"
        );
    }

    #[test]
    fn the_doctor_says_how_it_stands_with_a_certificate_that_an_authority_issues() {
        let state = |until: Option<SystemTime>, missing: Option<&str>, failed: Option<&str>| State {
            validity: until.map(|until| Validity {
                from: until - 90 * DAY,
                until,
            }),
            missing_name: missing.map(str::to_owned),
            is_of_authority: true,
            last_failure: failed.map(str::to_owned),
        };
        let soon = Some(now() + 40 * DAY);
        for (state, level, words) in [
            (state(soon, None, None), Level::Good, "40 days"),
            (
                state(soon, None, Some("no A record")),
                Level::Warning,
                "40 days are left; the last attempt failed: no A record",
            ),
            (
                state(None, None, Some("no A record")),
                Level::Warning,
                "no certificate yet; the last attempt failed: no A record",
            ),
            (state(soon, Some("b.example"), None), Level::Warning, "b.example"),
            (state(Some(now() - DAY), None, None), Level::Fault, "has expired"),
        ] {
            let finding = issued(&state, now());
            assert_eq!((finding.level, finding.check), (level, "acme"), "{finding:?}");
            assert!(finding.seen.contains(words), "{finding:?}");
        }
        let mut other = state(soon, None, None);
        other.is_of_authority = false;
        assert_eq!(issued(&other, now()).level, Level::Warning);
    }

    #[test]
    fn a_certificate_that_is_signed_by_itself_is_a_warning() {
        let key = KeyPair::generate().unwrap();
        let own = params(&["calls.example.org"]).self_signed(&key).unwrap().pem();
        let root = made(params(&["x.example"])).root;
        assert_eq!(
            found(&[&own], &root, &[], now()),
            [("certificate-chain", Level::Warning)]
        );
    }
}
