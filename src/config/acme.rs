//! Settings of the certificate that the server gets by itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Names of one certificate. Let's Encrypt takes no more, either.
const DOMAINS_MAX: usize = 100;
/// Characters of a name, and of one label of it (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// Settings of ACME (RFC 8555): see [`crate::acme`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// The names of the certificate. Empty: ACME is not used.
    pub domains: Vec<String>,
    /// The e-mail address that the authority is given. Empty: none.
    pub contact: String,
    /// The URL of the authority.
    pub directory: String,
    /// The file of the root by which the authority's own certificate is checked. Empty: those of the system.
    pub trusted_certificate: PathBuf,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            contact: String::new(),
            directory: instant_acme::LetsEncrypt::Production.url().to_owned(),
            trusted_certificate: PathBuf::new(),
        }
    }
}

impl Acme {
    pub(crate) fn is_configured(&self) -> bool {
        !self.domains.is_empty()
    }

    /// The names, in small letters.
    pub(crate) fn names(&self) -> Vec<String> {
        self.domains.iter().map(|name| name.to_ascii_lowercase()).collect()
    }

    pub(crate) fn trusted_certificate(&self) -> Option<&Path> {
        (!self.trusted_certificate.as_os_str().is_empty()).then_some(&self.trusted_certificate)
    }

    /// What is wrong with these settings: a sentence that names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.is_configured() {
            let unused = Acme::default();
            let given = [
                ("contact", self.contact != unused.contact),
                ("directory", self.directory != unused.directory),
                ("trusted_certificate", self.trusted_certificate().is_some()),
            ];
            return match given.iter().find(|(_, is_given)| *is_given) {
                Some((key, _)) => Err(format!(
                    "tls.acme.{key} is given without tls.acme.domains; give the names of the certificate, or leave it out"
                )),
                None => Ok(()),
            };
        }
        if self.domains.len() > DOMAINS_MAX {
            return Err(format!(
                "tls.acme.domains has {} names; a certificate has {DOMAINS_MAX} at most",
                self.domains.len()
            ));
        }
        let names = self.names();
        for (index, name) in names.iter().enumerate() {
            if let Some(wrong) = wrong_with(name) {
                return Err(format!("tls.acme.domains: `{name}` {wrong}"));
            }
            if names.iter().skip(index + 1).any(|other| other == name) {
                return Err(format!("tls.acme.domains has the name {name} twice"));
            }
        }
        if !self.contact.is_empty() && !is_mail_address(&self.contact) {
            return Err(format!(
                "tls.acme.contact: `{}` is no e-mail address; write admin@example.org, or leave it empty",
                self.contact
            ));
        }
        let is_https = reqwest::Url::parse(&self.directory).is_ok_and(|url| url.scheme() == "https");
        match is_https {
            true => Ok(()),
            false => Err(format!(
                "tls.acme.directory: `{}` is no URL that begins with https://",
                self.directory
            )),
        }
    }
}

fn wrong_with(name: &str) -> Option<&'static str> {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    if name.starts_with("*.") {
        return Some("is a wildcard, for which authorities want a record in DNS; list each name");
    }
    if address.parse::<IpAddr>().is_ok() {
        return Some("is an IP address; certificates are got for names only");
    }
    if !name.is_ascii() {
        return Some("has letters that are not ASCII; write it in the form that begins with xn--");
    }
    let is_label = |label: &str| {
        let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        fits && (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_name = name.len() <= NAME_MAX && name.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit());
    (!is_name).then_some("is no host name; write calls.example.org, without scheme and port")
}

fn is_mail_address(text: &str) -> bool {
    let has_parts = text
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    // It becomes a URL, in which a comma would begin another address, and `?` a subject (RFC 8555 §7.3).
    has_parts
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b",?:/<>\"".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(domains: &[&str]) -> Acme {
        Acme {
            domains: domains.iter().map(|name| (*name).to_owned()).collect(),
            ..Acme::default()
        }
    }

    #[test]
    fn host_names_are_taken_and_what_no_authority_certifies_is_refused_with_the_reason() {
        assert_eq!(Acme::default().check(), Ok(()));
        for good in [
            "calls.example.org",
            "A.example",
            "intern",
            "xn--mnchen-3ya.example",
            "1.2.example",
        ] {
            assert_eq!(with(&[good]).check(), Ok(()), "{good}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for (bad, why) in [
            ("*.example.org", "wildcard"),
            ("192.0.2.1", "IP address"),
            ("2001:db8::1", "IP address"),
            ("[2001:db8::1]", "IP address"),
            ("münchen.example", "xn--"),
            ("https://calls.example.org", "no host name"),
            ("calls.example.org:443", "no host name"),
            ("calls.example.org.", "no host name"),
            ("-a.example", "no host name"),
            ("a..example", "no host name"),
            ("a_b.example", "no host name"),
            ("1.2.3", "no host name"),
            (&long, "no host name"),
            ("", "no host name"),
        ] {
            let sentence = with(&["calls.example.org", bad]).check().expect_err(bad);
            assert!(
                sentence.starts_with("tls.acme.domains: ") && sentence.contains(why),
                "{sentence}"
            );
        }
    }

    #[test]
    fn names_are_different_and_a_hundred_at_most() {
        let twice = with(&["calls.example.org", "Calls.example.org"]).check().unwrap_err();
        assert!(twice.contains("calls.example.org twice"), "{twice}");
        let names: Vec<String> = (0..101).map(|n| format!("n{n}.example.org")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(with(&names[..100]).check(), Ok(()));
        assert!(with(&names).check().unwrap_err().contains("has 101 names"));
    }

    #[test]
    fn the_other_keys_need_names_and_have_a_form() {
        let mut acme = with(&[]);
        acme.contact = "admin@example.org".to_owned();
        assert!(
            acme.check()
                .unwrap_err()
                .contains("tls.acme.contact is given without tls.acme.domains")
        );
        acme.domains = vec!["calls.example.org".to_owned()];
        assert_eq!(acme.check(), Ok(()));
        for bad in ["admin", "mailto:a@b.c", "a@b@c", "a b@c", "a@b,c@d", "@b"] {
            acme.contact = bad.to_owned();
            assert!(acme.check().unwrap_err().contains("no e-mail address"), "{bad}");
        }
        acme.contact = String::new();
        for bad in ["http://ca.example/directory", "ca.example", ""] {
            acme.directory = bad.to_owned();
            assert!(acme.check().unwrap_err().contains("tls.acme.directory"), "{bad}");
        }
    }
}
