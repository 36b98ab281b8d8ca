//! The connections to which a datagram may belong.
//!
//! An address is known only after an authenticated connectivity check came from it. From any other address only STUN is read. A
//! source address can be forged, so a check is only a claim: if several connections claim an address, all are kept until one of
//! them has proved it (see `worker/paths.rs`). Both maps are bounded by the number of connections and by each connection's
//! number of addresses.

use ahash::AHashMap;
use smallvec::SmallVec;

use super::keys::TransportKey;
use super::peer::ice::{AddressRight, PathIndex};
use super::remote::Remote;
use crate::ids::ParticipantId;

/// The kind of a datagram, by its first byte (RFC 7983 §7) and, for RTCP, its second (RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Other,
}

/// The kind of this datagram.
pub fn classify(datagram: &[u8]) -> Class {
    match datagram {
        [0..=3, ..] => Class::Stun,
        [20..=63, ..] => Class::Dtls,
        [128..=191, 192..=223, ..] => Class::Rtcp,
        [128..=191, _, ..] => Class::Rtp,
        _ => Class::Other,
    }
}

/// Connections that are kept for one address. Clients have addresses of their own; behind a NAT that gives a port to another
/// client, two connections share an address for a while. There are more only if somebody claims the addresses of others.
pub(crate) const MAX_OCCUPANTS: usize = 8;

/// A transport whose client sent an authenticated check from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupant {
    pub transport: TransportKey,
    /// The address's place among that transport's paths.
    pub path: PathIndex,
    pub participant: ParticipantId,
}

/// All transports of one address, in the order of their first check from there. Nearly always there is one.
type Occupants = SmallVec<[Occupant; 1]>;

#[derive(Default)]
pub(crate) struct Demux {
    by_address: AHashMap<Remote, Occupants>,
    by_ufrag: AHashMap<String, TransportKey>,
}

impl Demux {
    pub fn at(&self, address: Remote) -> &[Occupant] {
        self.by_address.get(&address).map_or(&[], |occupants| occupants)
    }

    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Option<TransportKey> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Adds a connection to an address. Returns the one that had to give way, if too many claim the address; that can be the
    /// newcomer.
    ///
    /// - A connection of the same participant that has only claimed the address gives way first: nobody gets more places by
    ///   more connections.
    /// - Then the oldest connection that has only claimed it gives way.
    /// - If media comes from there for all of them, a newcomer that has its keys gives way: its own media would have made it
    ///   known before. A newcomer that has no keys yet takes the place of the newest that has not proved the address. It proves
    ///   the address by its handshake, or gives way to the next newcomer.
    pub(crate) fn learn_address(
        &mut self,
        address: Remote,
        newcomer: Occupant,
        has_keys: bool,
        address_right: impl Fn(&Occupant) -> AddressRight,
    ) -> Option<Occupant> {
        let occupants = self.by_address.entry(address).or_default();
        if let Some(known) = occupants.iter_mut().find(|known| known.transport == newcomer.transport) {
            *known = newcomer;
            return None;
        }
        let mut evicted = None;
        if occupants.len() >= MAX_OCCUPANTS {
            let has_only_claimed = |occupant: &&Occupant| address_right(occupant) == AddressRight::Claimed;
            let is_unproven = |occupant: &&Occupant| address_right(occupant) != AddressRight::Proven;
            let claims = || occupants.iter().filter(has_only_claimed);
            let same = claims().find(|occupant| occupant.participant == newcomer.participant);
            let newest = occupants.iter().rev().find(is_unproven).filter(|_| !has_keys);
            let Some(leaves) = same.or_else(|| claims().next()).or(newest).copied() else {
                return Some(newcomer);
            };
            occupants.retain(|occupant| occupant.transport != leaves.transport);
            evicted = Some(leaves);
        }
        occupants.push(newcomer);
        evicted
    }

    pub(crate) fn forget_address(&mut self, address: Remote, transport: TransportKey) {
        if let Some(occupants) = self.by_address.get_mut(&address) {
            occupants.retain(|occupant| occupant.transport != transport);
            if occupants.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }

    pub(crate) fn learn_ufrag(&mut self, ufrag: &str, transport: TransportKey) {
        self.by_ufrag.insert(ufrag.to_owned(), transport);
    }

    pub(crate) fn forget_ufrag(&mut self, ufrag: &str, transport: TransportKey) {
        if self.by_ufrag.get(ufrag) == Some(&transport) {
            self.by_ufrag.remove(ufrag);
        }
    }

    pub fn known_addresses(&self) -> usize {
        self.by_address.len()
    }

    /// Connections at addresses, each as often as it has addresses. For the audit.
    #[cfg(debug_assertions)]
    pub(crate) fn claims(&self) -> usize {
        self.by_address.values().map(|occupants| occupants.len()).sum()
    }

    /// Connections that can be found by their ICE user. For the audit.
    #[cfg(debug_assertions)]
    pub(crate) fn known_users(&self) -> usize {
        self.by_ufrag.len()
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
