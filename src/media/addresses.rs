//! The addresses at which clients can reach the media sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses that the operator announces. Without those, the bound addresses, where a wildcard becomes all addresses
/// of the machine (loopback only where there is nothing else). Empty where nothing is found.
pub(crate) fn candidates(announced: &[IpAddr], bound: impl Iterator<Item = IpAddr>, port: u16) -> Vec<SocketAddr> {
    let mut found: Vec<IpAddr> = announced.to_vec();
    if found.is_empty() {
        for ip in bound {
            match ip.is_unspecified() {
                false => found.push(ip),
                true => found.extend(machine_addresses(ip.is_ipv4())),
            }
        }
    }
    // IPv4 comes first: where both work, fewer networks break it.
    found.sort_by_key(|ip| ip.is_ipv6());
    found.dedup();
    found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

fn machine_addresses(ipv4: bool) -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ipv4 && !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ipv4 && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let found: Vec<IpAddr> = interfaces
        .iter()
        .map(|interface| interface.ip())
        .filter(usable)
        .collect();
    match (found.is_empty(), ipv4) {
        (false, _) => found,
        (true, true) => vec![Ipv4Addr::LOCALHOST.into()],
        (true, false) if interfaces.iter().any(|interface| interface.ip().is_ipv6()) => {
            vec![Ipv6Addr::LOCALHOST.into()]
        }
        (true, false) => Vec::new(),
    }
}
