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

use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use crate::media::demux::{Class, MAX_OCCUPANTS, Occupant, classify};
use crate::media::keys::TransportKey;
use crate::media::peer::dtls::{self, DtlsFailure, DtlsProgress};
use crate::media::peer::ice::{AddressRight, Learning, Path, Request};
use crate::media::peer::{SentTo, Transport};
use crate::media::remote::{Remote, Via};

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
        let has_keys = self.transports.get(key)?.secure.is_some();
        let learning = match has_keys && self.is_held_by_another(now, path.remote, key) {
            true => Learning::AnswerOnly,
            false => Learning::Learn,
        };
        let transport = &mut self.transports[key];
        let answered = transport.ice.handle(now, request, path, &theirs, learning)?;
        self.egress.push(path, &answered.reply);
        let Some(index) = answered.path else {
            return Some(());
        };
        if let Some(evicted) = answered.evicted {
            self.demux.forget_address(evicted, key);
        }
        let newcomer = Occupant {
            transport: key,
            path: index,
            participant: transport.participant,
        };
        let transports = &self.transports;
        let address_right = |at: &Occupant| {
            let transport = transports.get(at.transport);
            transport.map_or(AddressRight::Claimed, |transport| {
                transport.ice.address_right(now, at.path)
            })
        };
        if let Some(evicted) = self.demux.learn_address(path.remote, newcomer, has_keys, address_right) {
            self.transports[evicted.transport].ice.forget(now, path.remote);
            self.plan(now, evicted.transport);
            if evicted.transport == key {
                return Some(());
            }
        }
        if self.transports[key].ice.holds(now, index) {
            self.evict_others(now, path.remote, key, |transport| transport.secure.is_some());
        }
        self.resume(now, key);
        if self.transports[key].secure.is_none() {
            let started = self.transports[key].dtls.start(now).map(|()| DtlsProgress::Pending);
            self.dtls_progressed(now, newcomer, path, started);
        }
        self.plan(now, key);
        Some(())
    }

    /// Whether an address is proven to belong to another connection than `key`.
    fn is_held_by_another(&self, now: Instant, address: Remote, key: TransportKey) -> bool {
        let holds = |at: &Occupant| {
            self.transports
                .get(at.transport)
                .is_some_and(|transport| transport.ice.holds(now, at.path))
        };
        self.demux.at(address).iter().any(|at| at.transport != key && holds(at))
    }

    /// Takes an address from all connections for which `loses` is true, except `key`.
    fn evict_others(&mut self, now: Instant, address: Remote, key: TransportKey, loses: impl Fn(&Transport) -> bool) {
        for at in self.occupants(address) {
            let other = self
                .transports
                .get_mut(at.transport)
                .filter(|transport| at.transport != key && loses(transport));
            if let Some(other) = other {
                other.ice.forget(now, address);
                self.demux.forget_address(address, at.transport);
                self.plan(now, at.transport);
            }
        }
    }

    /// Number of connections that are sent media in another way than by UDP: by TCP, and by our relay.
    pub(super) fn peers_by_way(&self) -> (u64, u64) {
        let selected = self
            .transports
            .values()
            .filter_map(|transport| transport.ice.selected());
        selected.fold((0, 0), |(tcp, relay), path| match path.remote.via {
            Via::Udp => (tcp, relay),
            Via::Tcp(_) => (tcp + 1, relay),
            Via::Relay(_) => (tcp, relay + 1),
        })
    }

    /// Whether a client of this worker is reached there.
    pub(crate) fn knows(&self, remote: Remote) -> bool {
        !self.demux.at(remote).is_empty()
    }

    /// Forgets a TCP connection that has ended. Whoever was reached by it is reached by another path, or by none until they are heard
    /// again.
    pub(crate) fn forget_remote(&mut self, now: Instant, remote: Remote) {
        for at in self.occupants(remote) {
            self.demux.forget_address(remote, at.transport);
            if let Some(transport) = self.transports.get_mut(at.transport) {
                transport.ice.forget(now, remote);
                self.plan(now, at.transport);
            }
        }
    }

    fn occupants(&self, address: Remote) -> SmallVec<[Occupant; MAX_OCCUPANTS]> {
        self.demux.at(address).into()
    }

    /// Notes that DTLS was finished over this path. The address is proven, if we sent the whole handshake there. The connection
    /// loses other addresses that it has claimed meanwhile, if they are proven for others.
    pub(super) fn proved(&mut self, now: Instant, at: Occupant, path: Path) {
        if self.transports[at.transport].handshake == SentTo::One(path.remote) {
            self.evict_others(now, path.remote, at.transport, |_| true);
            self.transports[at.transport].ice.prove(now, at.path);
        } else {
            self.transports[at.transport].ice.heard(now, at.path);
        }
        let Some(transport) = self.transports.get_mut(at.transport) else {
            return;
        };
        transport.ice.follow(now);
        let claimed: SmallVec<[Remote; 8]> = transport.ice.known_addresses().collect();
        for address in claimed {
            if self.is_held_by_another(now, address, at.transport) {
                self.transports[at.transport].ice.forget(now, address);
                self.demux.forget_address(address, at.transport);
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
                        .partition(|at| self.transports[at.transport].secure.is_some());
                if dtls::is_protected(datagram) {
                    for at in established {
                        self.receive_dtls(now, at, path, datagram);
                    }
                }
                // One endpoint at a time: answers of two would spoil the handshake for the client.
                let takes = |at: &Occupant| self.transports[at.transport].dtls.may_take(datagram);
                let front = shaking.into_iter().filter(takes).max_by_key(|at| {
                    let transport = &self.transports[at.transport];
                    // Nothing from another address disturbs a connection that has only this one.
                    let is_here_only = transport.ice.known_addresses().count() == 1;
                    let led = match transport.handshake {
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
        let Some(transport) = self.transports.get_mut(at.transport) else {
            return;
        };
        // The handshake that is led there may be another connection's: nothing from elsewhere may disturb it.
        if let SentTo::One(address) = transport.handshake
            && transport.secure.is_none()
            && address != path.remote
            && self.demux.at(address).len() > 1
        {
            return;
        }
        let progress = transport.dtls.receive(now, datagram);
        if matches!(progress, Err(DtlsFailure::WrongFingerprint))
            && let Some((owner, progress)) = self.hand_over(path.remote, at)
        {
            self.plan(now, at.transport);
            return self.dtls_progressed(now, owner, path, Ok(progress));
        }
        self.dtls_progressed(now, at, path, progress);
    }

    /// Hands over a handshake from a contested address, which has ended with a certificate that `at` has not announced, to the
    /// connection there that has announced it.
    fn hand_over(&mut self, address: Remote, at: Occupant) -> Option<(Occupant, DtlsProgress)> {
        for other in self.occupants(address) {
            // The connection itself is left out: it is not disjoint from itself.
            if let Some([from, to]) = self.transports.get_disjoint_mut([at.transport, other.transport])
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
    pub(super) fn leave_handshake(&mut self, now: Instant, key: TransportKey) {
        let transport = &self.transports[key];
        if transport.secure.is_some() || !transport.dtls.has_begun() {
            return;
        }
        let addresses: SmallVec<[Remote; 8]> = transport.ice.known_addresses().collect();
        let neighbours = addresses.into_iter().flat_map(|address| self.occupants(address));
        for other in neighbours.collect::<SmallVec<[Occupant; MAX_OCCUPANTS]>>() {
            if let Some([from, to]) = self.transports.get_disjoint_mut([key, other.transport])
                && to.secure.is_none()
                && !to.dtls.has_begun()
            {
                to.dtls.trade(&mut from.dtls);
                std::mem::swap(&mut from.handshake, &mut to.handshake);
                return self.plan(now, other.transport);
            }
        }
    }
}
