//! The certificate of the TLS listeners: configured, issued by an authority or self-made, and loaded again when its files change.
//! Everything that speaks TLS takes it from here. Does not touch sockets.

mod files;
mod self_made;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
pub(super) use files::HTTP_2;
pub(crate) use files::TlsError;
use files::{CertificateFiles, FileStamp, Loaded, NO_FILES};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;

use crate::acme::{self, Challenges};
use crate::clock::WallClock;
use crate::config;

/// Time between two checks for changed files. A check costs two `stat`s.
const WATCH_INTERVAL: Duration = Duration::from_secs(3);

/// The certificate in use. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    current: Arc<ArcSwap<Loaded>>,
    files: Arc<CertificateFiles>,
    /// The files' state before they were read for the first time.
    seen: FileStamp,
    source: Source,
    challenges: Challenges,
    clock: WallClock,
}

/// Who has made the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Given,
    SelfMade,
    /// An authority that is asked by ACME. Until it has issued one, something stands in for it.
    Acme,
}

impl Certificate {
    /// Loads the configured pair, that of ACME, or the self-made one, which is made first if it is missing or about to expire.
    pub fn load(config: &config::Tls, clock: WallClock) -> Result<Certificate, TlsError> {
        let now = clock();
        let (files, source) = match config.given() {
            Some((certificate, key)) => {
                let (certificate, key) = (certificate.to_owned(), key.to_owned());
                (CertificateFiles { certificate, key }, Source::Given)
            }
            None if config.acme.is_configured() => (issued(&config.directory)?, Source::Acme),
            None => (self_made::ready(&config.directory, now)?, Source::SelfMade),
        };
        let seen = files.stamp();
        let loaded = match source {
            Source::Acme => match files.read(now) {
                Ok(loaded) => loaded,
                Err(error) => {
                    if seen != NO_FILES {
                        tracing::warn!(%error, "the certificate of the files is not used; a self-made one stands in for it");
                    }
                    stand_in(&config.acme.names(), now)?
                }
            },
            Source::Given | Source::SelfMade => files.read(now)?,
        };
        Ok(Certificate {
            current: Arc::new(ArcSwap::from_pointee(loaded)),
            files: Arc::new(files),
            seen,
            source,
            challenges: Challenges::default(),
            clock,
        })
    }

    /// Whether browsers warn of it, because it is self-made.
    pub fn is_self_made(&self) -> bool {
        match self.source {
            Source::Given => false,
            Source::SelfMade => true,
            Source::Acme => self.current.load().is_stand_in,
        }
    }

    /// Whether an authority issues it.
    pub(crate) fn is_issued(&self) -> bool {
        self.source == Source::Acme
    }

    /// The challenges that an authority finds at these listeners.
    pub(crate) fn challenges(&self) -> Challenges {
        self.challenges.clone()
    }

    /// The configuration of a handshake that begins with this hello: a challenge, if an authority asks for one.
    pub(super) fn answering(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let challenge = self.challenges.answering(hello);
        challenge.unwrap_or_else(|| self.current())
    }

    pub fn file(&self) -> &Path {
        &self.files.certificate
    }

    /// The configuration of the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().server_config)
    }

    /// The DNS names of the certificate, some of which may begin with `*.`.
    pub fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.current.load().names)
    }

    /// Checks the files for ever. A changed pair replaces the one in use; a bad one is reported, once.
    pub async fn watch(self) {
        let mut seen = self.seen;
        self.current.load().measure();
        let mut ticks = tokio::time::interval(WATCH_INTERVAL);
        loop {
            ticks.tick().await;
            let files = Arc::clone(&self.files);
            let Ok(stamp) = tokio::task::spawn_blocking(move || files.stamp()).await else {
                continue;
            };
            if stamp != seen {
                seen = stamp;
                self.reload().await;
            }
        }
    }

    /// Reads the files, whether or not they have changed. A bad pair is reported, and the one in use stays.
    pub async fn reload(&self) {
        let (files, now) = (Arc::clone(&self.files), (self.clock)());
        let may_be_missing = self.is_issued();
        // The files are read on another thread, because the disk may hang.
        let reading = move || (!may_be_missing || files.stamp() != NO_FILES).then(|| files.read(now));
        let Ok(Some(loaded)) = tokio::task::spawn_blocking(reading).await else {
            return;
        };
        match loaded {
            Ok(loaded) => {
                loaded.measure();
                self.current.store(Arc::new(loaded));
                tracing::info!(certificate = %self.files.certificate.display(), "read the certificate");
            }
            Err(error) => tracing::error!(%error, "the certificate of the files is not used; the old one stays in use"),
        }
    }
}

/// The file of the certificate that an authority issues; its folder is ready.
fn issued(directory: &Path) -> Result<CertificateFiles, TlsError> {
    let file = acme::make_ready(directory).map_err(|source| TlsError::KeepIssued {
        directory: directory.to_owned(),
        source,
    })?;
    Ok(CertificateFiles {
        certificate: file.clone(),
        key: file,
    })
}

/// What is used until an authority has issued a certificate for these names.
fn stand_in(names: &[String], now: SystemTime) -> Result<Loaded, TlsError> {
    let (certificate, key) = self_made::for_names(names.to_vec(), now)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(Loaded::new(vec![certificate.der().clone()], key, true)?)
}
