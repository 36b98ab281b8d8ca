//! The parts of an offer that tell its connection from another, and whether a second offer continues a live connection or opens
//! a new one, as a reloaded page does. They are found in any text, even if it cannot be answered.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Characters of each part that count. An ICE user may have 256 (RFC 8839 §5.4), the longest certificate hash has 199.
const PART_CHARS_MAX: usize = 256;

/// The parts of an offer that tell its connection from another. A part that is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionIdentity {
    /// User name and session id of the `o=` line (RFC 8866 §5.2).
    pub origin: String,
    /// The first `a=fingerprint`.
    pub certificate: String,
    /// The first `a=ice-ufrag`.
    pub ufrag: String,
}

impl ConnectionIdentity {
    pub(super) fn read(text: &str) -> ConnectionIdentity {
        let first = |prefix: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(prefix));
            value.unwrap_or_default().trim()
        };
        let mut parts = first("o=").split_whitespace();
        let origin = match (parts.next(), parts.next()) {
            (Some(user), Some(session)) => format!("{user} {session}"),
            _ => String::new(),
        };
        ConnectionIdentity {
            origin: cut(&origin),
            certificate: cut(first("a=fingerprint:")).to_ascii_uppercase(),
            ufrag: cut(first("a=ice-ufrag:")),
        }
    }

    /// Whether an offer with this identity continues the live connection. A connection keeps its certificate for life (RFC 9429
    /// §5.2.1), so another certificate is another connection. With the same certificate, which may be shared by several
    /// connections of a client, the connection continues in either of two cases:
    /// - the session id is the same: RFC 9429 §5.2.2 keeps it over all offers of a connection, ICE restarts included;
    /// - the ICE credentials are the same: some clients write a new session id each time, but never restart ICE.
    pub(crate) fn continues(&self, live: &ConnectionIdentity) -> bool {
        let same = |ours: &str, theirs: &str| !ours.is_empty() && ours == theirs;
        self.certificate == live.certificate && (same(&self.origin, &live.origin) || same(&self.ufrag, &live.ufrag))
    }

    /// The identity after an ICE restart.
    pub(super) fn restarted(&self, ufrag: &str) -> ConnectionIdentity {
        ConnectionIdentity {
            ufrag: cut(ufrag),
            ..self.clone()
        }
    }

    /// Hashes by which this connection is found again: an offer that continues it has at least one of them. Another connection
    /// may have the same hash, which is rare.
    pub(crate) fn keys(&self) -> Vec<u64> {
        let parts = [(0, &self.origin), (1, &self.ufrag)];
        let given = parts.into_iter().filter(|(_, part)| !part.is_empty());
        let key = |part: (u8, &String)| {
            let mut hasher = DefaultHasher::new();
            (part, &self.certificate).hash(&mut hasher);
            hasher.finish()
        };
        given.map(key).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.origin.len() + self.certificate.len() + self.ufrag.len()
    }
}

fn cut(part: &str) -> String {
    part.chars().take(PART_CHARS_MAX).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn identity(origin: &str, certificate: &str, ufrag: &str) -> ConnectionIdentity {
        ConnectionIdentity {
            origin: origin.to_owned(),
            certificate: certificate.to_owned(),
            ufrag: ufrag.to_owned(),
        }
    }

    #[test]
    fn an_ice_restart_continues_the_connection() {
        assert!(identity("- 1", "AA", "new").continues(&identity("- 1", "AA", "old")));
    }

    #[test]
    fn a_client_that_renumbers_its_session_continues_by_its_ice_credentials() {
        assert!(identity("- 2", "AA", "same").continues(&identity("- 1", "AA", "same")));
    }

    #[test]
    fn another_certificate_is_another_connection_even_under_a_constant_session_id() {
        assert!(!identity("- 0", "BB", "same").continues(&identity("- 0", "AA", "same")));
    }

    #[test]
    fn a_shared_certificate_alone_does_not_make_two_connections_one() {
        assert!(!identity("- 2", "AA", "new").continues(&identity("- 1", "AA", "old")));
        assert!(!identity("", "AA", "").continues(&identity("", "AA", "")));
    }

    #[test]
    fn an_offer_names_its_connection_by_session_certificate_and_ice_user() {
        let sdp = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 RTP 0\r\n\
            a=ice-ufrag:abcd\r\na=fingerprint:sha-256 aa:BB\r\na=ice-ufrag:other\r\n";
        let expected = identity("- 4611731400430051336", "SHA-256 AA:BB", "abcd");
        assert_eq!(ConnectionIdentity::read(sdp), expected);
        assert_eq!(ConnectionIdentity::read("nonsense"), ConnectionIdentity::default());
    }
}
