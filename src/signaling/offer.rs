//! An offer as the domain takes it: what was read of it, and the parts that tell its connection from others. A client's offer
//! is read only here, in the task of the client's session. Its text goes no further.

use super::limits::SDP_BYTES_MAX;
use crate::domain::{ConnectionIdentity, Offer};
use crate::media::description::Description;

/// Reads an offer. `None` if it is too long.
pub fn offer(sdp: String) -> Option<Offer> {
    if sdp.len() > SDP_BYTES_MAX {
        return None;
    }
    let description = Description::read(&sdp);
    let marks = description.marks();
    let identity = ConnectionIdentity {
        origin: marks.origin.clone(),
        certificate: marks.certificate.clone(),
        ufrag: marks.ufrag.clone(),
    };
    let tag = None;
    Some(Offer {
        description,
        identity,
        tag,
    })
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
        let identity = |sdp: &str| offer(sdp.to_owned()).map(|offer| offer.identity);
        assert_eq!(identity(sdp), Some(expected));
        assert_eq!(identity("nonsense"), Some(ConnectionIdentity::default()));
    }

    #[test]
    fn an_offer_too_long_to_be_read_is_none() {
        assert!(offer("x".repeat(SDP_BYTES_MAX)).is_some());
        assert!(offer("x".repeat(SDP_BYTES_MAX + 1)).is_none());
    }
}
