//! An offer as the domain takes it: the text, and what tells its connection from others.

use super::limits::SDP_BYTES_MAX;
use crate::domain::{ConnectionIdentity, Offer};

/// `None` where it is too long to be looked at.
pub fn offer(sdp: String) -> Option<Offer> {
    if sdp.len() > SDP_BYTES_MAX {
        return None;
    }
    let identity = identity(&sdp);
    let tag = None;
    Some(Offer { sdp, identity, tag })
}

fn identity(sdp: &str) -> ConnectionIdentity {
    let first = |prefix: &str| {
        let value = sdp.lines().find_map(|line| line.strip_prefix(prefix));
        value.unwrap_or_default().trim().to_owned()
    };
    let origin = first("o=");
    let mut parts = origin.split_whitespace();
    let origin = match (parts.next(), parts.next()) {
        (Some(user), Some(session)) => format!("{user} {session}"),
        _ => String::new(),
    };
    ConnectionIdentity {
        origin,
        certificate: first("a=fingerprint:").to_ascii_uppercase(),
        ufrag: first("a=ice-ufrag:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_names_its_connection_by_session_certificate_and_ice_user() {
        let sdp = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 RTP 0\r\n\
            a=ice-ufrag:abcd\r\na=fingerprint:sha-256 aa:BB\r\na=ice-ufrag:other\r\n";
        let expected = ConnectionIdentity {
            origin: "- 4611731400430051336".to_owned(),
            certificate: "SHA-256 AA:BB".to_owned(),
            ufrag: "abcd".to_owned(),
        };
        assert_eq!(identity(sdp), expected);
        assert_eq!(identity("nonsense"), ConnectionIdentity::default());
    }

    #[test]
    fn an_offer_too_long_to_be_read_is_none() {
        assert!(offer("x".repeat(SDP_BYTES_MAX)).is_some());
        assert!(offer("x".repeat(SDP_BYTES_MAX + 1)).is_none());
    }
}
