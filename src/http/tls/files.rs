//! The files of a certificate and its key: their contents, and the reasons why they cannot be used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

use crate::x509::{dns_names, validity};

/// The name of HTTP/2 in TLS (RFC 7301, RFC 9113 §3.2).
pub(in crate::http) const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// The contents of the files.
pub(super) struct Loaded {
    pub(super) server_config: Arc<ServerConfig>,
    /// The DNS names of the certificate, in small letters.
    pub(super) names: Arc<[String]>,
    /// When the certificate ceases to be valid.
    until: Option<SystemTime>,
    /// Whether it stands in for one of an authority, which is not there yet.
    pub(super) is_stand_in: bool,
}

impl Loaded {
    /// Puts a chain and its key together.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        is_stand_in: bool,
    ) -> Result<Loaded, rustls::Error> {
        let own = chain.first();
        let names = own.map(dns_names).unwrap_or_default().into();
        let until = own.and_then(validity).map(|(_, until)| until);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server_config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        server_config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        Ok(Loaded {
            server_config: Arc::new(server_config),
            names,
            until,
            is_stand_in,
        })
    }

    /// Sets the metric of the certificate in use.
    pub(super) fn measure(&self) {
        let until = self
            .until
            .and_then(|until| until.duration_since(SystemTime::UNIX_EPOCH).ok());
        metrics::gauge!("patchbay_certificate_expiry_seconds").set(until.unwrap_or_default().as_secs_f64());
    }
}

/// The modification time and the length of both files, where they can be read.
pub(super) type FileStamp = [Option<(SystemTime, u64)>; 2];

/// Where neither file is there.
pub(super) const NO_FILES: FileStamp = [None, None];

#[derive(Clone, Debug)]
pub(super) struct CertificateFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the {what} {path}: {source}. Check the path and its permissions", path = .path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} holds no usable {what}: {problem}. It must be a PEM file", path = .path.display())]
    Content {
        what: &'static str,
        path: PathBuf,
        problem: String,
    },
    #[error("the certificate {certificate} and the key {key} cannot be used together: {source}. Is it the key that the \
        certificate was made for?", certificate = .certificate.display(), key = .key.display())]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("cannot keep a self-made certificate in {directory}: {source}. Make the directory writable, or give \
        tls.certificate and tls.key", directory = .directory.display())]
    Keep { directory: PathBuf, source: std::io::Error },
    #[error("cannot keep the certificate of tls.acme in {directory}: {source}. Make the directory writable, or give another one as \
        tls.directory", directory = .directory.display())]
    KeepIssued { directory: PathBuf, source: std::io::Error },
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot use a certificate that was made: {0}")]
    Made(#[from] rustls::Error),
}

impl CertificateFiles {
    pub(super) fn read(&self, now: SystemTime) -> Result<Loaded, TlsError> {
        let chain = CertificateDer::pem_slice_iter(&read("certificate", &self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| content("certificate", &self.certificate, &e))?;
        let own = chain
            .first()
            .ok_or_else(|| content("certificate", &self.certificate, &pem::Error::NoItemsFound))?;
        let key = PrivateKeyDer::from_pem_slice(&read("private key", &self.key)?)
            .map_err(|e| content("private key", &self.key, &e))?;
        self.warn_of_dates(own, now);
        Loaded::new(chain, key, false).map_err(|source| TlsError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        })
    }

    /// Logs wrong dates. An expired certificate is used all the same: some clients do not check, and no
    /// service is worse.
    fn warn_of_dates(&self, certificate: &CertificateDer<'_>, now: SystemTime) {
        let path = self.certificate.display();
        match validity(certificate) {
            Some((_, until)) if until < now => tracing::warn!("the certificate {path} has expired; browsers refuse it"),
            Some((from, _)) if from > now => {
                tracing::warn!("the certificate {path} is not valid yet; is this machine's clock right?");
            }
            _ => {}
        }
    }

    /// A value that changes when one of the files does: modification time and length of both.
    pub(super) fn stamp(&self) -> FileStamp {
        [&self.certificate, &self.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    })
}

fn content(what: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    TlsError::Content {
        what,
        path: path.to_owned(),
        problem: error.to_string(),
    }
}
