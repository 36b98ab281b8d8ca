//! The relay as clients are told of it: where it is, and their own credentials for it.

use std::sync::Arc;

use super::credentials::{Credentials, Secret};

/// The relay that is announced to clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AnnouncedRelay(Arc<Announced>);

#[derive(Debug)]
struct Announced {
    places: Places,
    secret: Secret,
    lifetime_s: u64,
}

/// Where the relay is.
#[derive(Debug)]
pub enum Places {
    /// Elsewhere, at these addresses (RFC 7065).
    Elsewhere(Vec<String>),
    /// Here, under the name by which each client has come.
    Here {
        /// A name or an address instead of that.
        host: Option<String>,
        /// For UDP and TCP.
        port: u16,
        /// For TLS.
        tls_port: Option<u16>,
    },
}

/// The relay as one client is told of it.
#[derive(Clone, Debug)]
pub struct RelayAt {
    relay: AnnouncedRelay,
    urls: Vec<String>,
    id: String,
}

impl AnnouncedRelay {
    pub fn new(places: Places, secret: Secret, lifetime_s: u32) -> AnnouncedRelay {
        AnnouncedRelay(Arc::new(Announced {
            places,
            secret,
            lifetime_s: lifetime_s.into(),
        }))
    }

    /// The relay for a client that has come to this `host`, a name or an address. `id` is this client's alone. `None` where
    /// nothing is known of how it would reach the relay.
    pub fn at(&self, host: Option<&str>, id: String) -> Option<RelayAt> {
        let urls = match &self.0.places {
            Places::Elsewhere(urls) => urls.clone(),
            Places::Here {
                host: set,
                port,
                tls_port,
            } => {
                let host = set.as_deref().or(host)?;
                let plain = ["udp", "tcp"].map(|transport| format!("turn:{host}:{port}?transport={transport}"));
                let secure = tls_port.map(|port| format!("turns:{host}:{port}?transport=tcp"));
                plain.into_iter().chain(secure).collect()
            }
        };
        let relay = self.clone();
        Some(RelayAt { relay, urls, id })
    }
}

impl RelayAt {
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Credentials from now on.
    pub fn credentials(&self, unix_s: u64) -> Credentials {
        let Announced { secret, lifetime_s, .. } = &*self.relay.0;
        secret.issue(unix_s.saturating_add(*lifetime_s), &self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(host: Option<&str>, tls_port: Option<u16>) -> AnnouncedRelay {
        let host = host.map(str::to_owned);
        let port = 3_478;
        AnnouncedRelay::new(Places::Here { host, port, tls_port }, Secret::new(b"s"), 100)
    }

    #[test]
    fn a_relay_here_is_where_the_client_has_come_to() {
        let urls = |relay: AnnouncedRelay, host| relay.at(host, "a".to_owned()).map(|at| at.urls().to_vec());
        assert_eq!(
            urls(here(None, Some(443)), Some("calls.example.org")).unwrap(),
            [
                "turn:calls.example.org:3478?transport=udp",
                "turn:calls.example.org:3478?transport=tcp",
                "turns:calls.example.org:443?transport=tcp"
            ]
        );
        let set = urls(here(Some("203.0.113.7"), None), Some("proxy.example.org")).unwrap();
        assert_eq!(
            set,
            [
                "turn:203.0.113.7:3478?transport=udp",
                "turn:203.0.113.7:3478?transport=tcp"
            ]
        );
        assert_eq!(urls(here(None, None), None), None);
    }

    #[test]
    fn a_relay_elsewhere_gets_credentials_that_it_can_check() {
        let url = "turn:turn.example.org?transport=udp".to_owned();
        let relay = AnnouncedRelay::new(Places::Elsewhere(vec![url.clone()]), Secret::new(b"s"), 100);
        let at = relay.at(None, "a".to_owned()).unwrap();
        assert_eq!(at.urls(), [url]);
        let credentials = at.credentials(1_000);
        assert_eq!(credentials, Secret::new(b"s").issue(1_100, "a"));
    }
}
