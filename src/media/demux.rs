//! Which connection a datagram belongs to.
//!
//! An address is known only after an authenticated connectivity check came from it; from any other address nothing but
//! STUN is looked at. Both maps are bounded by the number of connections and each connection's number of addresses.

use std::net::SocketAddr;

use ahash::AHashMap;

use super::worker::PeerKey;

/// What a datagram is, by its first byte (RFC 7983 §7) and, for RTCP, its second (RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Other,
}

pub fn classify(datagram: &[u8]) -> Class {
    match datagram {
        [0..=3, ..] => Class::Stun,
        [20..=63, ..] => Class::Dtls,
        [128..=191, 192..=223, ..] => Class::Rtcp,
        [128..=191, _, ..] => Class::Rtp,
        _ => Class::Other,
    }
}

#[derive(Default)]
pub struct Demux {
    by_address: AHashMap<SocketAddr, PeerKey>,
    by_ufrag: AHashMap<String, PeerKey>,
}

impl Demux {
    pub fn by_address(&self, address: SocketAddr) -> Option<PeerKey> {
        self.by_address.get(&address).copied()
    }

    pub fn by_ufrag(&self, ufrag: &str) -> Option<PeerKey> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Returns the connection that had this address until now, if it was another one.
    pub fn learn_address(&mut self, address: SocketAddr, peer: PeerKey) -> Option<PeerKey> {
        self.by_address.insert(address, peer).filter(|&before| before != peer)
    }

    pub fn forget_address(&mut self, address: SocketAddr, peer: PeerKey) {
        if self.by_address.get(&address) == Some(&peer) {
            self.by_address.remove(&address);
        }
    }

    pub fn learn_ufrag(&mut self, ufrag: &str, peer: PeerKey) {
        self.by_ufrag.insert(ufrag.to_owned(), peer);
    }

    pub fn forget_ufrag(&mut self, ufrag: &str, peer: PeerKey) {
        if self.by_ufrag.get(ufrag) == Some(&peer) {
            self.by_ufrag.remove(ufrag);
        }
    }

    pub fn known_addresses(&self) -> usize {
        self.by_address.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_datagram_is() {
        assert_eq!(classify(&[0, 1]), Class::Stun);
        assert_eq!(classify(&[22, 254]), Class::Dtls);
        assert_eq!(classify(&[0x80, 96]), Class::Rtp);
        assert_eq!(classify(&[0x80, 0xe0 | 96]), Class::Rtp);
        assert_eq!(classify(&[0x81, 201]), Class::Rtcp);
        assert_eq!(classify(&[0x80]), Class::Other);
        assert_eq!(classify(&[64, 0]), Class::Other);
        assert_eq!(classify(&[]), Class::Other);
    }
}
