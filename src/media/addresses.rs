//! The addresses at which clients can reach the media sockets.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses that the operator announces. Without those, the public ones, and the bound addresses, where a wildcard becomes all
/// addresses of the machine (loopback only where there is nothing else). Empty where nothing is found.
pub(crate) fn candidates(
    (announced, public): (&[IpAddr], &[IpAddr]),
    bound: impl Iterator<Item = IpAddr>,
    port: u16,
) -> Vec<SocketAddr> {
    let mut found: Vec<IpAddr> = announced.to_vec();
    if found.is_empty() {
        found.extend(public);
        for ip in bound {
            match ip.is_unspecified() {
                false => found.push(ip),
                true => found.extend(machine_addresses(ip.is_ipv4())),
            }
        }
    }
    // IPv4 comes first: where both work, fewer networks break it.
    found.sort_by_key(|ip| ip.is_ipv6());
    let mut seen = HashSet::new();
    found.retain(|ip| seen.insert(*ip));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(announced: &[&str], public: &[&str], bound: &[&str]) -> Vec<String> {
        let parse = |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let bound = parse(bound).into_iter();
        let found = candidates((&parse(announced), &parse(public)), bound, 8_800);
        found.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn what_the_operator_announces_counts_alone() {
        let found = found(&["2001:db8::1", "203.0.113.7"], &["198.51.100.1"], &["10.0.0.1"]);
        assert_eq!(found, ["203.0.113.7:8800", "[2001:db8::1]:8800"]);
    }

    #[test]
    fn a_public_address_comes_before_those_of_the_machine_and_once() {
        assert_eq!(
            found(&[], &["203.0.113.7"], &["10.0.0.1"]),
            ["203.0.113.7:8800", "10.0.0.1:8800"]
        );
        let found = found(
            &[],
            &["203.0.113.7", "2001:db8::1"],
            &["10.0.0.1", "203.0.113.7", "2001:db8::1"],
        );
        assert_eq!(found, ["203.0.113.7:8800", "10.0.0.1:8800", "[2001:db8::1]:8800"]);
    }
}
