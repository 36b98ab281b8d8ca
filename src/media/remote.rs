//! The other end of a path, as a worker knows it.

use std::net::SocketAddr;

use super::keys::TcpKey;

/// An address of a client, and how it is reached there. The same address by UDP and by TCP is two remotes, and so is an address over a
/// TCP connection that has ended and a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remote {
    pub address: SocketAddr,
    /// The TCP connection with the client. `None`: datagrams (UDP).
    pub tcp: Option<TcpKey>,
}

impl From<SocketAddr> for Remote {
    /// The client that is reached by datagrams.
    fn from(address: SocketAddr) -> Remote {
        Remote { address, tcp: None }
    }
}
