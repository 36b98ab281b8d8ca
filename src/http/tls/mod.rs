//! The certificate of the TLS listeners: given by the configuration or self-made, and taken up anew when its files
//! change. Does not touch sockets.

mod self_made;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use x509_parser::extensions::GeneralName;

use super::WallClock;
use crate::config;

/// How soon changed files are taken up. Looking costs two `stat`s.
const WATCH_INTERVAL: Duration = Duration::from_secs(3);

/// The certificate in use. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    current: Arc<ArcSwap<Loaded>>,
    files: Arc<Files>,
    self_made: bool,
    clock: WallClock,
}

/// What was read from the files.
struct Loaded {
    server_config: Arc<ServerConfig>,
    /// In small letters.
    names: Arc<[String]>,
}

#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
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
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

impl Certificate {
    /// Loads the given pair, or the self-made one, which is made first if it is missing or about to expire.
    pub fn load(config: &config::Tls, clock: WallClock) -> Result<Certificate, TlsError> {
        let now = clock();
        let (files, self_made) = match config.given() {
            Some((certificate, key)) => (
                Files {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                },
                false,
            ),
            None => (self_made::ready(&config.directory, now)?, true),
        };
        let loaded = files.read(now)?;
        Ok(Certificate {
            current: Arc::new(ArcSwap::from_pointee(loaded)),
            files: Arc::new(files),
            self_made,
            clock,
        })
    }

    /// Browsers warn of it.
    pub fn is_self_made(&self) -> bool {
        self.self_made
    }

    pub fn file(&self) -> &Path {
        &self.files.certificate
    }

    /// What the next handshake uses.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().server_config)
    }

    /// The DNS names that it is for, some of which may begin with `*.`.
    pub fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.current.load().names)
    }

    /// Looks at the files; a changed pair replaces the one in use, a bad one is reported, once. Never ends.
    pub async fn watch(self) {
        let mut seen = self.files.fingerprint();
        let mut ticks = tokio::time::interval(WATCH_INTERVAL);
        loop {
            ticks.tick().await;
            let files = Arc::clone(&self.files);
            let Ok(fingerprint) = tokio::task::spawn_blocking(move || files.fingerprint()).await else {
                continue;
            };
            if fingerprint != seen {
                seen = fingerprint;
                self.reload().await;
            }
        }
    }

    /// Reads the files, whether or not they have changed. A bad pair is reported, and the one in use stays.
    pub async fn reload(&self) {
        let (files, now) = (Arc::clone(&self.files), (self.clock)());
        // The disk may hang.
        let Ok(loaded) = tokio::task::spawn_blocking(move || files.read(now)).await else {
            return;
        };
        match loaded {
            Ok(loaded) => {
                self.current.store(Arc::new(loaded));
                tracing::info!(certificate = %self.files.certificate.display(), "read the certificate");
            }
            Err(error) => tracing::error!(%error, "the certificate of the files is not used; the old one stays in use"),
        }
    }
}

impl Files {
    fn read(&self, now: SystemTime) -> Result<Loaded, TlsError> {
        let chain = CertificateDer::pem_slice_iter(&read("certificate", &self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|chain| {
                if chain.is_empty() {
                    Err(pem::Error::NoItemsFound)
                } else {
                    Ok(chain)
                }
            })
            .map_err(|e| content("certificate", &self.certificate, &e))?;
        let key = PrivateKeyDer::from_pem_slice(&read("private key", &self.key)?)
            .map_err(|e| content("private key", &self.key, &e))?;
        self.warn_of_dates(&chain[0], now);
        let names = dns_names(&chain[0]).into();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pair = |source| TlsError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        };
        let mut server_config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(pair)?;
        server_config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Loaded {
            server_config: Arc::new(server_config),
            names,
        })
    }

    /// An expired certificate is served all the same: some clients do not look, and no service is worse.
    fn warn_of_dates(&self, certificate: &CertificateDer<'_>, now: SystemTime) {
        let path = self.certificate.display();
        match self_made::validity(certificate) {
            Some((_, until)) if until < now => tracing::warn!("the certificate {path} has expired; browsers refuse it"),
            Some((from, _)) if from > now => {
                tracing::warn!("the certificate {path} is not valid yet; is this machine's clock right?");
            }
            _ => {}
        }
    }

    /// Changes whenever one of the files does: modification time and length of both.
    fn fingerprint(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

/// The names that clients compare (RFC 9525 §6.1): the subject's own name is no longer one of them.
fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
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
