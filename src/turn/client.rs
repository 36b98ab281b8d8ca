//! One client of the relay: what comes from one address to one of ours, by one protocol (a 5-tuple), and the allocation that it has.

use std::net::SocketAddr;

use rtc_stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_EVEN_PORT, ATTR_LIFETIME, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, ATTR_USERNAME, ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS,
};
use rtc_stun::message::{
    BINDING_REQUEST, CLASS_INDICATION, CLASS_REQUEST, METHOD_ALLOCATE, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION,
    METHOD_REFRESH, METHOD_SEND,
};
use tokio::time::Instant;

use super::allocation::{Allocation, Refused};
use super::message::{Incoming, Outgoing};
use super::quotas::Full;
use super::{Answer, Dropped, MAX_PACKET, Now, Peers, REALM, Step, Terms, credentials, framing, message};
use crate::shares::ClientAddress;

/// UDP, as the protocol to peers (RFC 8656 §18.6). There is no other.
const UDP: u8 = 17;

/// Families of addresses (RFC 8489 §14.1).
const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// A client, with an allocation or without. One without has no state that is worth keeping.
pub struct Client {
    /// Its address, as we see it.
    address: SocketAddr,
    /// The address whose share it counts to.
    counted_as: ClientAddress,
    allocation: Option<Allocation>,
}

/// An allocation, as others need to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// A number that no other allocation has.
    pub number: u32,
    pub address: SocketAddr,
}

/// Whoever has signed a request.
struct Signer {
    username: String,
    key: Vec<u8>,
}

/// An answer's error: its code, and whether a nonce comes with it.
struct Error {
    code: u16,
    has_nonce: bool,
}

impl Error {
    const fn plain(code: u16) -> Error {
        Error { code, has_nonce: false }
    }

    const fn with_nonce(code: u16) -> Error {
        Error { code, has_nonce: true }
    }
}

impl From<Refused> for Error {
    fn from(Refused(code): Refused) -> Error {
        Error::plain(code)
    }
}

