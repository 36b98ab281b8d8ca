//! The clients that share: those of one IPv4 address, or of one IPv6 network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The bits of an IPv6 address that name a network: a home or a telephone has a whole /64 (RFC 4291 §2.5.1), and can
/// use any address of it.
const IPV6_NETWORK: u128 = !0 << 64;

/// The address or network of a client, as far as shares are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Requests without a known address: they have one share together.
    pub const UNKNOWN: ClientAddress = ClientAddress(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    pub const THIS_MACHINE: ClientAddress = ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// The form for records: the displayed address, or an empty text for this machine.
    pub(crate) fn to_record(self) -> String {
        if self.is_this_machine() {
            return String::new();
        }
        self.to_string()
    }

    /// Reads what [`ClientAddress::to_record`] has made. Any other text is [`ClientAddress::UNKNOWN`].
    pub(crate) fn from_record(text: &str) -> ClientAddress {
        if text.is_empty() {
            return ClientAddress::THIS_MACHINE;
        }
        let ip: Result<IpAddr, _> = text.trim_end_matches("/64").parse();
        ip.map_or(ClientAddress::UNKNOWN, ClientAddress::from)
    }

    /// Whether this is a program on the server's own machine, or a client behind a proxy there that does not send
    /// their address. They have no share of a [`super::Pot`]; only the whole limits them. Whoever runs programs here
    /// could stop the server anyway.
    pub fn is_this_machine(self) -> bool {
        self.0.is_loopback()
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        // An IPv4 address written as an IPv6 one is the same address (RFC 4291 §2.5.5.2).
        ClientAddress(match address.to_canonical() {
            IpAddr::V6(Ipv6Addr::LOCALHOST) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK)),
            address => address,
        })
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(address) if address != Ipv6Addr::LOCALHOST => write!(f, "{address}/64"),
            address => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_ipv6_network_shares_and_ipv4_addresses_do_not() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("::1"), ClientAddress::UNKNOWN);
    }

    #[test]
    fn what_is_recorded_is_read_as_the_same() {
        for text in ["2001:db8:1:2::1", "192.0.2.1", "127.0.0.1"] {
            assert_eq!(ClientAddress::from_record(&of(text).to_record()), of(text));
        }
        assert_eq!(ClientAddress::from_record("nonsense"), ClientAddress::UNKNOWN);
    }

    #[test]
    fn it_is_shown_as_the_network_that_it_is() {
        assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(of("192.0.2.1").to_string(), "192.0.2.1");
        assert_eq!(of("::1").to_string(), "::1");
    }
}
