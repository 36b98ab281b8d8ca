//! The authority's root, and what it signs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// Identifiers of what it has issued (RFC 9773 §4.1).
    issued: Mutex<Vec<String>>,
}

/// A public key that somebody wants to have certified: an uncompressed point of P-256.
struct Wanted(Vec<u8>);

impl PublicKeyData for Wanted {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority {
            params,
            key: KeyPair::generate().unwrap(),
            issued: Mutex::default(),
        }
    }

    pub fn root_pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    /// What its own server shows.
    pub fn server(&self) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }

    pub fn has_issued(&self, identifier: &str) -> bool {
        self.issued.lock().unwrap().iter().any(|known| known == identifier)
    }

    /// Certifies the key of a request, if it has signed the request and wants these names alone. Returns the chain.
    #[allow(clippy::disallowed_methods, reason = "certificates made here are valid from now on")]
    pub fn issue(
        &self,
        request: &[u8],
        names: &[String],
        lifetime: Duration,
        other_key: bool,
    ) -> Result<String, String> {
        let (_, parsed) = X509CertificationRequest::from_der(request).map_err(|error| error.to_string())?;
        let info = &parsed.certification_request_info;
        let point = info.subject_pki.subject_public_key.data.to_vec();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point)
            .verify(info.raw, &parsed.signature_value.data)
            .map_err(|_| "the request is not signed by its key".to_owned())?;
        let mut wanted: Vec<String> = Vec::new();
        for extension in parsed.requested_extensions().ok_or("the request has no extensions")? {
            let ParsedExtension::SubjectAlternativeName(alternatives) = extension else {
                continue;
            };
            wanted.extend(alternatives.general_names.iter().map(|name| match name {
                GeneralName::DNSName(name) => (*name).to_owned(),
                other => format!("{other:?}"),
            }));
        }
        wanted.sort();
        if wanted != names {
            return Err(format!("the request has the names {wanted:?}, the order {names:?}"));
        }
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = SystemTime::now().into();
        params.not_after = (SystemTime::now() + lifetime).into();
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = match other_key {
            true => params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap(),
            false => params.signed_by(&Wanted(point), &issuer).unwrap(),
        };
        self.issued.lock().unwrap().push(identifier(certificate.der()));
        Ok(certificate.pem() + &self.root_pem())
    }
}

fn identifier(certificate: &[u8]) -> String {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let key = parsed
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref(),
            _ => None,
        });
    let [key, serial] = [key.unwrap().0, parsed.raw_serial()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{key}.{serial}")
}
