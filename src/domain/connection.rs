//! The purpose of a connection, and whether a second offer continues a live connection or opens a new one, as a reloaded page
//! does.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::MediaKind;
use crate::ids::{Feed, FeedRef, ParticipantId, SlotId};

/// The purpose of a connection. A participant has one connection for each purpose at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Publish(Feed),
    Watch(FeedRef),
    /// Several feeds, in one or both directions.
    Conference,
    /// Both directions of a call.
    Call,
}

/// One of the things that a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Publish(Feed),
    Watch(FeedRef),
    Slot(SlotId, MediaKind),
}

impl Use {
    /// Whether this use receives what `participant` publishes.
    pub fn watches(self, participant: ParticipantId) -> bool {
        match self {
            Use::Watch(feed) => feed.participant == participant,
            Use::Publish(_) | Use::Slot(..) => false,
        }
    }
}

/// The parts of an offer that tell its connection from another. A part that is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionIdentity {
    /// User name and session id of the `o=` line (RFC 8866 §5.2).
    pub origin: String,
    /// The first `a=fingerprint`.
    pub certificate: String,
    /// The first `a=ice-ufrag`.
    pub ufrag: String,
}

impl ConnectionIdentity {
    /// Whether an offer with this identity continues the live connection. A connection keeps its certificate for life (RFC 9429
    /// §5.2.1), so another certificate is another connection. With the same certificate, which may be shared by several
    /// connections of a client, the connection continues in either of two cases:
    /// - the session id is the same: RFC 9429 §5.2.2 keeps it over all offers of a connection, ICE restarts included;
    /// - the ICE credentials are the same: some clients write a new session id each time, but never restart ICE.
    pub(crate) fn continues(&self, live: &ConnectionIdentity) -> bool {
        let same = |ours: &str, theirs: &str| !ours.is_empty() && ours == theirs;
        self.certificate == live.certificate && (same(&self.origin, &live.origin) || same(&self.ufrag, &live.ufrag))
    }

    /// Hashes by which this connection is found again: an offer that continues it has at least one of them. Another connection
    /// may have the same hash, which is rare.
    pub fn keys(&self) -> Vec<u64> {
        let parts = [(0, &self.origin), (1, &self.ufrag)];
        let given = parts.into_iter().filter(|(_, part)| !part.is_empty());
        let key = |part: (u8, &String)| {
            let mut hasher = DefaultHasher::new();
            (part, &self.certificate).hash(&mut hasher);
            hasher.finish()
        };
        given.map(key).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn identity(origin: &str, certificate: &str, ufrag: &str) -> ConnectionIdentity {
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
}
