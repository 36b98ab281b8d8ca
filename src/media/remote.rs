//! The other end of a path, as a worker knows it.

use std::net::SocketAddr;

use super::keys::TcpKey;
use super::relay::RelayKey;

/// An address of a client, and how it is reached there. The same address in two ways is two remotes, and so is an address over a
/// TCP connection that has ended and a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remote {
    pub address: SocketAddr,
    pub via: Via,
}

/// The way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// Datagrams.
    Udp,
    /// A TCP connection with the client.
    Tcp(TcpKey),
    /// An allocation at our relay; the address is the relayed one.
    Relay(RelayKey),
}

impl From<SocketAddr> for Remote {
    /// The client that is reached by datagrams.
    fn from(address: SocketAddr) -> Remote {
        let via = Via::Udp;
        Remote { address, via }
    }
}
