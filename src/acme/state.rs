//! How it stands with the certificate, as the files say: for `patchbay doctor`.

use std::time::SystemTime;

use super::chain;
use super::schedule::Validity;
use super::store::Store;
use crate::config;

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Dates of the certificate that is kept. `None`: none is there yet.
    pub(crate) validity: Option<Validity>,
    /// A name of the configuration that it does not have.
    pub(crate) missing_name: Option<String>,
    /// Whether the authority of the configuration has issued it.
    pub(crate) is_of_authority: bool,
    /// The reason of the last attempt, if it failed.
    pub(crate) last_failure: Option<String>,
}

/// Reads the files.
pub(crate) fn state(tls: &config::Tls) -> State {
    let store = Store::of(&tls.directory);
    let certificate = store.own_certificate();
    let progress = store.progress();
    State {
        validity: certificate.as_ref().and_then(chain::validity_of),
        missing_name: certificate.and_then(|certificate| chain::missing_name(&certificate, &tls.acme.names())),
        is_of_authority: progress.issued_by == tls.acme.directory,
        last_failure: progress.last_failure,
    }
}

impl State {
    /// Whether a certificate is there that will do for now.
    pub(crate) fn has_wanted(&self, now: SystemTime) -> bool {
        let is_valid = self.validity.is_some_and(|validity| validity.until > now);
        is_valid && self.missing_name.is_none() && self.is_of_authority
    }
}
