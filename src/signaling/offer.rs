//! An offer as the domain takes it: what was read of it. A client's offer is read only here, in the task of the client's session.
//! Its text goes no further.

use super::limits::SDP_BYTES_MAX;
use crate::domain::Offer;
use crate::media::description::Description;

/// Reads an offer. `None` if it is too long.
pub fn offer(sdp: String) -> Option<Offer> {
    if sdp.len() > SDP_BYTES_MAX {
        return None;
    }
    Some(Offer {
        description: Description::read(&sdp),
        tag: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_too_long_to_be_read_is_none() {
        assert!(offer("x".repeat(SDP_BYTES_MAX)).is_some());
        assert!(offer("x".repeat(SDP_BYTES_MAX + 1)).is_none());
    }
}
