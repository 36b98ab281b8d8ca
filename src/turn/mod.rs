//! A TURN server (RFC 8656) that relays to our own media workers and to nobody else, for clients whose network lets nothing
//! else through. Pure: messages in, [`Step`]s out, given the time. It owns no socket, also none for an allocation: what an
//! allocation sends is handed to a worker in memory, and the relayed address is one that only the worker and the client know.
//!
//! So there is nothing to abuse. The peers that may be reached are those that [`Peers`] names, each by its whole address. Every
//! other address is refused, however it is written: no list says what is forbidden.
//!
//! - [`announced`]: what clients are told of the relay.
//! - [`client`]: one client (a 5-tuple) and its allocation; what each message does.
//! - [`credentials`]: names and passwords with an end (as `draft-uberti-behave-turn-rest` describes and coturn takes them).
//! - [`nonce`]: nonces that nobody has to remember.
//! - [`quotas`]: how many allocations there may be, of a user, of an address, of all.
//! - [`framing`]: where messages end in a stream of bytes.
//!
//! Not there: TCP to peers (RFC 6062), reserved and even ports, mobility (RFC 8016), tokens of a third party (RFC 7635).

mod allocation;
pub mod announced;
pub mod client;
pub mod credentials;
pub mod framing;
mod message;
pub mod nonce;
pub mod quotas;

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use self::credentials::Secret;
use self::nonce::Nonces;
use self::quotas::Quotas;

/// The realm of all credentials. It is part of what clients sign, and says nothing else.
pub const REALM: &str = "patchbay";

/// Bytes of the largest packet that is relayed: what fits into a frame of any network that clients are on.
pub const MAX_PACKET: usize = 2_048;

/// Bytes of the largest message that is read: a packet with what TURN puts around it.
pub const MAX_MESSAGE: usize = MAX_PACKET + 256;

/// The time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For what passes: lifetimes.
    pub at: Instant,
    /// Seconds since 1970-01-01 UTC, for what is dated: credentials and nonces.
    pub unix_s: u64,
}

/// Those who may be reached.
pub trait Peers {
    /// Whether this very address is one of them.
    fn contains(&self, peer: SocketAddr) -> bool;

    /// An address of this family at which some of them are reached. `None`: there is none in this family.
    fn address(&self, is_ipv4: bool) -> Option<IpAddr>;
}

/// What is the same for all clients.
pub struct Terms<P> {
    pub secret: Secret,
    pub nonces: Nonces,
    pub quotas: Quotas,
    pub peers: P,
}

/// What a message of a client leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// An answer to the client.
    Reply(Answer),
    /// A packet for a peer, from the relayed address of the client's allocation.
    Forward { peer: SocketAddr, packet: Vec<u8> },
    /// Nothing.
    Drop(Dropped),
}

/// An answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub bytes: Vec<u8>,
    /// The code of the error that it is, if it is one.
    pub error: Option<u16>,
    /// Whether its client has shown that it has credentials. If not, and if it was a datagram, somebody else may have forged the
    /// address from which it came.
    pub is_known: bool,
}

/// The reason why nothing follows from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is no TURN message.
    Unreadable,
    /// Its sender has no allocation, or no permission for this peer, or it is a channel that is not bound.
    NotPermitted,
    /// Its sender has sent more than an allocation may.
    TooMuch,
}

impl Dropped {
    /// A word for it, for counting.
    pub fn name(self) -> &'static str {
        match self {
            Dropped::Unreadable => "unreadable",
            Dropped::NotPermitted => "not_permitted",
            Dropped::TooMuch => "too_much",
        }
    }
}
