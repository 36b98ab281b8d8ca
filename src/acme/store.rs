//! The files below `acme/` in the directory of TLS: the account, the certificate with its key, and what has become of attempts. Each is
//! readable by the server's user alone.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use instant_acme::AccountCredentials;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use crate::whole_file;

const FOLDER: &str = "acme";
const ACCOUNT: &str = "account.json";
const CERTIFICATE: &str = "certificate.pem";
const PROGRESS: &str = "progress.json";

const PRIVATE: u32 = 0o600;

/// The account at an authority.
#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    /// URL of the authority.
    pub(super) directory: String,
    pub(super) contact: String,
    pub(super) credentials: AccountCredentials,
}

/// What has become of attempts, kept for the next start and for `patchbay doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// URL of the authority that has issued the certificate.
    pub(super) issued_by: String,
    /// Seconds since 1970 of the last failed validations.
    failed_validations: Vec<u64>,
    /// The reason of the last attempt, if it failed.
    pub(super) last_failure: Option<String>,
}

impl Progress {
    pub(super) fn failed_validations(&self) -> Vec<SystemTime> {
        let date = |seconds: &u64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*seconds));
        self.failed_validations.iter().filter_map(date).collect()
    }

    pub(super) fn set_failed_validations(&mut self, dates: impl Iterator<Item = SystemTime>) {
        let seconds = |date: SystemTime| {
            date.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs()
        };
        self.failed_validations = dates.map(seconds).collect();
    }
}

#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// The files in the directory of TLS.
    pub(super) fn of(directory: &Path) -> Store {
        Store {
            folder: directory.join(FOLDER),
        }
    }

    /// Makes the folder, and tries to write there: a certificate that was issued and cannot be kept would be lost.
    pub(super) fn make_ready(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let trial = self.folder.join("trial");
        whole_file::write(&trial, "", PRIVATE)?;
        fs::remove_file(trial)
    }

    /// The file of the certificate and its key.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// The certificate that is kept, if there is a readable one.
    pub(super) fn own_certificate(&self) -> Option<CertificateDer<'static>> {
        CertificateDer::from_pem_file(self.certificate()).ok()
    }

    pub(super) fn write_certificate(&self, text: &str) -> io::Result<()> {
        whole_file::write(&self.certificate(), text, PRIVATE)
    }

    /// The account that is kept, if there is a readable one.
    pub(super) fn account(&self) -> Option<Account> {
        let text = fs::read_to_string(self.folder.join(ACCOUNT)).ok()?;
        serde_json::from_str(&text)
            .inspect_err(
                |error| tracing::warn!(%error, "the file of the ACME account is damaged; a new account is made"),
            )
            .ok()
    }

    pub(super) fn write_account(&self, account: &Account) -> io::Result<()> {
        whole_file::write(&self.folder.join(ACCOUNT), &serde_json::to_string(account)?, PRIVATE)
    }

    /// Forgets an account that the authority does not know.
    pub(super) fn remove_account(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join(ACCOUNT))
    }

    pub(super) fn progress(&self) -> Progress {
        let text = fs::read_to_string(self.folder.join(PROGRESS)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) fn write_progress(&self, progress: &Progress) -> io::Result<()> {
        whole_file::write(&self.folder.join(PROGRESS), &serde_json::to_string(progress)?, PRIVATE)
    }
}