impl Client {
    pub fn new(address: SocketAddr, counted_as: ClientAddress) -> Client {
        Client {
            address,
            counted_as,
            allocation: None,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The allocation, while there is one.
    pub fn relayed(&self) -> Option<Relayed> {
        self.allocation.as_ref().map(|allocation| Relayed {
            number: allocation.seat.number(),
            address: allocation.relayed,
        })
    }

    /// When the allocation ends, unless it is refreshed.
    pub fn expires(&self) -> Option<Instant> {
        self.allocation.as_ref().map(|allocation| allocation.expires)
    }

    /// Takes a message: a datagram, or what [`framing::split`] has found.
    pub fn receive<P: Peers>(&mut self, now: Now, terms: &Terms<P>, bytes: &[u8]) -> Step {
        if self.expires().is_some_and(|expires| expires <= now.at) {
            self.allocation = None;
        }
        match bytes.first() {
            Some(0x00..=0x3f) => match Incoming::read(bytes) {
                Some(message) => self.take_message(now, terms, message),
                None => Step::Drop(Dropped::Unreadable),
            },
            Some(0x40..=0x4f) => self.take_packet(now, terms, bytes),
            _ => Step::Drop(Dropped::Unreadable),
        }
    }

    /// Writes a packet from `peer` for the client, behind `out`. False if the client has not permitted it.
    pub fn deliver(&mut self, now: Instant, peer: SocketAddr, packet: &[u8], out: &mut Vec<u8>) -> bool {
        let allocation = self.allocation.as_mut().filter(|allocation| allocation.expires > now);
        allocation.is_some_and(|allocation| allocation.deliver(now, peer, packet, out))
    }

    /// A packet in a channel (RFC 8656 §12.6).
    fn take_packet<P: Peers>(&mut self, now: Now, terms: &Terms<P>, bytes: &[u8]) -> Step {
        let Some((channel, packet)) = framing::packet_of_channel(bytes) else {
            return Step::Drop(Dropped::Unreadable);
        };
        let allocation = self.allocation.as_ref();
        match allocation.and_then(|allocation| allocation.peer_of(now.at, channel)) {
            Some(peer) => self.forward(now, terms, peer, packet.to_vec()),
            None => Step::Drop(Dropped::NotPermitted),
        }
    }

    fn take_message<P: Peers>(&mut self, now: Now, terms: &Terms<P>, message: Incoming) -> Step {
        let typ = message.typ();
        if typ.class == CLASS_INDICATION && typ.method == METHOD_SEND {
            return self.take_indication(now, terms, message);
        }
        if typ.class != CLASS_REQUEST {
            return Step::Drop(Dropped::Unreadable);
        }
        if typ == BINDING_REQUEST {
            return self.answer_binding(&message);
        }
        Step::Reply(self.answer(now, terms, message))
    }

    /// A packet that names its peer (RFC 8656 §11.2). Nobody is told if it is dropped.
    fn take_indication<P: Peers>(&mut self, now: Now, terms: &Terms<P>, message: Incoming) -> Step {
        let peer = message.peers().filter(|_| message.unknown().is_empty());
        let Some((&[peer], data)) = peer.as_deref().zip(message.into_data()).and_then(|(peers, data)| {
            let one: &[SocketAddr; 1] = peers.try_into().ok()?;
            Some((one, data))
        }) else {
            return Step::Drop(Dropped::Unreadable);
        };
        self.forward(now, terms, peer, data)
    }

    fn forward<P: Peers>(&mut self, now: Now, terms: &Terms<P>, peer: SocketAddr, packet: Vec<u8>) -> Step {
        // The peers are asked each time: a worker that was replaced may have another port.
        let is_permitted = |allocation: &&mut Allocation| allocation.permits(now.at, peer.ip());
        let Some(allocation) = self.allocation.as_mut().filter(is_permitted) else {
            return Step::Drop(Dropped::NotPermitted);
        };
        if !terms.peers.contains(peer) {
            return Step::Drop(Dropped::NotPermitted);
        }
        if packet.len() > MAX_PACKET || !allocation.may_send(now.at, packet.len()) {
            return Step::Drop(Dropped::TooMuch);
        }
        Step::Forward { peer, packet }
    }

    /// Tells a client its address (RFC 8489 §12), as any STUN server does.
    fn answer_binding(&self, request: &Incoming) -> Step {
        let mut answer = Outgoing::success(request);
        answer.add_address(ATTR_XORMAPPED_ADDRESS, self.address);
        Step::Reply(Answer {
            bytes: answer.into_bytes(),
            error: None,
            is_known: false,
        })
    }

    fn answer<P: Peers>(&mut self, now: Now, terms: &Terms<P>, mut request: Incoming) -> Answer {
        let signer = match self.signer(now, terms, &mut request) {
            Ok(signer) => signer,
            Err(error) => {
                return Answer {
                    bytes: self.error(now, terms, &request, &error).into_bytes(),
                    error: Some(error.code),
                    is_known: false,
                };
            }
        };
        let unknown = request.unknown();
        let answered = match unknown.is_empty() {
            true => self.carry_out(now, terms, &request, &signer),
            false => Err(Error::plain(420)),
        };
        let error = answered.as_ref().err().map(|error| error.code);
        let mut answer = answered.unwrap_or_else(|error| self.error(now, terms, &request, &error));
        if !unknown.is_empty() {
            answer.add_unknown(&unknown);
        }
        Answer {
            bytes: answer.signed(&signer.key),
            error,
            is_known: true,
        }
    }

    fn error<P>(&self, now: Now, terms: &Terms<P>, request: &Incoming, error: &Error) -> Outgoing {
        let mut answer = Outgoing::error(request, error.code);
        if error.has_nonce {
            answer.add(ATTR_REALM, REALM.as_bytes());
            answer.add(ATTR_NONCE, terms.nonces.make(now.unix_s, self.address).as_bytes());
        }
        answer
    }

    /// Who has signed a request (RFC 8489 §9.2.4). What costs little is looked at first.
    fn signer<P>(&self, now: Now, terms: &Terms<P>, request: &mut Incoming) -> Result<Signer, Error> {
        if !request.is_signed() {
            return Err(Error::with_nonce(401));
        }
        let username = request.text(ATTR_USERNAME).map(str::to_owned);
        let (Some(username), Some(nonce), Some(_)) = (username, request.value(ATTR_NONCE), request.value(ATTR_REALM))
        else {
            return Err(Error::plain(400));
        };
        if !terms.nonces.is_fresh(now.unix_s, self.address, nonce) {
            return Err(Error::with_nonce(438));
        }
        let expiry_s = credentials::expiry_s(&username).ok_or(Error::with_nonce(401))?;
        // Whoever has an allocation may keep it: a call must not end because its credentials do.
        let is_known = self
            .allocation
            .as_ref()
            .is_some_and(|allocation| allocation.seat.user() == username);
        if expiry_s <= now.unix_s && !is_known {
            return Err(Error::with_nonce(401));
        }
        let key = message::key(&username, terms.secret.password(&username)).ok_or(Error::plain(500))?;
        if !request.is_signed_with(&key) {
            return Err(Error::with_nonce(401));
        }
        Ok(Signer { username, key })
    }

    fn carry_out<P: Peers>(
        &mut self,
        now: Now,
        terms: &Terms<P>,
        request: &Incoming,
        signer: &Signer,
    ) -> Result<Outgoing, Error> {
        if request.typ().method == METHOD_ALLOCATE {
            return self.allocate(now, terms, request, signer);
        }
        let allocation = self.allocation.as_mut().ok_or(Error::plain(437))?;
        if allocation.seat.user() != signer.username {
            return Err(Error::plain(441));
        }
        match request.typ().method {
            METHOD_REFRESH => self.refresh(now, request),
            METHOD_CREATE_PERMISSION => {
                let peers = allowed(terms, request, allocation.relayed)?;
                peers
                    .into_iter()
                    .try_for_each(|peer| allocation.permit(now.at, peer.ip()))?;
                Ok(Outgoing::success(request))
            }
            METHOD_CHANNEL_BIND => {
                let number = request.number(ATTR_CHANNEL_NUMBER).map(|number| (number >> 16) as u16);
                let number = number
                    .filter(|number| framing::CHANNELS.contains(number))
                    .ok_or(Error::plain(400))?;
                let &[peer] = allowed(terms, request, allocation.relayed)?.as_slice() else {
                    return Err(Error::plain(400));
                };
                allocation.bind(now.at, number, peer)?;
                Ok(Outgoing::success(request))
            }
            _ => Err(Error::plain(400)),
        }
    }

    fn allocate<P: Peers>(
        &mut self,
        now: Now,
        terms: &Terms<P>,
        request: &Incoming,
        signer: &Signer,
    ) -> Result<Outgoing, Error> {
        if let Some(allocation) = &self.allocation {
            // A request that comes again because its answer was lost (RFC 8656 §7.2).
            return match allocation.made_by == request.transaction() {
                true => Ok(self.allocated(request, allocation, allocation.left_s(now.at))),
                false => Err(Error::plain(437)),
            };
        }
        let transport = request.value(ATTR_REQUESTED_TRANSPORT).and_then(<[u8]>::first);
        match transport.ok_or(Error::plain(400))? {
            &UDP => {}
            _ => return Err(Error::plain(442)),
        }
        if request.value(ATTR_EVEN_PORT).is_some() || request.value(ATTR_RESERVATION_TOKEN).is_some() {
            return Err(Error::plain(508));
        }
        let ip = terms.peers.address(wants_ipv4(request)?).ok_or(Error::plain(440))?;
        let seat = terms
            .quotas
            .take(self.counted_as, &signer.username)
            .map_err(|full| match full {
                Full::ShareUsedUp => Error::plain(486),
                Full::UsedUp => Error::plain(508),
            })?;
        let relayed = SocketAddr::new(ip, seat.port());
        let mut allocation = Allocation::new(now.at, seat, relayed, request.transaction());
        let lifetime_s = allocation.extend(now.at, request.number(ATTR_LIFETIME));
        let answer = self.allocated(request, &allocation, lifetime_s);
        self.allocation = Some(allocation);
        Ok(answer)
    }

    fn allocated(&self, request: &Incoming, allocation: &Allocation, lifetime_s: u32) -> Outgoing {
        let mut answer = Outgoing::success(request);
        answer.add_address(ATTR_XOR_RELAYED_ADDRESS, allocation.relayed);
        answer.add_address(ATTR_XORMAPPED_ADDRESS, self.address);
        answer.add(ATTR_LIFETIME, &lifetime_s.to_be_bytes());
        answer
    }

    /// A lifetime of 0 ends the allocation (RFC 8656 §8.2).
    fn refresh(&mut self, now: Now, request: &Incoming) -> Result<Outgoing, Error> {
        let allocation = self.allocation.as_mut().ok_or(Error::plain(437))?;
        if request.value(ATTR_REQUESTED_ADDRESS_FAMILY).is_some()
            && wants_ipv4(request)? != allocation.relayed.is_ipv4()
        {
            return Err(Error::plain(443));
        }
        let lifetime_s = match request.number(ATTR_LIFETIME) {
            Some(0) => {
                self.allocation = None;
                0
            }
            wish_s => allocation.extend(now.at, wish_s),
        };
        let mut answer = Outgoing::success(request);
        answer.add(ATTR_LIFETIME, &lifetime_s.to_be_bytes());
        Ok(answer)
    }
}

/// The peers that a request names, if all of them may be reached. RFC 8656 §9.2 lets a permission be for an address at whatever
/// port; here the port counts, too, so that nobody is answered that another port of this machine may be reached.
fn allowed<P: Peers>(terms: &Terms<P>, request: &Incoming, relayed: SocketAddr) -> Result<Vec<SocketAddr>, Error> {
    let peers = request.peers().ok_or(Error::plain(400))?;
    if !peers.iter().all(|&peer| terms.peers.contains(peer)) {
        return Err(Error::plain(403));
    }
    match peers.iter().all(|peer| peer.is_ipv4() == relayed.is_ipv4()) {
        true => Ok(peers),
        false => Err(Error::plain(443)),
    }
}

/// The family of the relayed address that a request asks for (RFC 8656 §7.1).
fn wants_ipv4(request: &Incoming) -> Result<bool, Error> {
    match request
        .value(ATTR_REQUESTED_ADDRESS_FAMILY)
        .map(|value| value.first().copied())
    {
        None | Some(Some(IPV4)) => Ok(true),
        Some(Some(IPV6)) => Ok(false),
        Some(_) => Err(Error::plain(440)),
    }
}

#[cfg(test)]
mod tests;
