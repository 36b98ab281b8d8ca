//! The certificate of the TLS listeners: configured or self-made, and loaded again when its files change. Does not
//! touch sockets.

mod files;
mod self_made;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
pub(super) use files::HTTP_2;
pub(crate) use files::TlsError;
use files::{CertificateFiles, FileStamp, Loaded};
use rustls::ServerConfig;

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
    self_made: bool,
    clock: WallClock,
}

impl Certificate {
    /// Loads the configured pair, or the self-made one, which is made first if it is missing or about to expire.
    pub fn load(config: &config::Tls, clock: WallClock) -> Result<Certificate, TlsError> {
        let now = clock();
        let (files, self_made) = match config.given() {
            Some((certificate, key)) => (
                CertificateFiles {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                },
                false,
            ),
            None => (self_made::ready(&config.directory, now)?, true),
        };
        let seen = files.stamp();
        let loaded = files.read(now)?;
        Ok(Certificate {
            current: Arc::new(ArcSwap::from_pointee(loaded)),
            files: Arc::new(files),
            seen,
            self_made,
            clock,
        })
    }

    /// Whether browsers warn of it, because it is self-made.
    pub fn is_self_made(&self) -> bool {
        self.self_made
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
        // The files are read on another thread, because the disk may hang.
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
