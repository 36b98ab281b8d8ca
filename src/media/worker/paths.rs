//! Which addresses belong to a connection: connectivity checks, and packets from an address that several connections claim.
//!
//! A source address can be forged, also by a participant with valid credentials of its own. So a check is a claim, and nobody
//! loses an address because another claims it:
//! - Checks name their connection, and are always answered.
//! - DTLS proves an address if the whole handshake was sent there and ended there. Nothing is proven if only its last datagram
//!   came from there, because the source of that can be forged, or if the client changed its path in the middle. When an
//!   address is proven, other connections lose it. It is held for the consent time, counted from the last packet from there.
//!   Meanwhile connections that have their keys cannot learn it. A connection that has none yet (of a client that connects anew
//!   from the same port) can learn it, by its own handshake.
//! - Until then a packet from there belongs to the connection whose keys open it. A handshake belongs to the connection that
//!   announced its certificate, whoever's endpoint has led it.

use std::net::SocketAddr;
use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use crate::media::demux::{Class, MAX_OCCUPANTS, Occupant, classify};
use crate::media::keys::PeerKey;
use crate::media::peer::dtls::{self, DtlsFailure, DtlsProgress};
use crate::media::peer::ice::{AddressRight, Learning, Path, Request};
use crate::media::peer::{Peer, SentTo};

/// Bytes of the largest packet that is looked at if several connections claim its address: more than fit into a frame of any
/// network that clients are on.
const MAX_CONTESTED_BYTES: usize = 2_048;

