//! The challenges that an authority is to find now. Listeners ask here; one attempt at a time fills it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;

/// The protocol by which an authority that validates a name asks for its certificate (RFC 8737 §3).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// What cannot be made of a challenge.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShowError {
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// The challenges that are shown now. Cheap to clone. There are at most as many as the certificate will have names.
#[derive(Clone, Default)]
pub(crate) struct Challenges(Arc<Mutex<Now>>);

#[derive(Default)]
struct Now {
    /// By the name that is validated.
    tls: HashMap<String, Arc<ServerConfig>>,
    /// Key authorizations by their tokens.
    http: HashMap<String, String>,
}

impl Challenges {
    /// What is answered to a client that begins with this hello, if it is an authority that validates a name (RFC 8737 §3): it
    /// offers that protocol alone, and names the name.
    pub(crate) fn answering(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(ACME_TLS) || protocols.next().is_some() {
            return None;
        }
        let name = hello.server_name()?.to_ascii_lowercase();
        self.now().tls.get(&name).map(Arc::clone)
    }

    /// The text that an authority finds below `/.well-known/acme-challenge/` (RFC 8555 §8.3).
    pub(crate) fn key_authorization(&self, token: &str) -> Option<String> {
        self.now().http.get(token).cloned()
    }

    /// Begins to show challenges: until what is returned is dropped.
    pub(super) fn show(&self) -> Shown {
        Shown(self.clone())
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // A value that is put in or taken out is there or not; a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The challenges of one attempt. They are shown as long as this is held.
pub(super) struct Shown(Challenges);

impl Shown {
    /// Shows, for this name, the digest of a key authorization in a certificate (RFC 8737 §3).
    pub(super) fn by_tls(&self, name: &str, digest: &[u8]) -> Result<(), ShowError> {
        let config = Arc::new(challenge_config(name, digest)?);
        self.0.now().tls.insert(name.to_owned(), config);
        Ok(())
    }

    /// Shows a key authorization below its token.
    pub(super) fn by_http(&self, token: &str, key_authorization: &str) {
        self.0.now().http.insert(token.to_owned(), key_authorization.to_owned());
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *self.0.now() = Now::default();
    }
}

/// A certificate for one name, signed by itself, with the digest in the critical extension acmeIdentifier.
fn challenge_config(name: &str, digest: &[u8]) -> Result<ServerConfig, ShowError> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attempt_shows_is_removed_with_it() {
        let challenges = Challenges::default();
        let shown = challenges.show();
        shown.by_tls("calls.example.org", &[7; 32]).unwrap();
        shown.by_http("token", "token.print");
        assert_eq!(challenges.key_authorization("token").as_deref(), Some("token.print"));
        assert_eq!(challenges.key_authorization("other"), None);
        assert_eq!(challenges.now().tls.len(), 1);
        drop(shown);
        assert_eq!(challenges.key_authorization("token"), None);
        assert!(challenges.now().tls.is_empty());
    }
}