impl Worker {
    pub(super) fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        if self.check(now, path, datagram).is_none() {
            self.stats.rejected_checks += 1;
        }
    }

    /// Answers a connectivity check. `None` if it is not authentic: then nothing is sent and nothing is kept.
    fn check(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Option<()> {
        let request = Request::parse(datagram)?;
        let (ours, theirs) = request.ufrags()?;
        let key = self.demux.by_ufrag(&ours)?;
        let has_keys = self.peers.get(key)?.secure.is_some();
        let learning = match has_keys && self.is_held_by_another(now, path.remote, key) {
            true => Learning::AnswerOnly,
            false => Learning::Learn,
        };
        let peer = &mut self.peers[key];
        let answered = peer.ice.handle(now, request, path, &theirs, learning)?;
        self.egress.push(path, &answered.reply);
        let Some(index) = answered.path else {
            return Some(());
        };
        if let Some(evicted) = answered.evicted {
            self.demux.forget_address(evicted, key);
        }
        let newcomer = Occupant {
            peer: key,
            path: index,
            participant: peer.participant,
        };
        let peers = &self.peers;
        let address_right = |at: &Occupant| {
            let peer = peers.get(at.peer);
            peer.map_or(AddressRight::Claimed, |peer| peer.ice.address_right(now, at.path))
        };
        if let Some(evicted) = self.demux.learn_address(path.remote, newcomer, has_keys, address_right) {
            self.peers[evicted.peer].ice.forget(now, path.remote);
            self.plan(now, evicted.peer);
            if evicted.peer == key {
                return Some(());
            }
        }
        if self.peers[key].ice.holds(now, index) {
            self.evict_others(now, path.remote, key, |peer| peer.secure.is_some());
        }
        self.resume(now, key);
        if self.peers[key].secure.is_none() {
            let started = self.peers[key].dtls.start(now).map(|()| DtlsProgress::Pending);
            self.dtls_progressed(now, newcomer, path, started);
        }
        self.plan(now, key);
        Some(())
    }

    /// Whether an address is proven to belong to another connection than `key`.
    fn is_held_by_another(&self, now: Instant, address: SocketAddr, key: PeerKey) -> bool {
        let holds = |at: &Occupant| self.peers.get(at.peer).is_some_and(|peer| peer.ice.holds(now, at.path));
        self.demux.at(address).iter().any(|at| at.peer != key && holds(at))
    }

    /// Takes an address from all connections for which `loses` is true, except `key`.
    fn evict_others(&mut self, now: Instant, address: SocketAddr, key: PeerKey, loses: impl Fn(&Peer) -> bool) {
        for at in self.occupants(address) {
            let other = self.peers.get_mut(at.peer).filter(|peer| at.peer != key && loses(peer));
            if let Some(other) = other {
                other.ice.forget(now, address);
                self.demux.forget_address(address, at.peer);
                self.plan(now, at.peer);
            }
        }
    }

    fn occupants(&self, address: SocketAddr) -> SmallVec<[Occupant; MAX_OCCUPANTS]> {
        self.demux.at(address).into()
    }

    /// Notes that DTLS was finished over this path. The address is proven, if we sent the whole handshake there. The connection
    /// loses other addresses that it has claimed meanwhile, if they are proven for others.
    pub(super) fn proved(&mut self, now: Instant, at: Occupant, path: Path) {
        if self.peers[at.peer].handshake == SentTo::One(path.remote) {
            self.evict_others(now, path.remote, at.peer, |_| true);
            self.peers[at.peer].ice.prove(now, at.path);
        } else {
            self.peers[at.peer].ice.heard(now, at.path);
        }
        let Some(peer) = self.peers.get_mut(at.peer) else {
            return;
        };
        peer.ice.follow(now);
        let claimed: SmallVec<[SocketAddr; 8]> = peer.ice.known_addresses().collect();
        for address in claimed {
            if self.is_held_by_another(now, address, at.peer) {
                self.peers[at.peer].ice.forget(now, address);
                self.demux.forget_address(address, at.peer);
            }
        }
    }

    /// Takes a packet from an address that several connections claim: it belongs to the connection whose keys open it. False if
    /// none do.
    pub(super) fn handle_contested(
        &mut self,
        now: Instant,
        path: Path,
        buffer: &mut [u8],
        start: usize,
        len: usize,
    ) -> bool {
        let mut sealed = [0; MAX_CONTESTED_BYTES];
        let Some(sealed) = sealed.get_mut(..len) else {
            return false;
        };
        sealed.copy_from_slice(&buffer[start..start + len]);
        let class = classify(sealed);
        self.occupants(path.remote).into_iter().any(|at| {
            // A key that does not open a packet garbles it.
            let datagram = &mut buffer[start..start + len];
            datagram.copy_from_slice(sealed);
            match class {
                Class::Rtcp => self.handle_rtcp(now, at, datagram),
                _ => self.handle_rtp(now, at, buffer, start, len),
            }
        })
    }

    pub(super) fn handle_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        let occupants = self.occupants(path.remote);
        match occupants.as_slice() {
            [] => self.stats.dropped_datagrams += 1,
            &[at] => self.receive_dtls(now, at, path, datagram),
            _ => {
                let (established, shaking): (SmallVec<[Occupant; MAX_OCCUPANTS]>, SmallVec<[Occupant; MAX_OCCUPANTS]>) =
                    occupants
                        .into_iter()
                        .partition(|at| self.peers[at.peer].secure.is_some());
                if dtls::is_protected(datagram) {
                    for at in established {
                        self.receive_dtls(now, at, path, datagram);
                    }
                }
                // One endpoint at a time: answers of two would spoil the handshake for the client.
                let takes = |at: &Occupant| self.peers[at.peer].dtls.may_take(datagram);
                let front = shaking.into_iter().filter(takes).max_by_key(|at| {
                    let peer = &self.peers[at.peer];
                    // Nothing from another address disturbs a connection that has only this one.
                    let is_here_only = peer.ice.known_addresses().count() == 1;
                    let led = match peer.handshake {
                        SentTo::One(address) if address == path.remote => 2,
                        SentTo::Nowhere => 1,
                        SentTo::One(_) | SentTo::Several => 0,
                    };
                    (is_here_only, led)
                });
                if let Some(at) = front {
                    self.receive_dtls(now, at, path, datagram);
                }
            }
        }
    }

    fn receive_dtls(&mut self, now: Instant, at: Occupant, path: Path, datagram: &[u8]) {
        let Some(peer) = self.peers.get_mut(at.peer) else {
            return;
        };
        // The handshake that is led there may be another connection's: nothing from elsewhere may disturb it.
        if let SentTo::One(address) = peer.handshake
            && peer.secure.is_none()
            && address != path.remote
            && self.demux.at(address).len() > 1
        {
            return;
        }
        let progress = peer.dtls.receive(now, datagram);
        if matches!(progress, Err(DtlsFailure::WrongFingerprint))
            && let Some((owner, progress)) = self.hand_over(path.remote, at)
        {
            self.plan(now, at.peer);
            return self.dtls_progressed(now, owner, path, Ok(progress));
        }
        self.dtls_progressed(now, at, path, progress);
    }

    /// Hands over a handshake from a contested address, which has ended with a certificate that `at` has not announced, to the
    /// connection there that has announced it.
    fn hand_over(&mut self, address: SocketAddr, at: Occupant) -> Option<(Occupant, DtlsProgress)> {
        for other in self.occupants(address) {
            // The connection itself is left out: it is not disjoint from itself.
            if let Some([from, to]) = self.peers.get_disjoint_mut([at.peer, other.peer])
                && to.secure.is_none()
                && let Some(progress) = to.dtls.take_over(&mut from.dtls)
            {
                std::mem::swap(&mut from.handshake, &mut to.handshake);
                return Some((other, progress));
            }
        }
        None
    }

    /// Lets another connection go on with a handshake that may be its own, when the connection that leads it ends.
    pub(super) fn leave_handshake(&mut self, now: Instant, key: PeerKey) {
        let peer = &self.peers[key];
        if peer.secure.is_some() || !peer.dtls.has_begun() {
            return;
        }
        let addresses: SmallVec<[SocketAddr; 8]> = peer.ice.known_addresses().collect();
        let neighbours = addresses.into_iter().flat_map(|address| self.occupants(address));
        for other in neighbours.collect::<SmallVec<[Occupant; MAX_OCCUPANTS]>>() {
            if let Some([from, to]) = self.peers.get_disjoint_mut([key, other.peer])
                && to.secure.is_none()
                && !to.dtls.has_begun()
            {
                to.dtls.trade(&mut from.dtls);
                std::mem::swap(&mut from.handshake, &mut to.handshake);
                return self.plan(now, other.peer);
            }
        }
    }
}
